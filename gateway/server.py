"""Serving the app with uvicorn, stopped by an event and not by signals: those belong to the composition root."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from gateway.protocol import RESERVE, Protocol

log = structlog.get_logger()

GRACE = 10.0
"""Seconds that requests have to finish once we stop."""
KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than proxies and Alertmanager keep theirs, so they close first."""
BACKLOG = 2048
OTHER_FILES = 174
"""Beside connections of clients: those to Kafka and Postgres, logs, libraries."""
CONNECTIONS = 800
"""Open at once, unless the caller says otherwise: within the 1,024 files that a process may open where nobody cares."""


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
    connections: int = CONNECTIONS,
) -> None:
    """Serve `app` until `stopping` is set, then let requests finish for some seconds.

    Parameters:
        host, port: where to listen; port 0 takes a free one.
        listening: told the port once connections are accepted.
        connections: the most that are served at once; see `gateway/protocol.py` for what becomes of more.

    Raises ServeError when the address is taken, so many files may not be opened or the app does not start.
    """
    _allow(connections)
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
                limit_concurrency=connections,
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


def _allow(connections: int) -> None:
    """Let this process open as many files as that takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + RESERVE + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ServeError(
            f"{connections} connections need {needed} open files, and {hard} are allowed: raise the limit (ulimit -n) "
            "or lower TOCSIN_GATEWAY_CONNECTIONS."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)  # a resolver's are negative
        raise ServeError(f"cannot listen on {host}:{port}: {why}.") from error
