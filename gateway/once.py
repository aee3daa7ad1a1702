"""Requests that are asked twice under one idempotency key and done once: what was answered is found, or kept.

The answer is kept in the save that it is about, for 24 hours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Generic, TypeVar

from fastapi import Header, Request
from pydantic import BaseModel

from domain.book import Book
from domain.config import ApiKey, Config
from gateway.parts import Parts
from gateway.refusals import Refusal
from streams.store.base import CommandRecord, Save, Store
from streams.store.deciding import decide

A = TypeVar("A", bound=BaseModel)
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="the same request under the same key is decided once in 24 h, and answered the same",
    ),
]


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a command that is asked twice be decided once: who asks, under which key, and the request's sha256."""

    api_key: str
    key: str
    digest: bytes


def once_of(request: Request, body: bytes, api_key: ApiKey, key: str | None) -> Once | None:
    """What makes a request the same when it is asked again: its method, path and body; None without a `key`."""
    if key is None:
        return None
    digest = sha256()
    for part in (request.method.encode(), request.scope["path"].encode("utf-8", "surrogatepass"), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return Once(api_key.id, key, digest.digest())


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


@dataclass(frozen=True, slots=True)
class Done(Generic[A]):
    """An answer, the log's position with it, and whether it was given before."""

    answer: A
    position: int
    repeated: bool


def do_once(parts: Parts, once: Once | None, kind: type[A], attempt: Callable[[], tuple[Book, A]]) -> Done[A]:
    """What was answered to the same request, or what `attempt` (load and decide) answers, saved with its book. Blocks.

    Raises Refusal when another request came under its key; Conflict when others keep changing what it is about;
    Unavailable when Postgres does not answer; and whatever `attempt` raises.
    """
    done: list[Done[A]] = []

    def save() -> Save:
        before = answered(parts.store, once, kind)
        if before is not None:
            done.append(Done(*before, repeated=True))
            return Save(Book(parts.settings.org, Config(), {}))
        book, answer = attempt()
        done.append(Done(answer, 0, repeated=False))
        return Save(book, command=kept(parts, once, answer))

    position = decide(parts.store, save)
    last = done[-1]
    return last if last.repeated else Done(last.answer, position, repeated=False)
