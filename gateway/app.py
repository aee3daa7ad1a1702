"""The gateway as one ASGI application, put together from the parts it is given."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from gateway import administration, incidents, openapi, operations, refusals, webhooks
from gateway.auth import refuse_unguarded
from gateway.configured import Configured
from gateway.parts import Parts
from gateway.readiness import Readiness
from gateway.requests import Requests
from gateway.state import Gateway

__all__ = ["Parts", "build"]


def build(parts: Parts) -> FastAPI:
    """The application. Its lifespan starts and closes `parts.intake` and keeps the configuration fresh.

    Raises RuntimeError when a route is neither public nor guarded.
    """
    gateway = Gateway(parts, Configured(parts.store.config), Readiness.of(parts))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeping = asyncio.create_task(gateway.configured.keep(), name="configuration")
        await parts.intake.start()
        try:
            yield
        finally:
            keeping.cancel()
            await parts.intake.close()

    app = openapi.Api(lifespan=lifespan)
    app.state.gateway = gateway
    for module in (webhooks, incidents, administration, operations, openapi):
        app.include_router(module.router())
    refuse_unguarded(iter_route_contexts(app.routes))
    app.add_middleware(Requests, ids=parts.ids)
    refusals.install(app)
    return app
