"""What would become of an alert, over HTTP: decided on how things stand or stood, and not saved. For viewers."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from gateway.auth import Viewer
from gateway.blocking import in_thread
from gateway.bodies import read_json_body, validated
from gateway.examples import WEBHOOKS, json_body
from gateway.past import Past
from gateway.refusals import Refusal, documented
from gateway.state import Here
from schemas.api_explained import ExplainAnswer, ExplainRequest, write_answer
from schemas.explained import read_subject
from schemas.sources.parsed import BadBody
from streams.looking import View, look

AHEAD = timedelta(days=3660)
"""How far ahead of now may be asked."""
TO_COME = "That time is to come: what fires is taken to be as it is now."

ASKS = documented(
    "unauthenticated",
    "bad_json",
    "bad_request_fields",
    "body_too_large",
    "unsupported_media_type",
    "unavailable",
)


async def asked(request: Request, here: Here, key: Viewer) -> ExplainRequest:
    """The body, read once the key is known. Raises Refusal (400, 413, 415, 422)."""
    return validated(ExplainRequest, await read_json_body(request, here.parts.settings.max_body_bytes))


def router() -> APIRouter:
    """The one route."""
    made = APIRouter(prefix="/api/v1", tags=["alerts"])
    examples = {
        "labels": {"alert": {"alertname": "Down", "service": "payments"}},
        "webhook": {"alert": WEBHOOKS["alertmanager"]},
    }
    extra = json_body(ExplainRequest.model_json_schema(), **examples)
    made.post("/explain", summary="What would become of an alert", responses=ASKS, openapi_extra=extra)(explain)
    return made


@in_thread
def explain(here: Here, asked: Annotated[ExplainRequest, Depends(asked)]) -> ExplainAnswer:
    """Where it would go and why, what would keep it quiet, which incident it would open or join, who would be paged
    when if nobody answered. Nothing is saved and nobody is told.

    With `at` as things stood then: configuration, silences, what fired. A time to come takes what is set for it.
    """
    parts = here.parts
    now = parts.clock()
    at = asked.at or now
    if at > now + AHEAD:
        raise Refusal("bad_request_fields", "That is too far ahead.", field="at", remedy="Ask for an earlier time.")
    past = Past(parts.store, at) if at < now else None
    view: View = past or parts.store
    config = view.config()
    if config.tree is None:
        remedy = "Ask for a later time: `tocsin config history route` says since when there is one."
        raise Refusal("bad_request_fields", "No route was configured at that time.", field="at", remedy=remedy)
    try:
        subject = read_subject(asked.alert, config, asked.source, asked.integration)
    except BadBody as error:
        raise Refusal("bad_request_fields", error.problem, field=error.field or "alert", remedy=error.remedy) from None
    found = look(view, parts.settings.org, subject.integration, subject.alerts, at)
    notes = tuple(past.notes) if past else (TO_COME,) if at > now else ()
    return write_answer(found, config.revision, (*subject.notes, *notes))
