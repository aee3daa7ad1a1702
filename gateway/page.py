"""The page of one incident, to which messages link: it asks for an API key, then shows and acts over the API.

It holds nothing itself and is the same for every incident, so anybody may have it. Opened for a merged incident it goes
to what is worked on instead, which only its script can know; with `?redirect=false` it shows the merged one.
"""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from gateway.openapi import ONLY_OURSELVES

PAGE = Path(__file__).parent / "static" / "incident.html"
HEADERS = {
    "Content-Security-Policy": f"{ONLY_OURSELVES}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def router() -> APIRouter:
    """The page."""
    made = APIRouter(include_in_schema=False)
    made.get("/incidents/{ref}")(show_page)
    return made


async def show_page(ref: str) -> HTMLResponse:
    """The page; `ref` is read by itself."""
    return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers=HEADERS)
