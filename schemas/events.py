"""How events are stored: canonical JSON, a version in every name, and the hash that chains a stream.

The stored bytes of an event hold its data, the decision behind it and the hash of the event before it in its
stream; the event's own hash covers stream, version, type and these bytes. Bytes that were hashed are never
rewritten.
"""

from dataclasses import dataclass, make_dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, cast

import orjson
from pydantic import TypeAdapter

from domain.decision import Decision
from domain.events import EVENT_TYPES, KINDS, Event, State

OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z


@dataclass(frozen=True, slots=True)
class Stored:
    """What the bytes of one event say. `prev` is the hex hash of the stream's previous event, empty for the first."""

    data: Event
    decision: Decision
    prev: str


class UnknownEvent(Exception):
    """The store holds an event type that this version does not know: it was written by a newer one."""


@cache
def _envelope(event_type: str) -> TypeAdapter[Any]:
    event = EVENT_TYPES.get(event_type)
    if event is None:
        raise UnknownEvent(f"event type {event_type!r} is unknown; run a version of Tocsin that knows it")
    return TypeAdapter(make_dataclass("Envelope", [("data", event), ("decision", Decision), ("prev", str)]))


def encode(event: Event, decision: Decision, prev: bytes) -> bytes:
    """The bytes to store. `prev` is the raw hash of the stream's previous event, empty for the first."""
    return orjson.dumps({"data": event, "decision": decision, "prev": prev.hex()}, default=dict, option=OPTIONS)


def decode(event_type: str, state: bytes) -> Stored:
    """Read stored bytes. Raises UnknownEvent for a newer type, pydantic's ValidationError for damaged bytes."""
    envelope = _envelope(event_type).validate_json(state)
    return Stored(envelope.data, envelope.decision, envelope.prev)


def decided_at(state: bytes) -> datetime:
    """When the event in these stored bytes was decided, by a look at nothing else; aware. Its type may be unknown."""
    return datetime.fromisoformat(orjson.loads(state)["decision"]["decided_at"])


def encode_state(state: State) -> bytes:
    """A snapshot of a stream's state: derived, disposable, never hashed."""
    return orjson.dumps(state, default=dict, option=OPTIONS | orjson.OPT_NON_STR_KEYS)


def decode_state(kind: str, body: bytes) -> State:
    """The state in a snapshot of a stream of `kind`. Raises pydantic's ValidationError for damaged bytes."""
    return cast(State, _state(kind).validate_json(body))


@cache
def _state(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(type(KINDS[kind].initial))


def hash_event(stream: str, version: int, event_type: str, state: bytes) -> bytes:
    """The hash (32 bytes) of one event: sha256 over stream, version, type and stored bytes, each with its length."""
    digest = sha256()
    for part in (stream.encode(), str(version).encode(), event_type.encode(), state):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
