"""Around every request: its id, one log line, its metrics, and an answer when nobody foresaw what happened."""

import re
from collections.abc import Callable
from time import perf_counter

import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, clear_contextvars

from gateway import metrics
from gateway.refusals import answer
from schemas.problems import problem

log = structlog.get_logger()

HEADER = b"x-request-id"
CLIENT_LEFT = 499
"""What is counted for a request whose sender did not wait for the answer (nginx's number for it)."""

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_GIVEN = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


class Requests:
    """ASGI middleware. `ids` gives an id to a request that brings none, or none that can be used."""

    def __init__(self, app: ASGIApp, ids: Callable[[], str]) -> None:
        self._app = app
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._identify(scope)
        started, status = perf_counter(), 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, told)
        except ClientDisconnect:
            status = CLIENT_LEFT
        except Exception:
            log.exception("request failed", path=scope["path"])
            if status:
                raise
            response = answer(Request(scope), problem("internal", "Nobody foresaw this."))
            await response(scope, receive, told)
        finally:
            _record(scope, status, perf_counter() - started)

    def _identify(self, scope: Scope) -> str:
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        request_id = given.decode() if _GIVEN.fullmatch(given) else self._ids()
        scope.setdefault("state", {})["request_id"] = request_id
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        return request_id


def _record(scope: Scope, status: int, seconds: float) -> None:
    """Count and log, by the route's template: a path or query that a client made up may hold a secret."""
    route = getattr(scope.get("route"), "path", "unmatched")
    method = scope["method"] if scope["method"] in METHODS else "other"
    metrics.requests(method, route, str(status)).inc()
    metrics.request_seconds(method, route).observe(seconds)
    write = log.debug if route in QUIET else log.info
    named = scope.get("path_params") or {}
    write("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **named)
