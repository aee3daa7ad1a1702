"""Changing the configuration: the objects as they should be, against those that are, as events with an author."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from domain import ids
from domain.book import Book
from domain.changes import ObjectPut, ObjectRemoved
from domain.config import Config, ConfigObject, Integration, RouteTree
from domain.decision import Cause
from streams.store.base import Save, Store
from streams.store.configuration import private_part, public_part
from streams.store.deciding import TZ_VERSION, decide

ChangeKind = Literal["create", "update", "remove"]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply changed, or would: (kind, id, change) in order, the revision and position afterwards."""

    changes: tuple[tuple[str, str, ChangeKind], ...]
    revision: int
    position: int


def objects_of(config: Config) -> dict[Key, ConfigObject]:
    """Every object of a configuration, keyed by (kind, id)."""
    every: list[ConfigObject] = [
        *config.users.values(),
        *config.teams.values(),
        *config.services.values(),
        *config.policies.values(),
        *config.integrations.values(),
        *config.api_keys.values(),
    ]
    if config.root is not None:
        every.append(RouteTree(config.root))
    return {(item.kind, item.id): item for item in every}


def difference(
    before: Mapping[Key, ConfigObject], after: Mapping[Key, ConfigObject], prune: bool
) -> Iterator[tuple[Key, ChangeKind]]:
    """What turns `before` into `after`, in order of the keys; what only `before` has is removed if `prune`."""
    for key in sorted(before.keys() | after.keys()):
        if key not in before:
            yield key, "create"
        elif key in after:
            if after[key] != before[key]:
                yield key, "update"
        elif prune:
            yield key, "remove"


def apply(
    store: Store,
    org: str,
    objects: Mapping[Key, ConfigObject],
    cause: Cause,
    now: datetime,
    salt: bytes,
    prune: bool = False,
    dry_run: bool = False,
) -> Applied:
    """Make the configuration what `objects` say.

    Parameters:
        objects: keyed by (kind, id); what is already so writes nothing.
        salt: random bytes that the digests of personal data are salted with.
        prune: also remove what `objects` does not name.
        dry_run: decide only.

    Raises Conflict when somebody else changed the configuration meanwhile, again and again.
    """
    changes: list[tuple[Key, ChangeKind]] = []
    wanted: dict[Key, ConfigObject] = {}

    def attempt() -> Save:
        config = store.config()
        before = objects_of(config)
        wanted.update({key: _kept(item, before.get(key)) for key, item in objects.items()})
        changes[:] = difference(before, wanted, prune)
        streams = [ids.config_stream(org, *key) for key, _ in changes]
        book = Book(org, config, store.load(streams), tz_version=TZ_VERSION)
        if not dry_run:
            for key, change in changes:
                book.begin(cause, now, (ids.config_stream(org, *key),))
                _write(book, key, None if change == "remove" else wanted[key], salt)
                book.end()
        return Save(book)

    position = decide(store, attempt)
    named = tuple((*key, change) for key, change in changes)
    return Applied(named, store.config().revision, position)


def _kept(item: ConfigObject, before: ConfigObject | None) -> ConfigObject:
    """The object as it is to be; an integration whose tokens a file does not mention keeps those it has."""
    if not isinstance(item, Integration) or item.token_hashes is not None:
        return item
    tokens = before.token_hashes if isinstance(before, Integration) else ()
    return replace(item, token_hashes=tokens or ())


def _write(book: Book, key: Key, item: ConfigObject | None, salt: bytes) -> None:
    stream = ids.config_stream(book.org, *key)
    if item is None:
        book.write(stream, ObjectRemoved(*key))
        return
    private = private_part(item)
    version = book.streams[stream].version + 1
    ref = book.put_payload(f"{stream}/{version}", salt, private) if private else None
    book.write(stream, ObjectPut(public_part(item), ref))
