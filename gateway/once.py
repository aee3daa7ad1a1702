"""Requests that are asked twice under one idempotency key and done once: what was answered is found, or kept.

The answer is kept in the save that it is about, for 24 hours.
"""

from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from gateway.parts import Parts
from gateway.refusals import Refusal
from streams.store.base import CommandRecord, Store

A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a command that is asked twice be decided once: who asks, under which key, and the request's sha256."""

    api_key: str
    key: str
    digest: bytes


def answered(store: Store, once: Once | None, answer: type[A]) -> tuple[A, int] | None:
    """What was answered to the same request, and the log's position then; None when it was not asked before.

    Raises Refusal (422) when another request came under its key.
    """
    known = store.answered(once.api_key, once.key) if once else None
    if known is None or once is None:
        return None
    if known.digest != once.digest:
        detail = "Another method, path or body was sent under this Idempotency-Key before."
        raise Refusal("idempotency_key_reused", detail, field="Idempotency-Key")
    return answer.model_validate_json(known.answer), known.position


def kept(parts: Parts, once: Once | None, answer: BaseModel) -> CommandRecord | None:
    """The answer as it is saved with what it is about; None for a request without a key."""
    if once is None:
        return None
    return CommandRecord(once.api_key, once.key, once.digest, answer.model_dump_json().encode(), parts.clock())
