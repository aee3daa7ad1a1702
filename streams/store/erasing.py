"""Erasing texts for good: payloads lose body and salt, inbox and dead letters their bodies, and an event says so.

Events stay as they are: they hold ids, digests, and the label values that routing reads (ADR 5). What was erased and
why not everything could be is in `Erased`. The table's old row versions go when Postgres vacuums.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import DictRow

from domain.book import Book
from domain.decision import Actor, Cause
from domain.erasing import PayloadErased, erasure_stream
from domain.ids import config_stream
from streams.store.base import Save
from streams.store.connected import answers
from streams.store.deciding import TZ_VERSION
from streams.store.postgres import LOCK_TIMEOUT, SCHEMA, PostgresStore
from streams.store.recorder import Datastore, Prepared, Recorder
from streams.store.statements import Statements
from streams.store.writing import prepare, write_rows

Cursor = psycopg.Cursor[DictRow]
STATEMENT_TIMEOUT = 300.0
"""Seconds: a search reads every payload."""
REFS_PER_EVENT = 500

ALERT_REFS = """
select coalesce(state #>> '{data,payload,ref}', state #>> '{data,repeat,payload,ref}') as ref from (
    select convert_from(state, 'UTF8')::jsonb as state from stored_events
    where topic in ('group.alert_fired.v1', 'group.alert_refired.v1', 'group.alert_resolved.v1',
        'group.alert_severity_changed.v1', 'incident.severity_changed.v1')
) as e where state #>> %(path)s = %(value)s
"""
INCIDENT_REFS = """
select coalesce(state #>> '{data,text,ref}', state #>> '{data,words,ref}', state #>> '{data,repeat,payload,ref}') as ref
from (
    select convert_from(state, 'UTF8')::jsonb as state from stored_events where originator_id = %(value)s
) as e
"""
USER_REFS = """
select convert_from(state, 'UTF8')::jsonb #>> '{data,private,ref}' as ref from stored_events
where originator_id = %(value)s
"""


@dataclass(frozen=True, slots=True)
class What:
    """What is to be erased: exactly one of these is given. `text` is searched for in every payload."""

    alert: str | None = None
    incident: str | None = None
    user: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """What a request erased. Counts of rows.

    `on_their_way` are inbox rows that are not folded and forwarded yet: ask again later. `kept` are payloads of users
    who are still configured: remove them first. `in_events` are events that hold the text in a label or a title, which
    nothing erases. `position` is the log's afterwards.
    """

    payloads: int
    inbox: int
    dead_letters: int
    on_their_way: int
    kept: int
    in_events: int
    position: int


class StillConfigured(Exception):
    """A user's data cannot be erased while the configuration has the user: their pages would reach nobody."""


def erase(dsn: str, org: str, what: What, reason: str, request: str, now: datetime, schema: str = SCHEMA) -> Erased:
    """Erase, in one transaction.

    Parameters:
        dsn: libpq connection string of the store.
        reason: a reference of whoever asked; public and kept for ever.
        request: a fresh id; it names the stream of the event.
        now: UTC.

    Raises StillConfigured, Conflict when the configuration changed meanwhile, Unavailable.
    """
    store = PostgresStore(dsn, 1, STATEMENT_TIMEOUT, schema=schema)
    recorder = Recorder(Datastore(dsn, schema, 2, STATEMENT_TIMEOUT, LOCK_TIMEOUT))
    try:
        config = store.config()
        if what.user is not None and what.user in config.users:
            raise StillConfigured(what.user)
        current = [config_stream(org, "user", user) for user in config.users]
        with answers(), recorder.transaction() as cursor:
            found = _found(cursor, org, what)
            kept = [ref for ref in found if ref.rpartition("/")[0] in current]
            refs = [ref for ref in found if ref not in set(kept)]
        book = Book(org, config, store.load([erasure_stream(org, request)]), tz_version=TZ_VERSION)
        cause = Cause(Actor("system", "cli"), "cli", f"command/{request}", request, request)
        stream = erasure_stream(org, request)
        book.begin(cause, now, (stream,))
        for start in range(0, len(refs), REFS_PER_EVENT):
            book.write(stream, PayloadErased(tuple(refs[start : start + REFS_PER_EVENT]), reason))
        return _saved(recorder, book, refs, len(kept), what)
    finally:
        recorder.datastore.close()
        store.close()


def _saved(recorder: Recorder, book: Book, refs: Sequence[str], kept: int, what: What) -> Erased:
    counts: dict[str, int] = {}

    def sending(sends: Statements) -> Prepared:
        prepared = prepare(book)
        write_rows(sends, Save(book))
        return prepared

    def blank(cursor: Cursor) -> None:
        counts.update(_blank(cursor, refs, what), in_events=_in_events(cursor, what))

    with answers():
        position = recorder.save(sending, blank)
    return Erased(payloads=len(refs), kept=kept, position=position, **counts)


def _found(cursor: Cursor, org: str, what: What) -> list[str]:
    """The references of the payloads that are there to be erased, in order."""
    queries: list[tuple[str, dict[str, Any]]] = []
    if what.alert is not None:
        queries.append((ALERT_REFS, {"path": "{data,alert}", "value": what.alert}))
    if what.incident is not None:
        queries.append((ALERT_REFS, {"path": "{data,incident}", "value": what.incident}))
        queries.append((INCIDENT_REFS, {"value": what.incident}))
    if what.user is not None:
        queries.append((USER_REFS, {"value": config_stream(org, "user", what.user)}))
    if what.text is not None:
        queries.append(("select ref from payloads where " + _contains("body"), {"forms": forms(what.text)}))
    named = {row["ref"] for query, params in queries for row in cursor.execute(query.encode(), params)}
    rows = cursor.execute(
        "select ref from payloads where ref = any(%s) and body is not null order by ref", (sorted(named - {None}),)
    )
    return [row["ref"] for row in rows]


def forms(text: str) -> list[bytes]:
    """The bytes that a text may have in a body: as it is, and as JSON writes it."""
    written = (text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1])
    return sorted({form.encode("utf-8", "surrogatepass") for form in written})


def _contains(column: str) -> str:
    return f"exists (select from unnest(%(forms)s::bytea[]) as f(form) where position(form in {column}) > 0)"


def _blank(cursor: Cursor, refs: Sequence[str], what: What) -> dict[str, int]:
    receipts = sorted({ref.split("/")[1] for ref in refs if ref.startswith("alert/")})
    params = {"refs": list(refs), "receipts": receipts, "forms": forms(what.text) if what.text else []}
    concerned = f"(receipt = any(%(receipts)s) or {_contains('body')})"
    done = "folded_at is not null and forwarded_at is not null"
    cursor.execute("update payloads set salt = null, body = null where ref = any(%(refs)s)", params)
    cursor.execute(
        f"update inbox set body = '' where {done} and body <> '' and {concerned}".encode(),
        params,
    )
    inbox = cursor.rowcount
    cursor.execute(f"update dead_letters set body = null where body is not null and {concerned}".encode(), params)
    dead = cursor.rowcount
    cursor.execute(f"select count(*) as n from inbox where not ({done}) and {concerned}".encode(), params)
    row = cursor.fetchone()
    return {"inbox": inbox, "dead_letters": dead, "on_their_way": row["n"] if row else 0}


def _in_events(cursor: Cursor, what: What) -> int:
    if what.text is None:
        return 0
    query = f"select count(*) as n from stored_events where {_contains('state')}"
    row = cursor.execute(query.encode(), {"forms": forms(what.text)}).fetchone()
    return int(row["n"]) if row else 0
