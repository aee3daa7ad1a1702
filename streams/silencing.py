"""Setting and ending silences: who did it is in the decision, what they wrote is beside the event."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from domain import ids, silences
from domain.book import Book
from domain.changes import ObjectPut, ObjectRemoved
from domain.config import Config
from domain.decision import Cause, Refused
from domain.reviewing import REVIEW
from domain.silences import Silence, SilenceState
from streams.store.base import CommandRecord, Save, Store
from streams.store.configuration import private_part, public_part
from streams.store.deciding import TZ_VERSION, decide

MOST = 10_000
"""Silences that are kept at once."""


def set_silence(
    store: Store,
    org: str,
    wanted: Silence,
    new_id: str,
    cause: Cause,
    now: datetime,
    salt: bytes,
    answer: Callable[[Silence], CommandRecord | None] = lambda _: None,
) -> Silence:
    """Create a silence, or change the one that `wanted` names; returns it as it then is.

    What cannot be changed is done by ending it and setting another, under `new_id`, as Alertmanager does. A start in
    the past becomes `now` (UTC). `salt`: random bytes for the digests of what was written. `answer`: what is kept in
    the same save for whoever asks the same again.

    Raises Conflict when that was answered meanwhile; Refused: `not_found` for an unknown id, `bad_request_fields` for
    times that are in the past or in the wrong order, `too_many` when there are too many.
    """
    done: list[Silence] = []

    def change(config: Config) -> tuple[Silence, ...]:
        before = config.silences.get(wanted.id)
        if wanted.id and before is None:
            raise Refused("not_found", f"There is no silence {wanted.id}.", "List them, and name one, or name none.")
        kept = silences.changed(before, wanted, now) if before else None
        _check_times(kept or wanted, now)
        if kept is None:
            _check_room(config)
        fresh = kept or replace(wanted, id=new_id, starts_at=max(wanted.starts_at, now), updated_at=now)
        done.append(fresh)
        gone = before is not None and kept is None and before.state_at(now) is not SilenceState.EXPIRED
        return (silences.ended(before, now), fresh) if before and gone else (fresh,)

    _save(store, org, change, cause, now, salt, lambda: answer(done[-1]))
    return done[-1]


def end_silence(store: Store, org: str, name: str, cause: Cause, now: datetime, salt: bytes) -> None:
    """Expire a silence; one that has expired stays as it is. Raises Refused (`not_found`)."""

    def change(config: Config) -> tuple[Silence, ...]:
        if name not in config.silences:
            raise Refused("not_found", f"There is no silence {name}.", "List them, and name one.")
        before = config.silences[name]
        after = silences.ended(before, now)
        return () if after == before else (after,)

    _save(store, org, change, cause, now, salt)


def forget_silences(store: Store, org: str, ended_before: datetime, cause: Cause, now: datetime) -> int:
    """Remove the silences that ended before a time (UTC); returns how many. The log keeps what they were."""
    gone: list[str] = []

    def attempt() -> Save:
        config = store.config()
        gone[:] = sorted(name for name, silence in config.silences.items() if silence.ends_at < ended_before)[:100]
        book = _book(store, org, config, gone)
        for name in gone:
            stream = ids.config_stream(org, "silence", name)
            book.begin(cause, now, (stream,))
            book.write(stream, ObjectRemoved("silence", name))
            book.end()
        return Save(book)

    decide(store, attempt)
    return len(gone)


def _check_times(wanted: Silence, now: datetime) -> None:
    if wanted.ends_at <= max(wanted.starts_at, now):
        problem = "It would end before it begins." if wanted.ends_at > now else "Its end is in the past."
        raise Refused("bad_request_fields", problem, "Name an end that is later.", field="endsAt")


def _check_room(config: Config) -> None:
    """Raises Refused when there are so many that none can be added; each of them may still be changed."""
    if len(config.silences) >= MOST:
        detail = f"There are {len(config.silences)} silences already."
        raise Refused("too_many", detail, "Those that ended are removed after some days; end what is not needed.")


def _save(
    store: Store,
    org: str,
    change: Callable[[Config], tuple[Silence, ...]],
    cause: Cause,
    now: datetime,
    salt: bytes,
    answer: Callable[[], CommandRecord | None] = lambda: None,
) -> None:
    def attempt() -> Save:
        config = store.config()
        after = change(config)
        book = _book(store, org, config, [silence.id for silence in after])
        for silence in after:
            stream = ids.config_stream(org, "silence", silence.id)
            book.begin(cause, now, (stream,))
            private = private_part(silence)
            ref = f"{stream}/{book.streams[stream].version + 1}"
            book.write(
                stream, ObjectPut(public_part(silence), book.put_payload(ref, salt, private) if private else None)
            )
            book.end()
        if after:
            book.wake(REVIEW, org, now)
        return Save(book, command=answer())

    decide(store, attempt)


def _book(store: Store, org: str, config: Config, names: list[str]) -> Book:
    streams = store.load([ids.config_stream(org, "silence", name) for name in names])
    return Book(org, config, streams, tz_version=TZ_VERSION)
