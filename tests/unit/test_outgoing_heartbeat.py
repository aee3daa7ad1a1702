"""The heartbeat that Tocsin sends: while worker and pager move, and never with its URL in a log."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from gateway import outgoing
from gateway.outgoing import ATTEMPTS, OutgoingHeartbeat
from schemas.settings import BadSettings, load_settings
from schemas.status import RoleName, RoleStatus

SECRET = "beat-secret"


class Peer:
    """A server that counts what is asked of it. `status` is its answer; None: it says nothing for a while."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status: int | None = 200


@contextmanager
def serving() -> Iterator[tuple[Peer, str]]:
    peer = Peer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            peer.asked.append(self.path)
            if peer.status is not None:
                self.send_response(peer.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield peer, f"http://127.0.0.1:{server.server_address[1]}/ping/{SECRET}?token={SECRET}"
        finally:
            server.shutdown()
            thread.join(5)


def roles(**ok: bool) -> list[RoleStatus]:
    well: dict[RoleName, bool] = {"worker": True, "pager": True, "postgres": True, **ok}  # type: ignore[dict-item]
    return [
        RoleStatus(
            role=role,
            ok=is_ok,
            waiting=0,
            lag_seconds=0,
            standing_seconds=0,
            since=None,
            detail="nothing waits",
            remedy="",
        )
        for role, is_ok in well.items()
    ]


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("tocsin_outgoing_heartbeats_total", {"result": result}) or 0.0


async def no_pause(_: float) -> None:
    await asyncio.sleep(0)


def beat(url: str, seen: list[RoleStatus], times: int = 1) -> list[Any]:
    """Send so many heartbeats; returns what was logged."""
    heartbeat = OutgoingHeartbeat(url, 60.0, lambda: seen, no_pause)

    async def send() -> None:
        async with httpx.AsyncClient() as client:
            for _ in range(times):
                await heartbeat.beat(client)

    with capture_logs() as logs:
        asyncio.run(send())
    assert SECRET not in json.dumps(logs)
    return logs


@pytest.mark.parametrize("status", [200, 204, 302])
def test_it_is_sent_while_worker_and_pager_move(status: int) -> None:
    before = counted("sent")
    with serving() as (peer, url):
        peer.status = status
        logs = beat(url, roles(projector=False), times=3)
    assert peer.asked == [f"/ping/{SECRET}?token={SECRET}"] * 3
    assert counted("sent") == before + 3
    assert [(log["log_level"], log["result"]) for log in logs] == [("info", "sent")]


@pytest.mark.parametrize("role", ["worker", "pager", "postgres"])
def test_it_is_withheld_while_something_stands_still(role: str) -> None:
    before = counted("withheld")
    with serving() as (peer, url):
        logs = beat(url, roles(**{role: False}))
    assert peer.asked == []
    assert counted("withheld") == before + 1
    assert [(log["log_level"], log["because"]) for log in logs] == [("warning", role)]


def test_it_is_withheld_until_all_was_seen() -> None:
    with serving() as (peer, url):
        beat(url, [one for one in roles() if one.role != "pager"])
    assert peer.asked == []


@pytest.mark.parametrize("status", [404, 500, None])
def test_what_fails_is_tried_again_some_times(status: int | None) -> None:
    before = counted("failed")
    with serving() as (peer, url):
        peer.status = status
        logs = beat(url, roles())
    assert len(peer.asked) == ATTEMPTS
    assert counted("failed") == before + 1
    assert [log["log_level"] for log in logs] == ["warning"]


def test_nobody_is_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT", 0.05)
    before = counted("failed")

    async def hang() -> None:
        server = await asyncio.start_server(lambda *_: asyncio.sleep(5), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        heartbeat = OutgoingHeartbeat(f"http://127.0.0.1:{port}/", 60.0, roles, no_pause)
        async with asyncio.timeout(5), httpx.AsyncClient() as client:
            await heartbeat.beat(client)
        server.close()

    asyncio.run(hang())
    assert counted("failed") == before + 1


def test_it_goes_on_a_little_before_its_interval() -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 50:
            raise asyncio.CancelledError

    with serving() as (peer, url), pytest.raises(asyncio.CancelledError):
        asyncio.run(OutgoingHeartbeat(url, 60.0, roles, pause).keep())
    assert len(peer.asked) == 50
    assert all(48 <= seconds <= 60 for seconds in pauses)
    assert len(set(pauses)) > 40


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "https://user:pw@host/x", "host/x", "https://host/x#y", "https://a b/"]
)
def test_what_is_no_web_address_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(BadSettings) as refused:
        load_settings(heartbeat_url=url)
    assert "TOCSIN_HEARTBEAT_URL" in str(refused.value)
    assert url not in str(refused.value)


def test_its_url_does_not_show() -> None:
    settings = load_settings(heartbeat_url=f"https://beats.example.test/{SECRET}?a={SECRET}")
    assert SECRET not in repr(settings)
