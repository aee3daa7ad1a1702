"""Changing the configuration: the objects as they should be, against those that are, as events with an author."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from domain import expiry, ids
from domain.book import Book
from domain.changes import ObjectPut, ObjectRemoved
from domain.config import Config, ConfigObject, Integration, RouteTree, hashes
from domain.decision import Cause, Refused
from domain.heartbeating import HEARTBEAT
from domain.heartbeats import Heartbeat
from domain.references import Key, Reference, dangling, without_channel
from domain.reviewing import REVIEW
from schemas.config_differences import FieldChange, differences
from streams.store.base import Save, Store
from streams.store.configuration import private_part, public_part
from streams.store.deciding import TZ_VERSION, decide

__all__ = ["ANYHOW", "Applied", "ChangeKind", "Expected", "Key", "apply", "objects_of"]

ChangeKind = Literal["create", "update", "remove"]
ROUTE: Key = ("route_tree", "default")
SUPPRESSING = frozenset({"route_tree", "service", "inhibition_rule", "time_interval", "window"})
"""Kinds of objects that decide of which alerts nothing is said."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply changed, or would: (kind, id, change) in order, the revision and position afterwards.

    `fields` are the fields that each of `changes` changes; `versions` those of the changed objects afterwards.
    """

    changes: tuple[tuple[str, str, ChangeKind], ...]
    revision: int
    position: int
    fields: tuple[tuple[FieldChange, ...], ...] = ()
    versions: Mapping[Key, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expected:
    """What somebody saw who asks for a change: revisions of the configuration, versions of objects. None: any."""

    revisions: frozenset[int] | None = None
    versions: Mapping[Key, frozenset[int]] = field(default_factory=dict)


ANYHOW = Expected()


@dataclass(frozen=True, slots=True)
class _Plan:
    """The configuration as it is and as it is to be, and what turns the one into the other, in order of the keys."""

    before: Mapping[Key, ConfigObject]
    after: Mapping[Key, ConfigObject]
    changes: tuple[tuple[Key, ChangeKind], ...]


def objects_of(config: Config) -> dict[Key, ConfigObject]:
    """Every object of a configuration, keyed by (kind, id)."""
    every: list[ConfigObject] = [
        *config.users.values(),
        *config.teams.values(),
        *config.services.values(),
        *config.policies.values(),
        *config.integrations.values(),
        *config.api_keys.values(),
        *config.inhibition_rules.values(),
        *config.correlation_rules.values(),
        *config.intervals.values(),
        *config.windows.values(),
        *config.heartbeats.values(),
    ]
    if config.root is not None:
        every.append(RouteTree(config.root))
    return {(item.kind, item.id): item for item in every}


def difference(
    before: Mapping[Key, ConfigObject], after: Mapping[Key, ConfigObject]
) -> Iterator[tuple[Key, ChangeKind]]:
    """What turns `before` into `after`, in order of the keys."""
    for key in sorted(before.keys() | after.keys()):
        if key not in before:
            yield key, "create"
        elif key not in after:
            yield key, "remove"
        elif after[key] != before[key]:
            yield key, "update"


def apply(
    store: Store,
    org: str,
    objects: Mapping[Key, ConfigObject],
    cause: Cause,
    now: datetime,
    salt: bytes,
    prune: bool = False,
    dry_run: bool = False,
    removed: Collection[Key] = (),
    expected: Expected = ANYHOW,
) -> Applied:
    """Make the configuration what `objects` say.

    Parameters:
        objects: keyed by (kind, id); what is already so writes nothing.
        salt: random bytes that the digests of personal data are salted with.
        prune: also remove what `objects` does not name.
        dry_run: decide only.
        removed: what is to be removed besides; what is not there is no change.
        expected: what this is a change of.

    Raises Refused when it is not as `expected`, or when an object would name one that is not there; Conflict when
    somebody else changed the configuration meanwhile, again and again.
    """
    done: list[tuple[Book, _Plan]] = []

    def attempt() -> Save:
        config = store.config()
        _check(store, org, config, expected)
        plan = _plan(objects_of(config), objects, prune, removed)
        streams = store.load([ids.config_stream(org, *key) for key, _ in plan.changes])
        book = Book(org, config, streams, tz_version=TZ_VERSION)
        if not dry_run:
            for key, change in plan.changes:
                book.begin(cause, now, (ids.config_stream(org, *key),))
                _write(book, key, None if change == "remove" else plan.after[key], salt, now)
                book.end()
            if any(kind in SUPPRESSING for (kind, _), _ in plan.changes):
                book.wake(REVIEW, org, now)
            for name, expires_after in _sooner(plan.before, plan.after):
                expiry.watch_again(book, store.last_heard(name), expires_after)
        done.append((book, plan))
        return Save(book)

    position = _decide(store, attempt, alone=not dry_run and any(_sooner(objects_of(store.config()), objects)))
    book, plan = done[-1]
    return Applied(
        changes=tuple((*key, change) for key, change in plan.changes),
        revision=store.config().revision,
        position=position,
        fields=tuple(differences(plan.before.get(key), plan.after.get(key)) for key, _ in plan.changes),
        versions={key: book.streams[ids.config_stream(org, *key)].version for key, _ in plan.changes},
    )


def _decide(store: Store, attempt: Callable[[], Save], alone: bool) -> int:
    """As `decide`; with `alone` nobody else saves between what `attempt` reads and the save, so that nothing begins to
    fire by the configuration as it was and is not seen.
    """
    if not alone:
        return decide(store, attempt)
    with store.exclusive():
        save = attempt()
        return store.head() if save.is_empty else store.save(save)


def _sooner(before: Mapping[Key, ConfigObject], after: Mapping[Key, ConfigObject]) -> Iterator[tuple[str, float]]:
    """Integrations whose alerts may be over sooner than before, and after how many seconds of silence."""
    for key, item in after.items():
        if isinstance(item, Integration) and item.expires_after is not None:
            was = before.get(key)
            old = was.expires_after if isinstance(was, Integration) else None
            if old is None or item.expires_after < old:
                yield item.id, item.expires_after


def _plan(
    before: Mapping[Key, ConfigObject], objects: Mapping[Key, ConfigObject], prune: bool, removed: Collection[Key]
) -> _Plan:
    """What is to be changed. Raises Refused when the configuration would not hold together afterwards."""
    kept = {} if prune else {key: item for key, item in before.items() if key not in removed}
    after = {**kept, **{key: _kept(item, before.get(key)) for key, item in objects.items()}}
    changes = tuple(difference(before, after))
    _hold_together(after, {key for key, _ in changes})
    return _Plan(before, after, changes)


def _hold_together(after: Mapping[Key, ConfigObject], changed: Collection[Key]) -> None:
    """Raises Refused when a change leaves somebody naming what is not there or cannot be paged, or no route."""
    if ROUTE in changed and ROUTE not in after:
        raise Refused("referenced", "Without the route no alert could go anywhere.", "Put another in its place.")
    if broken := [ref for ref in dangling(after) if ref.by in changed or ref.to in changed]:
        kind, name = broken[0].to
        detail = f"There has to be a {kind} `{name}`, because it is named by {_listed(broken)}."
        raise Refused("referenced", detail, "Let these name another first, or change all in one apply.")
    if mute := [ref for ref in without_channel(after) if ref.by in changed or ref.to in changed]:
        team = mute[0].to[1]
        detail = f"The team `{team}` has to have an `email`, because its channel is paged by {_listed(mute)}."
        raise Refused("referenced", detail, f"Give `{team}` an `email`, or let these name a `role` in it.")
    _tell_apart(after, changed)


def _listed(references: Sequence[Reference]) -> str:
    """Who names the first one's object: five of them, and how many more."""
    by = [f"{ref.by[0]} `{ref.by[1]}` ({ref.path})" for ref in references if ref.to == references[0].to]
    more = f" and {len(by) - 5} more" if len(by) > 5 else ""
    return f"{', '.join(by[:5])}{more}"


def _tell_apart(after: Mapping[Key, ConfigObject], changed: Collection[Key]) -> None:
    """Raises Refused when a token would let in two: nobody could say who came."""
    owners: dict[str, Key] = {}
    for key in sorted(after):
        for digest in hashes(after[key]):
            owner = owners.setdefault(digest, key)
            if owner != key and (owner in changed or key in changed):
                detail = f"The {key[0]} `{key[1]}` has the same hash as the {owner[0]} `{owner[1]}`."
                raise Refused("bad_request_fields", detail, "Run `tocsin token` for one of its own.", field="hash")


def _check(store: Store, org: str, config: Config, expected: Expected) -> None:
    """Raises Refused when the configuration is not as somebody saw it."""
    if expected.revisions is not None and config.revision not in expected.revisions:
        raise _moved(f"The configuration is at revision {config.revision}.")
    for key, versions in expected.versions.items():
        stream = ids.config_stream(org, *key)
        version = store.load([stream])[stream].version
        if version not in versions:
            raise _moved(f"The {key[0]} `{key[1]}` is at version {version}.")


def _moved(detail: str) -> Refused:
    return Refused("precondition_failed", detail, "Read it again, then decide again.", field="If-Match")


def _kept(item: ConfigObject, before: ConfigObject | None) -> ConfigObject:
    """The object as it is to be; what has tokens that a file does not mention keeps those it has."""
    if not isinstance(item, Integration | Heartbeat) or item.token_hashes is not None:
        return item
    tokens = before.token_hashes if isinstance(before, Integration | Heartbeat) else ()
    return replace(item, token_hashes=tokens or ())


def _write(book: Book, key: Key, item: ConfigObject | None, salt: bytes, now: datetime) -> None:
    stream = ids.config_stream(book.org, *key)
    if key[0] == HEARTBEAT:
        book.ensure_due(*key, now)
    if item is None:
        book.write(stream, ObjectRemoved(*key))
        return
    private = private_part(item)
    version = book.streams[stream].version + 1
    ref = book.put_payload(f"{stream}/{version}", salt, private) if private else None
    book.write(stream, ObjectPut(public_part(item), ref))
