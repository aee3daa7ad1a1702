"""Serving the app with uvicorn, stopped by an event and not by signals: those belong to the composition root."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from gateway.protocol import Protocol

log = structlog.get_logger()

GRACE = 10.0
"""Seconds that requests have to finish once we stop."""
KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than proxies and Alertmanager keep theirs, so they close first."""
BACKLOG = 2048


class ServeError(Exception):
    """The gateway could not listen or start; the message says why."""


class _Server(uvicorn.Server):
    """uvicorn's server, without its signal handlers, and with word of its start."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    stopping: asyncio.Event,
    listening: Callable[[int], None] | None = None,
) -> None:
    """Serve `app` until `stopping` is set, then let requests finish for some seconds.

    Parameters:
        host, port: where to listen; port 0 takes a free one.
        listening: told the port once connections are accepted.

    Raises ServeError when the address is taken or the app does not start.
    """
    with _listener(host, port) as listener:
        server = _Server(
            uvicorn.Config(
                app,
                http=Protocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=int(GRACE),
            )
        )
        serving = asyncio.create_task(_serve(server, listener))
        try:
            await _first(serving, server.up.wait())
            if listening and server.up.is_set():
                listening(listener.getsockname()[1])
            await _first(serving, stopping.wait())
        finally:
            server.should_exit = True
            await serving


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    try:
        await server.serve(sockets=[listener])
    except SystemExit as error:  # uvicorn's way to say that the lifespan raised; it has logged what
        raise ServeError("the gateway's parts did not start; the log says why") from error


async def _first(serving: "asyncio.Task[None]", awaited: Coroutine[Any, Any, bool]) -> None:
    """Return when `awaited` has come, or when the server has ended before."""
    other = asyncio.create_task(awaited)
    try:
        await asyncio.wait({serving, other}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        other.cancel()


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ServeError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
