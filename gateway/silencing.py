"""Setting a silence once: the same as at Alertmanager's address, with our refusals and an idempotency key."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from gateway.acting import digest_of
from gateway.alerts import Key
from gateway.auth import Responder
from gateway.blocking import in_thread
from gateway.bodies import read_json_body, validated
from gateway.examples import SILENCE, json_body
from gateway.once import Once
from gateway.refusals import documented
from gateway.silences import Asked, silenced
from gateway.state import Here
from schemas.alertmanager_api import PostableSilence, SilenceSet

SETS = documented(
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "bad_json",
    "bad_request_fields",
    "idempotency_key_reused",
    "body_too_large",
    "unsupported_media_type",
    "unavailable",
)


def router() -> APIRouter:
    """The route."""
    made = APIRouter(prefix="/api/v1/silences", tags=["silences"])
    body = json_body(PostableSilence.model_json_schema(), silence=SILENCE)
    made.post("", summary="Set a silence once, or change one", responses=SETS, openapi_extra=body)(set_once)
    return made


async def asked_once(
    request: Request, here: Here, key: Responder, idempotency_key: Key = None
) -> tuple[Asked, Once | None]:
    """The body, read once the key is known, and what makes the request the same when it is asked again.

    Raises Refusal (400, 413, 415, 422).
    """
    raw = await read_json_body(request, here.parts.settings.max_body_bytes)
    once = Once(key.id, idempotency_key, digest_of(request, raw)) if idempotency_key is not None else None
    return Asked(key, validated(PostableSilence, raw)), once


@in_thread
def set_once(
    request: Request, here: Here, wanted: Annotated[tuple[Asked, Once | None], Depends(asked_once)]
) -> SilenceSet:
    """As `POST /api/v2/silences`, which is Alertmanager's and knows no keys."""
    return silenced(here, request, *wanted)
