"""The API's description, and a page that shows it without the internet: a pager is read where there is none."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from schemas.problems import Problem

TITLE, VERSION = "Tocsin", "1.0"
"""The API's version, not Tocsin's: its first number is in every path."""
DESCRIPTION = (
    "Alerts in, people paged, every decision on record. Errors are problem documents (RFC 9457); "
    "`X-Request-Id` is taken and echoed. A command answers a `position`: "
    "pass it as `min_position` to read your own write."
)
PAGE = Path(__file__).parent / "static" / "docs.html"
ONLY_OURSELVES = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


class Api(FastAPI):
    """FastAPI with our own description and without its pages, which load from elsewhere."""

    def __init__(self, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> None:
        super().__init__(
            title=TITLE,
            version=VERSION,
            description=DESCRIPTION,
            lifespan=lifespan,
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the one shape of every refusal."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for operation in (one for path in document["paths"].values() for one in path.values()):
                if "HTTPValidationError" in str(operation["responses"].get("422")):
                    del operation["responses"]["422"]  # FastAPI's guess: our problems are documented, or none can be
            for guessed in ("HTTPValidationError", "ValidationError"):
                schemas.pop(guessed, None)
            schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            self.openapi_schema = document
        return self.openapi_schema


def router() -> APIRouter:
    """The description and the page."""
    made = APIRouter(include_in_schema=False)
    made.get("/openapi.json")(describe)
    made.get("/docs")(show)
    return made


async def describe(request: Request) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


async def show() -> HTMLResponse:
    """The page, which may load nothing from anywhere else."""
    headers = {"Content-Security-Policy": ONLY_OURSELVES, "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(_page(), headers=headers)


def _page() -> str:
    return PAGE.read_text(encoding="utf-8")
