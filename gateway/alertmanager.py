"""How a no is said to Alertmanager's clients: the status and one JSON string, which is what they print.

They look for no other media type, and know 400 where the rest of our API says 422.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any, cast

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from schemas.problems import KINDS, ProblemName

STATUSES = {422: 400}
"""Ours to theirs, where they differ."""
OWN_HEADERS = frozenset({"content-length", "content-type"})

Answering = Coroutine[Any, Any, Response]
Handler = Callable[[Request, Exception], Answering]


def documented(*names: ProblemName) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of a route that may refuse for these reasons."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in (KINDS[name] for name in ("internal", *names)):
        fresh = {"description": "", "content": {"application/json": {"schema": {"type": "string"}}}}
        one = found.setdefault(STATUSES.get(kind.status, kind.status), fresh)
        one["description"] = "; ".join(filter(None, (one["description"], f"{kind.title} (`{kind.name}`)")))
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


class AlertmanagerRoute(APIRoute):
    """A route whose refusals are what the app would answer, said in Alertmanager's way."""

    def get_route_handler(self) -> Callable[[Request], Answering]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                handlers = request.app.exception_handlers
                known = next((handlers[kind] for kind in type(error).__mro__ if kind in handlers), None)
                if known is None:
                    raise
                return _said(await cast(Handler, known)(request, error))

        return handled


def _said(problem: Response) -> Response:
    """A problem document as a sentence or two; its other headers stay."""
    document = json.loads(bytes(problem.body))
    headers = {name: value for name, value in problem.headers.items() if name not in OWN_HEADERS}
    sentence = f"{document['detail'].rstrip('.')}. {document['remedy']}"
    return JSONResponse(sentence, STATUSES.get(problem.status_code, problem.status_code), headers)
