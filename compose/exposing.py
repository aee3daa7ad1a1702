"""What a role counts, for Prometheus: `/metrics` on a port of its own, and `/healthz` for whoever restarts it.

It answers from the role's own event loop, so that a role which hangs does not answer. The server is the gateway's,
with its bounds and time-outs (`gateway/server.py`). Nobody has to say who they are: the address it listens on decides
who can ask, and that is this machine alone unless TOCSIN_METRICS_HOST says otherwise.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.exposition import metrics
from gateway.server import serve
from schemas.settings import Settings

log = structlog.get_logger()

CONNECTIONS = 16
"""Open at once; one more is refused."""


@asynccontextmanager
async def exposed(settings: Settings) -> AsyncIterator[None]:
    """Serve what this process counts beside the body, if the settings name a port.

    Raises ServeError when the port is taken.
    """
    if settings.metrics_port is None:
        yield
        return
    ended, listens = asyncio.Event(), asyncio.Event()
    app = Starlette(routes=[Route("/metrics", metrics), Route("/healthz", _healthz)])
    serving = asyncio.create_task(
        serve(app, settings.metrics_host, settings.metrics_port, ended, lambda _: listens.set(), CONNECTIONS),
        name="metrics",
    )
    first = asyncio.create_task(listens.wait())
    await asyncio.wait({serving, first}, return_when=asyncio.FIRST_COMPLETED)
    first.cancel()
    try:
        if not serving.done():
            log.info("metrics are served", host=settings.metrics_host, port=settings.metrics_port)
            yield
    finally:
        ended.set()
        await serving


async def _healthz(_: Request) -> Response:
    """Whoever can answer is alive."""
    return PlainTextResponse("ok\n")
