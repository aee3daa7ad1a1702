"""Configuration as the store has it: one stream per object, personal data beside it.

Objects change one at a time and their history grows for ever, so whoever knows a configuration reads what is new.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, LiteralString, Self

from pydantic import TypeAdapter

from domain import changes
from domain.config import Config, ContactMethod, Standing, User
from domain.decision import PayloadRef
from domain.references import Key
from domain.silences import Silence
from domain.windows import Window
from schemas.events import decode

OF_ALL: LiteralString = "originator_id >= 'config-' and originator_id < 'config.' and notification_id + 0 >= %(since)s"
"""Looks at every configuration event and at nothing else."""
OF_THE_LATEST: LiteralString = "left(originator_id, 7) = 'config-' and notification_id >= %(since)s"
"""Looks at every event from a position on, and at nothing before."""
NEAR = 20_000
"""Events that are looked through for the configuration's, rather than all of these."""
HEAD: LiteralString = "select coalesce(max(notification_id), 0) as head from stored_events"
CHANGED: LiteralString = """
select r.ref, p.body from unnest(%(refs)s::text[], %(there)s::bool[]) as r(ref, there)
left join payloads p on p.ref = r.ref where (p.body is not null) <> r.there
"""
"""Personal data that is gone since it was read, or was not there then and is."""

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


Rows = Callable[[LiteralString, Mapping[str, Any]], Sequence[Mapping[str, Any]]]
"""Asks the database: a statement and what it is asked with."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A configuration, with what it takes to go on from it.

    `objects` are what is configured. `private` tells of those with personal data where that is, and whether it was
    there. `tip` is the hash of the last configuration event.
    """

    config: Config = field(default_factory=Config)
    objects: Mapping[Key, Standing] = field(default_factory=dict)
    private: Mapping[Key, tuple[str, bool]] = field(default_factory=dict)
    tip: bytes = b""

    def after(
        self, rows: Iterable[Mapping[str, Any]], texts: Mapping[str, bytes | None] = MappingProxyType({})
    ) -> Self:
        """The configuration after these further events, in order of position.

        `texts` is the personal data that is not any more as it was, None where it is gone.
        """
        objects, private = {**self.objects}, {**self.private}
        for key, (ref, _) in self.private.items():
            if ref in texts:
                objects[key] = joined(public_part(objects[key]), texts[ref])
                private[key] = ref, texts[ref] is not None
        revision, tip = self.config.revision, self.tip
        for row in rows:
            revision, tip = row["position"], bytes(row["hash"])
            event = decode(row["topic"], bytes(row["state"])).data
            body = bytes(row["body"]) if row["body"] is not None else None
            apply(objects, event, body)
            _remember(private, event, body is not None)
        return type(self)(Config.of(revision, objects), objects, private, tip)


def read(rows: Rows, known: Compiled | None, revision: int) -> Compiled:
    """The configuration at its latest revision, which is `revision` or a later one.

    What was `known` before is gone on with, and only what came after it is read, unless the log is another one by now:
    after a restore it ends earlier, or has something else where the known one ends. `rows` blocks; raises Unavailable.
    """
    if known is not None and known.tip and known.config.revision < revision:
        since = known.config.revision
        is_near = rows(HEAD, {})[0]["head"] - since <= NEAR
        found = rows(_select(OF_THE_LATEST if is_near else OF_ALL), {"since": since})
        if found and found[0]["position"] == since and bytes(found[0]["hash"]) == known.tip:
            refs, there = zip(*known.private.values(), strict=True) if known.private else ((), ())
            changed = rows(CHANGED, {"refs": list(refs), "there": list(there)})
            return known.after(found[1:], {row["ref"]: row["body"] for row in changed})
    return Compiled().after(rows(_select(OF_ALL), {"since": 0}))


def _select(which: LiteralString) -> LiteralString:
    """Configuration events with their personal data, in order.

    They are sorted only when they are found: a planner that may read in this order reads the whole log.
    """
    return f"""
with e as materialized (select notification_id, topic, state, hash from stored_events where {which})
select e.notification_id as position, e.topic, e.state, e.hash, p.body
from e left join payloads p on p.ref = convert_from(e.state, 'UTF8')::jsonb #>> '{{data,private,ref}}'
order by e.notification_id
"""


def _remember(private: dict[Key, tuple[str, bool]], event: object, is_there: bool) -> None:
    match event:
        case changes.ObjectPut(object=item, private=PayloadRef(ref=ref)):
            private[item.kind, item.id] = ref, is_there
        case changes.ObjectPut(object=item):
            private.pop((item.kind, item.id), None)
        case changes.ObjectRemoved(kind=kind, id=name):
            private.pop((kind, name), None)


def apply(objects: dict[Key, Standing], event: object, private: bytes | None) -> None:
    """Bring `objects` to the state after one configuration event."""
    match event:
        case changes.ObjectPut():
            objects[event.object.kind, event.object.id] = joined(event.object, private)
        case changes.ObjectRemoved():
            objects.pop((event.kind, event.id), None)
        case _:
            raise TypeError(f"not a configuration event: {type(event).__name__}")
