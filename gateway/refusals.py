"""How a no is said: every refusal and every failure becomes a problem document (RFC 9457)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from domain.decision import Refused
from gateway.intake import IntakeUnavailable, ReceiptTooLarge
from projections.queries import BadCursor
from schemas.config_errors import ConfigError, ConfigErrors, path_text
from schemas.problems import KINDS, MEDIA_TYPE, Problem, ProblemName, headers, of_bad_body, problem
from schemas.sources import BadBody
from streams.store.base import Conflict, StoreError

log = structlog.get_logger()

Handler = Callable[[Request, Any], Awaitable[Response]]


class Refusal(Exception):
    """Something that the gateway itself refuses. See `schemas.problems.problem` for the parameters."""

    def __init__(self, name: ProblemName, detail: str, *, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.name, self.detail, self.field, self.remedy = name, detail, field, remedy


def documented(*names: ProblemName) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI responses of a route that may refuse with these problems."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in sorted((KINDS[name] for name in ("internal", *names)), key=lambda kind: kind.status):
        answer = found.setdefault(kind.status, {"description": "", "content": {MEDIA_TYPE: {"schema": _PROBLEM}}})
        answer["description"] = "; ".join(filter(None, (answer["description"], f"{kind.title} (`{kind.name}`)")))
    return found


_PROBLEM = {"$ref": "#/components/schemas/Problem"}


def answer(request: Request, document: Problem, extra: Mapping[str, Any] | None = None) -> JSONResponse:
    """The response that says `document`, with `extra` extension members."""
    named = document.model_copy(update={"instance": request.scope["path"], "request_id": request_id_of(request)})
    sent = headers(named)
    if named.status == 413:
        sent["Connection"] = "close"  # or the server would read the rest, however long
    content = {**named.document(), **(extra or {})}
    return JSONResponse(content, named.status, sent, media_type=MEDIA_TYPE)


def request_id_of(request: Request) -> str:
    """The id under which the log knows this request."""
    return str(request.scope["state"]["request_id"])


def install(app: FastAPI) -> None:
    """Give `app` an answer for everything that its routes raise."""
    handlers: Mapping[type[Exception], Handler] = {
        Refusal: _refusal,
        Refused: _refused,
        BadBody: _bad_body,
        BadCursor: _bad_cursor,
        ConfigErrors: _config_errors,
        RequestValidationError: _bad_fields,
        HTTPException: _http,
        Conflict: _conflict,
        StoreError: _unavailable,
        IntakeUnavailable: _unavailable,
        ReceiptTooLarge: _too_large,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _refusal(request: Request, error: Refusal) -> Response:
    return answer(request, problem(error.name, error.detail, field=error.field, remedy=error.remedy))


async def _refused(request: Request, error: Refused) -> Response:
    name = cast(ProblemName, error.code) if error.code in KINDS else "conflict"
    return answer(request, problem(name, error.detail, field=error.field, remedy=error.remedy))


async def _bad_body(request: Request, error: BadBody) -> Response:
    return answer(request, of_bad_body(error))


async def _bad_cursor(request: Request, _: BadCursor) -> Response:
    remedy = "Take `next_cursor` of the page before, or leave it out for the first page."
    return answer(
        request, problem("bad_request_fields", "The cursor is not one of ours.", field="cursor", remedy=remedy)
    )


async def _config_errors(request: Request, error: ConfigErrors) -> Response:
    count = len(error.errors)
    detail = f"The configuration has {count} error{'' if count == 1 else 's'}; nothing was changed."
    document = problem("bad_request_fields", detail, field="documents", remedy="Correct what `errors` lists.")
    return answer(request, document, {"errors": [_config_error(one) for one in error.errors]})


def _config_error(error: ConfigError) -> dict[str, Any]:
    return {
        "file": error.file,
        "line": error.line,
        "column": error.column,
        "path": path_text(error.path),
        "problem": error.problem,
        "remedy": error.remedy,
    }


async def _bad_fields(request: Request, error: RequestValidationError) -> Response:
    return answer(request, of_fields(error.errors()))


def of_fields(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """The problem for what pydantic found wrong, without quoting what was sent."""
    first, *more = errors
    where = ".".join(str(part) for part in first["loc"] if part not in ("query", "path", "header", "body"))
    beside = f" ({len(more)} more)" if more else ""
    return problem("bad_request_fields", f"{where or 'The body'}: {first['msg']}{beside}", field=where or None)


_OF_STATUS: Mapping[int, ProblemName] = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "body_too_large",
    415: "unsupported_media_type",
}


async def _http(request: Request, error: HTTPException) -> Response:
    """What the framework itself refuses: unknown paths and methods."""
    name = _OF_STATUS.get(error.status_code, "bad_request_fields" if error.status_code < 500 else "internal")
    path, method = request.scope["path"], request.method
    detail = {
        "not_found": f"There is nothing at {path}.",
        "method_not_allowed": f"{path} does not answer to {method}.",
    }.get(name, str(error.detail))
    response = answer(request, problem(name, detail))
    response.headers.update(error.headers or {})
    return response


async def _conflict(request: Request, error: Conflict) -> Response:
    log.warning("gave up after conflicts", because=str(error))
    return answer(request, problem("conflict", "It kept changing while this was being decided."))


async def _unavailable(request: Request, error: StoreError | IntakeUnavailable) -> Response:
    log.warning("not available", because=str(error))
    return answer(request, problem("unavailable", f"{error}."))


async def _too_large(request: Request, error: ReceiptTooLarge) -> Response:
    return answer(request, problem("body_too_large", f"Normalised, {error}.", remedy="Send fewer alerts at once."))
