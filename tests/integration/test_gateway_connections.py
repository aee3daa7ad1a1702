"""How many may come at once, and how slowly: connections beyond the limit, and clients that do not read on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import protocol, server
from gateway.server import ServeError, serve
from tests.gateway_world import GatewayWorld

LIMIT = 3
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


class Crowd:
    """Clients of a gateway that serves three at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.streams: list[Stream] = []

    async def come(self) -> Stream:
        self.streams.append(await asyncio.open_connection("127.0.0.1", self._port))
        return self.streams[-1]

    async def ask(self, stream: Stream, path: str = "/healthz") -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer on this connection."""
        reader, writer = stream
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode().splitlines()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))

    async def leave(self) -> None:
        for _, writer in self.streams:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in self.streams), return_exceptions=True)


@asynccontextmanager
async def crowd(app: ASGIApp) -> AsyncIterator[Crowd]:
    stopping, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, stopping, port.set_result, LIMIT))
    made = Crowd(await asyncio.wait_for(port, 10))
    try:
        yield made
    finally:
        await made.leave()
        stopping.set()
        await asyncio.wait_for(task, 20)


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


async def test_one_too_many_is_told_so_and_the_others_go_on(world: GatewayWorld) -> None:
    before = metric("tocsin_http_connections_refused_total")
    async with crowd(world.app) as clients:
        served = [await clients.come() for _ in range(LIMIT)]
        for stream in served:
            assert (await clients.ask(stream, "/readyz"))[0] == 200
        assert metric("tocsin_http_connections") == LIMIT
        beyond = await clients.come()
        status, headers, body = await clients.ask(beyond, "/readyz")
        assert (status, headers["content-type"], headers["connection"]) == (503, "application/problem+json", "close")
        assert int(headers["retry-after"]) > 0
        assert json.loads(body)["type"] == "/problems/unavailable"
        assert await asyncio.wait_for(beyond[0].read(), 5) == b""
        assert metric("tocsin_http_connections_refused_total") == before + 1
        assert (await clients.ask(served[0], "/readyz"))[0] == 200


async def test_a_full_gateway_is_alive_and_takes_the_next_when_one_has_left(world: GatewayWorld) -> None:
    async with crowd(world.app) as clients:
        served = [await clients.come() for _ in range(LIMIT)]
        waiting = await clients.come()
        assert (await clients.ask(waiting))[0] == 200
        served[0][1].close()
        await served[0][1].wait_closed()
        await asyncio.sleep(0.1)
        assert (await clients.ask(waiting, "/readyz"))[0] == 200


async def test_far_too_many_are_closed_without_a_word(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "RESERVE", 1)
    async with crowd(world.app) as clients:
        for _ in range(LIMIT + 1):
            await clients.come()
        reader, _ = await clients.come()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert metric("tocsin_http_connections") == LIMIT + 1


async def test_a_request_beyond_the_limit_has_to_be_quick(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "RESERVE_ARRIVAL", 0.2)
    async with crowd(world.app) as clients:
        served = [await clients.come() for _ in range(LIMIT)]
        reader, writer = await clients.come()
        writer.write(b"GET /hea")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        assert (await clients.ask(served[0]))[0] == 200


async def test_an_answer_that_nobody_reads_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "TAKING", 0.3)
    ended = asyncio.Event()

    async def talks(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for _ in range(1000):
                await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        finally:
            ended.set()

    async with crowd(talks) as clients:
        _, writer = await clients.come()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(ended.wait(), 5)
        assert metric("tocsin_http_connections") == 0


@pytest.mark.parametrize(
    ("limits", "becomes"), [((1024, 4096), 1024), ((512, 4096), 1024), ((512, 1024), 1024), ((512, 1000), None)]
)
def test_a_process_may_open_as_many_files_as_connections_take(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], becomes: int | None
) -> None:
    monkeypatch.setattr("gateway.server.resource.getrlimit", lambda _: limits)
    set_to = [limits[0]]
    monkeypatch.setattr("gateway.server.resource.setrlimit", lambda _, found: set_to.append(found[0]))
    if becomes is None:
        with pytest.raises(ServeError, match="800 connections need 1024 open files, and 1000 are allowed"):
            server._allow(server.CONNECTIONS)
    else:
        server._allow(server.CONNECTIONS)
        assert set_to[-1] == becomes


def test_monitors_may_ask_with_head(world: GatewayWorld) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert world.request("HEAD", path).status_code == 200
    assert world.request("HEAD", "/metrics", peer="192.0.2.1").status_code == 401
    assert world.request("HEAD", "/api/v1/incidents").status_code == 405
