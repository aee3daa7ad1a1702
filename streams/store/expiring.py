"""Texts of alerts that are not wanted any longer: blanked, with an event that says so, by an operator's setting.

It is what `streams.store.erasing` does at a person's request, for whatever is old enough: the chain still verifies, and
an audit says "input erased at N" (ADR 5).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

from domain.book import Book
from domain.decision import Actor, Cause
from domain.erasing import PayloadErased, erasure_stream
from streams.failpoints import effect
from streams.store.base import Save
from streams.store.connected import answers
from streams.store.deciding import TZ_VERSION
from streams.store.postgres import LOCK_TIMEOUT, SCHEMA, PostgresStore
from streams.store.recorder import Datastore, Prepared, Recorder
from streams.store.statements import Statements
from streams.store.writing import prepare, write_rows

STATEMENT_TIMEOUT = 30.0
"""Seconds."""
ALL = {"jit": "off"}
"""The planner's settings: what fires is read as a whole, once, and compared with what is old."""
REASON = "retention"

OLD: LiteralString = """
select ref from payloads p where ref like 'alert/%%' and body is not null and at < %(before)s
and not exists (select from alert_state where payload = p.ref and status = 'firing')
order by at limit %(limit)s
"""
BLANK: LiteralString = "update payloads set salt = null, body = null where ref = any(%(refs)s)"
DEAD: LiteralString = "update dead_letters set body = null where body is not null and at < %(before)s"


def expire(dsn: str, org: str, before: datetime, limit: int, request: str, now: datetime) -> int:
    """Blank up to `limit` texts of alerts that came before `before` and do not fire any more; returns how many.

    Parameters:
        before: by the database's clock, as texts carry it; bodies of dead letters go with them.
        request: a fresh id; it names the stream of the event.
        now: the application's time, UTC.

    One transaction; nothing is saved when there is nothing to blank. Blocks; raises Conflict when the configuration
    changed meanwhile, Unavailable.
    """
    store = PostgresStore(dsn, 1, STATEMENT_TIMEOUT)
    recorder = Recorder(Datastore(dsn, SCHEMA, 1, STATEMENT_TIMEOUT, LOCK_TIMEOUT, planner=ALL))
    try:
        with answers(), effect("blank_dead_letters"), recorder.transaction() as cursor:
            found = cursor.execute(OLD, {"before": before, "limit": limit}).fetchall()
            if len(found) < limit:  # the last of many calls
                cursor.execute(DEAD, {"before": before})
        refs = [row["ref"] for row in found]
        if refs:
            _save(recorder, _book(store, org, refs, request, now), refs)
        return len(refs)
    finally:
        recorder.datastore.close()
        store.close()


def _book(store: PostgresStore, org: str, refs: Sequence[str], request: str, now: datetime) -> Book:
    stream = erasure_stream(org, request)
    book = Book(org, store.config(), store.load([stream]), tz_version=TZ_VERSION)
    cause = Cause(Actor("system", "retention"), "retention", f"retention/{request}", request, request)
    book.begin(cause, now, (stream,))
    book.write(stream, PayloadErased(tuple(refs), REASON))
    return book


def _save(recorder: Recorder, book: Book, refs: Sequence[str]) -> None:
    def sending(sends: Statements) -> Prepared:
        prepared = prepare(book)
        write_rows(sends, Save(book))
        sends.execute(BLANK, {"refs": list(refs)})
        return prepared

    with answers():
        recorder.save(sending)
