"""The gateway as one ASGI application, put together from the parts it is given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from gateway import (
    acting,
    administration,
    alerts,
    config_history,
    elastic,
    explaining,
    heartbeats,
    incidents,
    objects,
    openapi,
    operations,
    page,
    reads,
    receipts,
    refusals,
    silences,
    silencing,
    webhooks,
)
from gateway.auth import refuse_unguarded
from gateway.configured import Configured
from gateway.direct import Direct
from gateway.outgoing import OutgoingHeartbeat
from gateway.parts import Parts
from gateway.readiness import Readiness
from gateway.requests import Requests
from gateway.standing import Standing
from gateway.state import Gateway
from streams.gateways import beating
from streams.notices import Herald
from streams.owned import Work, owned
from streams.watchdog import Watchdog

__all__ = ["Parts", "add_routes", "build"]


def build(parts: Parts) -> FastAPI:
    """The application. Its lifespan starts and closes `parts.intake` and keeps the configuration fresh.

    Raises RuntimeError when a route is neither public nor guarded.
    """
    configured, standing = Configured(parts.store.config), Standing(parts)
    gateway = Gateway(parts, configured, Readiness.of(parts, configured, standing), standing, parts.clock())
    herald = Herald(parts.settings.watchdog_team, parts.channels, lambda: configured.known)
    watchdog = Watchdog(standing.visible, herald, parts.outages, parts.clock, parts.settings.watchdog_after)
    works: dict[str, Work] = {
        "configuration": configured.keep,
        "ends": parts.ends.keep,
        "standing": standing.watch,
        "watchdog": watchdog.watch,
        "heartbeat": partial(beating, parts.heartbeat),
    }
    if parts.settings.heartbeat_url is not None:
        url, interval = parts.settings.heartbeat_url.get_secret_value(), parts.settings.heartbeat_interval
        works["outgoing heartbeat"] = OutgoingHeartbeat(url, interval, standing.visible).keep

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await parts.intake.start()
        try:
            async with owned(works):
                yield
        finally:
            await parts.intake.close()

    app = openapi.Api(lifespan=lifespan)
    app.state.gateway = gateway
    add_routes(app)
    app.add_middleware(Direct, api=app)
    app.add_middleware(Requests, ids=parts.ids)
    refusals.install(app)
    return app


def add_routes(app: FastAPI) -> None:
    """Every route, for a gateway or for a description of one. Raises RuntimeError, see `build`."""
    for module in (
        webhooks,
        elastic,
        receipts,
        incidents,
        reads,
        alerts,
        acting,
        explaining,
        administration,
        heartbeats,
        config_history,
        objects,
        silences,
        silencing,
        operations,
        openapi,
        page,
    ):
        app.include_router(module.router())
    refuse_unguarded(iter_route_contexts(app.routes))
