"""Who changed what of the configuration, and when: read from the events, which are its only record."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from domain.changes import ObjectPut
from domain.config import Standing
from domain.ids import config_stream, stream_kind
from gateway.auth import AtLeast
from gateway.blocking import in_thread
from gateway.objects import KINDS
from gateway.refusals import Refusal, documented
from gateway.state import Here
from schemas.api import ConfigChange, ConfigHistory
from schemas.config_differences import FieldChange, differences
from streams.applying import fields_of
from streams.store.base import Recorded, Store

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
CHUNK = 20
"""Events read at once: those of one apply stand together."""
TOLD = {**KINDS, "silences": "silence"}
"""Kinds of objects that have a history, by their names in paths: also those that have an API of their own."""
PERSONAL = FieldChange("personal data", None, None)

READS = documented("unauthenticated", "forbidden", "bad_request_fields", "unavailable")


def router() -> APIRouter:
    """The one route of the history. It has to stand before `/api/v1/config/{kind}`."""
    made = APIRouter(prefix="/api/v1/config", tags=["configuration"], dependencies=[Depends(AtLeast("admin"))])
    made.get("/history", summary="Who changed what", responses=READS)(show_history)
    return made


@in_thread
def show_history(
    here: Here,
    kind: Annotated[str | None, Query(max_length=40, description="with `id`: of one object; as in the path")] = None,
    id: Annotated[str | None, Query(max_length=63)] = None,  # noqa: A002 - the name in the API
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
) -> ConfigHistory:
    """Changes of the configuration or of one object, also one that was removed; newest first."""
    store, org = here.parts.store, here.parts.settings.org
    if (kind is None) != (id is None):
        raise Refusal("bad_request_fields", "`kind` and `id` belong together.", field="kind" if kind is None else "id")
    if kind is not None:
        if kind not in TOLD and kind not in TOLD.values():
            raise Refusal("bad_request_fields", "There is no such kind of object.", field="kind")
        found: Iterator[Recorded] = reversed(store.history(config_stream(org, TOLD.get(kind, kind), id or "")))
    else:
        found = newest_first(store)
    streams: dict[str, Sequence[Recorded]] = {}
    return ConfigHistory(changes=tuple(_told(store, event, streams) for event in islice(found, limit)))


def newest_first(store: Store) -> Iterator[Recorded]:
    """Every event of the configuration. Each names the revision it was decided on, so they are a chain backwards."""
    position, chunk = store.config().revision, dict[int, Recorded]()
    while position > 0:
        if position not in chunk:
            first = max(0, position - CHUNK)
            chunk = {event.position: event for event in store.tail(first, position - first)}
        event = chunk[position]
        yield event
        before = chunk.get(position - 1) or next(iter(store.tail(max(0, position - 2), 1)), None)
        position = position - 1 if _same_save(event, before) else event.decision.config_revision


def _same_save(event: Recorded, before: Recorded | None) -> bool:
    """Whether the event before in the log is of the same apply."""
    if before is None or stream_kind(before.stream) != "config":
        return False
    return before.decision.config_revision == event.decision.config_revision


def _told(store: Store, event: Recorded, streams: dict[str, Sequence[Recorded]]) -> ConfigChange:
    if event.stream not in streams:
        streams[event.stream] = store.history(event.stream)
    older = next((one for one in reversed(streams[event.stream]) if one.version == event.version - 1), None)
    before, after = _object(older), _object(event)
    cause = event.decision.cause
    named = after or before
    return ConfigChange(
        position=event.position,
        at=event.decision.decided_at,
        kind=named.kind if named else "",
        id=named.id if named else "",
        change="remove" if after is None else "create" if before is None else "update",
        version=event.version,
        actor=f"{cause.actor.kind}:{cause.actor.id}",
        origin=cause.origin,
        correlation_id=cause.correlation_id,
        fields=fields_of((*differences(before, after), *([PERSONAL] if _private(older) != _private(event) else []))),
    )


def _object(recorded: Recorded | None) -> Standing | None:
    return recorded.event.object if recorded and isinstance(recorded.event, ObjectPut) else None


def _private(recorded: Recorded | None) -> str | None:
    ref = recorded.event.private if recorded and isinstance(recorded.event, ObjectPut) else None
    return ref.digest if ref else None
