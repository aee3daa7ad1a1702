"""The bench's load generator: what it sends, and how it counts what a small server answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schemas.sources.alertmanager import parse
from tests.bench.bodies import SERVICES, Mix, Webhooks, parse_fingerprint
from tests.bench.company import config
from tests.bench.load import Load, Requests
from tests.bench.plan import Plan, Report

STARTED = "2026-11-21T10:00:00.000000+00:00"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def test_the_gateway_understands_every_alert_of_a_webhook() -> None:
    parsed = parse(Webhooks(Mix(7, STARTED, each=3, pages=True)).body(1))
    assert [parse_fingerprint(alert.fingerprint) for alert in parsed.alerts] == [(7, 3), (7, 4), (7, 5)]
    assert not parsed.rejected and not parsed.warnings
    assert {alert.labels["bench"] for alert in parsed.alerts} == {"page"}


def test_all_bodies_of_a_mix_are_of_one_length() -> None:
    webhooks = Webhooks(Mix(7, STARTED, opening=0.5))
    assert len({len(webhooks.body(index)) for index in (0, 9, 10, 99_999)}) == 1


def test_a_webhook_says_that_it_fires() -> None:
    assert json.loads(Webhooks(Mix(1, STARTED)).body(0))["status"] == "firing"


def test_a_share_of_the_alerts_is_alone_in_a_group() -> None:
    mix = Mix(1, STARTED, opening=0.05, groups=20)
    alone = [number for number in range(1000) if mix.opens(number)]
    assert len(alone) == 50
    assert len({mix.group(number) for number in alone}) == 50
    assert {mix.group(number) for number in range(1000) if number not in alone} <= set(range(20))


def test_repeats_name_the_same_alerts_again() -> None:
    mix = Mix(1, STARTED, distinct=2)
    assert [list(mix.numbers(index)) for index in range(4)] == [[0], [1], [0], [1]]


def test_the_company_has_a_service_for_every_group() -> None:
    text = config("a token")
    assert all(f"svc-{number:02}:" in text for number in range(SERVICES))
    assert "a token" not in text


def test_a_plan_survives_its_way_to_the_generator_and_hides_its_token() -> None:
    plan = Plan("127.0.0.1", 1, ("/a",), 1.0, token="secret", mix=Mix(1, STARTED))
    assert Plan.parse(plan.dump()) == plan
    assert "secret" not in repr(plan)


def test_a_request_is_what_http_wants() -> None:
    plan = Plan("127.0.0.1", 80, ("/a", "/b"), 1.0, token="t", mix=Mix(1, STARTED))
    requests = Requests(plan)
    (_, first), (index, second) = requests.take(), requests.take()
    head, _, body = first.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a HTTP/1.1\r\n") and f"Content-Length: {len(body)}".encode() in head
    assert index == 1 and second.startswith(b"POST /b ")


async def loaded(serve: Serve, **how: object) -> Report:
    """What a load of a server that is `serve` reports."""
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        given: dict[str, Any] = {"seconds": 5.0, "connections": 2, "mix": Mix(1, STARTED, each=2, opening=1.0), **how}
        return await Load(Plan("127.0.0.1", port, ("/",), **given)).run()


async def request(reader: asyncio.StreamReader) -> None:
    """Read one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
    await reader.readexactly(length)


def answering(answer: bytes, hang_up: bool = False) -> Serve:
    """A server that gives the same answer again and again, or once for each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await request(reader)
                writer.write(answer)
                if hang_up:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    return serve


async def test_what_is_taken_is_counted_in_alerts() -> None:
    report = await loaded(answering(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"), limit=5)
    assert report.statuses == {"202": 5} and report.failed == 0
    assert report.alerts == 10 and sorted(number for number, _ in report.opened) == list(range(10))
    assert len(report.latencies) == report.answered == report.offered == 5


async def test_a_refusal_is_a_failure_and_no_alert() -> None:
    report = await loaded(answering(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"), limit=3)
    assert (report.failed, report.taken, report.alerts, report.opened) == (3, 0, 0, [])


async def test_an_answer_may_say_that_it_is_the_last_on_its_connection() -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    report = await loaded(answering(last, hang_up=True), limit=6)
    assert report.statuses == {"200": 6} and not report.errors


async def test_a_connection_that_breaks_is_an_error_and_is_made_again() -> None:
    report = await loaded(answering(b"", hang_up=True), seconds=0.5)
    assert report.answered == 0 and report.errors["ConnectionResetError"] > 1


async def test_an_answer_without_a_length_is_not_understood() -> None:
    report = await loaded(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), limit=1)
    assert report.errors == {"BadAnswer": 1}


async def test_an_answer_may_come_in_pieces() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        for piece in (b"HTTP/1.1 202 Acc", b"epted\r\nContent-Length: 2\r\n", b"\r\n{", b"}"):
            writer.write(piece)
            await asyncio.sleep(0.01)
        writer.close()

    assert (await loaded(serve, limit=1)).statuses == {"202": 1}


async def test_latency_counts_from_when_a_request_was_due() -> None:
    """A server that stops for a while keeps more than one request waiting."""
    stopped = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal stopped
        try:
            while True:
                await request(reader)
                if not stopped:
                    stopped = True
                    await asyncio.sleep(0.3)
                writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    report = await loaded(serve, seconds=0.6, connections=1, rate=50.0)
    assert report.offered == pytest.approx(30, abs=3)
    assert sum(latency > 0.1 for latency in report.latencies) >= 5


async def test_what_was_due_and_could_not_even_be_sent_was_offered() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await asyncio.sleep(0.5)
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    report = await loaded(serve, seconds=0.4, connections=1, rate=50.0)
    assert report.answered == 1
    assert report.offered == pytest.approx(20, abs=1)


async def test_what_is_offered_does_not_depend_on_how_many_connections_there_are() -> None:
    accepted = answering(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
    for connections in (1, 32):
        report = await loaded(accepted, seconds=0.5, connections=connections, rate=40.0)
        assert report.offered == pytest.approx(20, abs=2)
