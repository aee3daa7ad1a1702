"""Configuration as the store has it: one stream per object, personal data beside it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from domain import changes
from domain.config import Config, ConfigObject, ContactMethod, User
from schemas.events import decode

SELECT = """
select e.notification_id as position, e.topic, e.state, p.body
from stored_events e
left join payloads p on p.ref = convert_from(e.state, 'UTF8')::jsonb #>> '{data,private,ref}'
where e.originator_id >= 'config-' and e.originator_id < 'config.'
order by e.notification_id
"""

PRIVATE = TypeAdapter(dict[str, Any])
CONTACTS = TypeAdapter(tuple[ContactMethod, ...])


def public_part(item: ConfigObject) -> ConfigObject:
    """The object without personal data: what an event may hold."""
    return replace(item, name="", contacts=()) if isinstance(item, User) else item


def private_part(item: ConfigObject) -> bytes | None:
    """The personal data of an object as bytes for a payload, None when it has none."""
    if not isinstance(item, User):
        return None
    body = {"name": item.name, "contacts": [{"channel": c.channel, "address": c.address} for c in item.contacts]}
    return PRIVATE.dump_json(body)


def joined(item: ConfigObject, private: bytes | None) -> ConfigObject:
    """The whole object again; personal data that was erased is absent."""
    if private is None or not isinstance(item, User):
        return item
    body = PRIVATE.validate_json(private)
    return replace(item, name=str(body["name"]), contacts=CONTACTS.validate_python(body["contacts"]))


def compile_config(rows: Iterable[Mapping[str, Any]]) -> Config:
    """The configuration after these events, in order of position."""
    objects: dict[tuple[str, str], ConfigObject] = {}
    revision = 0
    for row in rows:
        revision = row["position"]
        event = decode(row["topic"], bytes(row["state"])).data
        apply(objects, event, bytes(row["body"]) if row["body"] is not None else None)
    return Config.of(revision, objects)


def apply(objects: dict[tuple[str, str], ConfigObject], event: object, private: bytes | None) -> None:
    """Bring `objects` to the state after one configuration event."""
    match event:
        case changes.ObjectPut():
            objects[event.object.kind, event.object.id] = joined(event.object, private)
        case changes.ObjectRemoved():
            objects.pop((event.kind, event.id), None)
        case _:
            raise TypeError(f"not a configuration event: {type(event).__name__}")
