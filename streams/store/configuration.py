"""Configuration as the store has it: one stream per object, personal data beside it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from domain import changes
from domain.config import Config, ContactMethod, Standing, User
from domain.silences import Silence
from domain.windows import Window
from schemas.events import decode

SELECT = """
with e as materialized (
    select notification_id, topic, state from stored_events
    where originator_id >= 'config-' and originator_id < 'config.'
)
select e.notification_id as position, e.topic, e.state, p.body
from e left join payloads p on p.ref = convert_from(e.state, 'UTF8')::jsonb #>> '{data,private,ref}'
order by e.notification_id
"""
"""Sorted only when they are found: a planner that may read in this order reads the whole log."""

PRIVATE = TypeAdapter(dict[str, Any])
CONTACTS = TypeAdapter(tuple[ContactMethod, ...])


def public_part(item: Standing) -> Standing:
    """The object without personal data: what an event may hold. A team's contacts are no person's, and stay."""
    match item:
        case User():
            return replace(item, name="", contacts=())
        case Silence() | Window():
            return replace(item, author="", comment="")
        case _:
            return item


def private_part(item: Standing) -> bytes | None:
    """The personal data of an object as bytes for a payload, None when it has none."""
    match item:
        case User():
            contacts = [{"channel": c.channel, "address": c.address} for c in item.contacts]
            return PRIVATE.dump_json({"name": item.name, "contacts": contacts})
        case Silence() | Window():
            return PRIVATE.dump_json({"author": item.author, "comment": item.comment})
        case _:
            return None


def joined(item: Standing, private: bytes | None) -> Standing:
    """The whole object again; personal data that was erased is absent."""
    if private is None:
        return item
    body = PRIVATE.validate_json(private)
    match item:
        case User():
            return replace(item, name=str(body["name"]), contacts=CONTACTS.validate_python(body["contacts"]))
        case Silence() | Window():
            return replace(item, author=str(body["author"]), comment=str(body["comment"]))
        case _:
            return item


def compile_config(rows: Iterable[Mapping[str, Any]]) -> Config:
    """The configuration after these events, in order of position."""
    objects: dict[tuple[str, str], Standing] = {}
    revision = 0
    for row in rows:
        revision = row["position"]
        event = decode(row["topic"], bytes(row["state"])).data
        apply(objects, event, bytes(row["body"]) if row["body"] is not None else None)
    return Config.of(revision, objects)


def apply(objects: dict[tuple[str, str], Standing], event: object, private: bytes | None) -> None:
    """Bring `objects` to the state after one configuration event."""
    match event:
        case changes.ObjectPut():
            objects[event.object.kind, event.object.id] = joined(event.object, private)
        case changes.ObjectRemoved():
            objects.pop((event.kind, event.id), None)
        case _:
            raise TypeError(f"not a configuration event: {type(event).__name__}")
