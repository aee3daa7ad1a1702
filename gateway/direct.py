"""Routes that machines post to all day: found by their path, their endpoint called with the three things it needs.

FastAPI's search for a route and its resolution of dependencies take longer than all that a webhook needs done. The
signature remains one that FastAPI reads, so the description, the guard and the check that no route lacks one are those
of any route.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth import WebhookToken, guards
from gateway.state import gateway_of


class MachineRoute(APIRoute):
    """A route whose endpoint takes `(request, here, integration, **path parameters)` and returns a Response.

    `integration` is what its `WebhookToken` lets pass; path parameters are texts. Making a route without that guard
    raises ValueError.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[..., Awaitable[Response]] = self.endpoint
        (guard,) = (one for one in guards(self.dependant) if isinstance(one, WebhookToken))

        async def handle(request: Request) -> Response:
            here = await gateway_of(request)
            integration = await guard.admit(here, request)
            return await endpoint(request, here, integration, **request.path_params)

        return handle


class Direct:
    """ASGI middleware of `api`: whatever is posted to a `MachineRoute` without path parameters goes straight there."""

    def __init__(self, app: ASGIApp, api: FastAPI) -> None:
        self._app = app
        routes = (context.original_route for context in iter_route_contexts(api.routes))
        found = {
            route.path: route for route in routes if isinstance(route, MachineRoute) and not route.param_convertors
        }
        self._routes = {path: (route, route.get_route_handler()) for path, route in found.items()}
        self._refusing = ExceptionMiddleware(self._answer, api.exception_handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_machine = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self._routes
        await (self._refusing if is_machine else self._app)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"], handle = self._routes[scope["path"]]
        response = await handle(Request(scope, receive, send))
        await response(scope, receive, send)
