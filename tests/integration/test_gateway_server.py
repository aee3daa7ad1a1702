"""The gateway as a server on a real socket: it starts, tells its port, and stops without cutting anybody off."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import blocking, server
from gateway.server import ServeError, serve
from schemas.received import AlertReceived
from tests.gateway_world import KEYS, TOKEN, GatewayWorld
from tests.world import alert, webhook


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld(max_body_bytes=4096) as made:
        yield made


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[tuple[str, asyncio.Event, "asyncio.Task[None]"]]:
    """The app's address, the event that stops it, and the task that serves."""
    stopping, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, stopping, port.set_result))
    try:
        yield f"http://127.0.0.1:{await asyncio.wait_for(port, 10)}", stopping, task
    finally:
        stopping.set()
        await asyncio.wait_for(task, 20)


async def test_a_webhook_over_a_real_socket(world: GatewayWorld) -> None:
    async with served(world.app) as (url, _, _), httpx.AsyncClient(base_url=url) as client:
        body = webhook([alert("Down", {}, world.now())])
        for _ in range(2):
            answered = await client.post("/alerts/webhook", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
            assert answered.status_code == 202
        assert "server" not in answered.headers
    assert len(world.intake.kept) == 2


async def test_the_connection_of_an_oversized_body_is_closed(world: GatewayWorld) -> None:
    async with served(world.app) as (url, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        head = f"POST /alerts/webhook HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        writer.write(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(8):
            writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_client_that_leaves_in_the_middle_harms_nobody(world: GatewayWorld) -> None:
    async with served(world.app) as (url, _, _), httpx.AsyncClient(base_url=url) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        head = (
            f"POST /alerts/webhook HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 99\r\n\r\n"
        )
        writer.write(head.encode() + b'{"version"')
        await writer.drain()
        writer.close()
        assert (await client.get("/healthz")).status_code == 200
    assert world.intake.kept == []


async def test_stopping_waits_for_requests_under_way(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()
    put = world.intake.put

    async def slow(receipt: AlertReceived, shards: int) -> None:
        arrived.set()
        await go_on.wait()
        await put(receipt, shards)

    monkeypatch.setattr(world.intake, "put", slow)
    async with served(world.app) as (url, stopping, task), httpx.AsyncClient(base_url=url) as client:
        body = webhook([alert("Down", {}, world.now())])
        headers = {"Authorization": f"Bearer {TOKEN}"}
        asking = asyncio.create_task(client.post("/alerts/webhook", json=body, headers=headers))
        await arrived.wait()
        stopping.set()
        await asyncio.sleep(0.3)
        assert not task.done()
        go_on.set()
        assert (await asking).status_code == 202


async def test_stopping_does_not_wait_for_ever(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(receipt: AlertReceived, shards: int) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(server, "GRACE", 1.0)
    monkeypatch.setattr(world.intake, "put", never)
    async with served(world.app) as (url, stopping, task), httpx.AsyncClient(base_url=url) as client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        asking = asyncio.create_task(
            client.post("/alerts/webhook", json=webhook([alert("Down", {}, world.now())]), headers=headers)
        )
        await asyncio.sleep(0.3)
        stopping.set()
        await asyncio.wait_for(task, 5)
        await asyncio.wait({asking}, timeout=5)
        assert asking.exception() is not None or asking.result().status_code >= 500


async def test_a_taken_port_is_said_in_a_sentence(world: GatewayWorld) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"cannot listen on 127.0.0.1:{port}"):
            await serve(world.app, "127.0.0.1", port, asyncio.Event())


async def test_parts_that_do_not_start_are_an_error() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.raises(ServeError, match="did not start"):
        await asyncio.wait_for(serve(broken, "127.0.0.1", 0, asyncio.Event()), 5)


async def test_a_database_that_stands_still_is_given_up_on(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking, "TIMEOUT", 0.2)
    world.queries.hangs = 1.0
    async with served(world.app) as (url, _, _), httpx.AsyncClient(base_url=url) as client:
        headers = {"Authorization": f"Bearer {KEYS['responder']}"}
        for path, method in (("/api/v1/incidents", "GET"), ("/api/v1/incidents/INC-1/ack", "POST")):
            answered = await client.request(method, path, headers=headers)
            assert answered.status_code == 503
            assert "did not answer within 0.2 s" in answered.json()["detail"]
