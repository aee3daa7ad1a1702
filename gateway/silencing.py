"""Setting a silence once: the same as at Alertmanager's address, with our refusals and an idempotency key."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from gateway.auth import Responder
from gateway.blocking import in_thread
from gateway.bodies import read_json_body, validated
from gateway.examples import SILENCE, json_body
from gateway.once import IdempotencyKey, Once, once_of
from gateway.refusals import documented
from gateway.silences import SETTING, Asked, silenced
from gateway.state import Here
from schemas.alertmanager_api import PostableSilence, SilenceSet

SETS = documented(*SETTING, "idempotency_key_reused")


def router() -> APIRouter:
    """The route."""
    made = APIRouter(prefix="/api/v1/silences", tags=["silences"])
    body = json_body(PostableSilence.model_json_schema(), silence=SILENCE)
    made.post("", summary="Set a silence once, or change one", responses=SETS, openapi_extra=body)(set_once)
    return made


async def asked_once(
    request: Request, here: Here, key: Responder, idempotency_key: IdempotencyKey = None
) -> tuple[Asked, Once | None]:
    """The body, read once the key is known, and what makes the request the same when it is asked again.

    Raises Refusal (400, 413, 415, 422).
    """
    raw = await read_json_body(request, here.parts.settings.max_body_bytes)
    once = once_of(request, raw, key, idempotency_key)
    return Asked(key, validated(PostableSilence, raw)), once


@in_thread
def set_once(
    request: Request, here: Here, wanted: Annotated[tuple[Asked, Once | None], Depends(asked_once)]
) -> SilenceSet:
    """As `POST /api/v2/silences`, which is Alertmanager's and knows no keys."""
    return silenced(here, request, *wanted)
