"""The store in Postgres.

A save takes the insert lock first, then rows in key order, and refuses as a whole when anything that was looked at
has moved. Committed states are kept in a bounded cache: a stale one is harmless, because the save compares versions.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from operator import itemgetter
from typing import Any, LiteralString, cast

import psycopg
from psycopg.rows import DictRow

from domain.alerts import AlertRow, AlertStatus
from domain.book import Loaded, PendingPage
from domain.config import Config
from domain.events import evolve
from domain.ids import stream_kind
from domain.severity import Severity
from schemas.events import decided_at, decode, decode_state
from streams.store import configuration, writing
from streams.store.base import (
    FiringAlert,
    Identity,
    RawEvent,
    Recorded,
    Save,
)
from streams.store.claims import Claims
from streams.store.connected import answers
from streams.store.correlating import Correlating
from streams.store.hearing import Hearing
from streams.store.inhibiting import Inhibiting
from streams.store.inputs import Inputs
from streams.store.limits import CONNECT_TIMEOUT, connect
from streams.store.pings import Pings
from streams.store.recorder import Extra, Prepared, nothing
from streams.store.statements import Statements

SCHEMA = "tocsin"
CACHED_STREAMS = 50_000
POOL_SIZE = 8
STATEMENT_TIMEOUT = 10.0
LOCK_TIMEOUT = 5.0
COLUMNS: LiteralString = "originator_id, originator_version, topic, state, notification_id, hash"
DECIDED_AT: LiteralString = "(convert_from(state, 'UTF8')::jsonb #>> '{decision,decided_at}')::timestamptz"


class _TakenBack(Exception):
    """Ends the transaction of a rehearsal."""


class PostgresStore(Inputs, Claims, Inhibiting, Correlating, Pings, Hearing):
    """See `streams.store.base.Store`.

    Parameters:
        dsn: libpq connection string of a migrated database.
        pool_size: connections at most; statement_timeout and lock_timeout in seconds.
        schema: where the tables are.

    One instance serves the threads of one process, but only one of them may `wait`.
    """

    def __init__(
        self,
        dsn: str,
        pool_size: int = POOL_SIZE,
        statement_timeout: float = STATEMENT_TIMEOUT,
        lock_timeout: float = LOCK_TIMEOUT,
        schema: str = SCHEMA,
    ) -> None:
        super().__init__(dsn, schema, pool_size, statement_timeout, lock_timeout)
        self._cache: OrderedDict[str, Loaded] = OrderedDict()
        self._cache_lock = threading.Lock()
        self._config: configuration.Compiled | None = None
        self._listener: psycopg.Connection[Any] | None = None

    # -- streams -------------------------------------------------------------------------------------------------

    def load(self, streams: Collection[str]) -> dict[str, Loaded]:
        found = self._cached(streams)
        missing = [stream for stream in streams if stream not in found]
        if missing:
            fresh = {stream: Loaded.absent(stream) for stream in missing} | self._snapshots(missing)
            rows = self._rows(
                f"select {COLUMNS} from stored_events"
                " join unnest(%b::text[], %b::bigint[]) as r(stream, version)"
                " on originator_id = r.stream and originator_version > r.version",
                (missing, [fresh[stream].version for stream in missing]),
            )
            for row in sorted(rows, key=itemgetter("originator_id", "originator_version")):
                event = decode(row["topic"], bytes(row["state"]))
                stream, version = row["originator_id"], row["originator_version"]
                state = evolve(stream, fresh[stream].state, event.data)
                fresh[stream] = Loaded(state, version, bytes(row["hash"]), event.decision.decided_at)
            self._remember({stream: loaded for stream, loaded in fresh.items() if loaded.version})
            found |= fresh
        return found

    def _snapshots(self, streams: Collection[str]) -> dict[str, Loaded]:
        rows = self._rows("select * from snapshots where stream = any(%s)", (list(streams),))
        return {
            row["stream"]: Loaded(
                state=decode_state(stream_kind(row["stream"]), bytes(row["state"])),
                version=row["version"],
                tip=bytes(row["tip"]),
                last_at=row["last_at"],
            )
            for row in rows
        }

    def _cached(self, streams: Collection[str]) -> dict[str, Loaded]:
        with self._cache_lock:
            return {stream: self._cache[stream] for stream in streams if stream in self._cache}

    def _remember(self, streams: Mapping[str, Loaded]) -> None:
        with self._cache_lock:
            for stream, loaded in streams.items():
                known = self._cache.get(stream)
                if known is None or known.version < loaded.version:
                    self._cache[stream] = loaded
                    self._cache.move_to_end(stream)
            while len(self._cache) > CACHED_STREAMS:
                self._cache.popitem(last=False)

    def _forget(self, streams: Collection[str]) -> None:
        with self._cache_lock:
            for stream in streams:
                self._cache.pop(stream, None)

    def history(self, stream: str) -> list[Recorded]:
        query: LiteralString = (
            f"select {COLUMNS} from stored_events where originator_id = %s order by originator_version"
        )
        return [_recorded(row) for row in self._rows(query, (stream,))]

    def tail(self, after: int, limit: int, as_of: datetime | None = None) -> list[Recorded]:
        query: LiteralString = (
            f"select {COLUMNS} from stored_events where notification_id > %(after)s"
            f" and (%(as_of)s::timestamptz is null or {DECIDED_AT} <= %(as_of)s)"
            " order by notification_id limit %(limit)s"
        )
        return [_recorded(row) for row in self._rows(query, {"after": after, "limit": limit, "as_of": as_of})]

    def raw_tail(self, after: int, limit: int) -> list[RawEvent]:
        query: LiteralString = (
            f"select {COLUMNS} from stored_events where notification_id > %s order by notification_id limit %s"
        )
        return [_raw(row) for row in self._rows(query, (after, limit))]

    def identity(self) -> Identity:
        row = self._rows("select store, epoch, since from store_identity")[0]
        return Identity(str(row["store"]), row["epoch"], row["since"])

    def head(self) -> int:
        return self._integer("select coalesce(max(notification_id), 0) from stored_events")

    # -- rows ----------------------------------------------------------------------------------------------------

    def alerts(self, ids: Collection[str]) -> dict[str, AlertRow]:
        rows = self._rows("select * from alert_state where id = any(%b::uuid[])", (list(ids),))
        return {str(row["id"]): _alert_row(row) for row in rows}

    def firing(self, after: AlertRow | None, limit: int) -> list[FiringAlert]:
        rows = self._rows(
            "select s.*, p.salt, p.body from alert_state s left join payloads p on p.ref = s.payload"
            " where status = 'firing' and (%(at)s::timestamptz is null or (first_seen, id) < (%(at)s, %(id)s::uuid))"
            " order by first_seen desc, id desc limit %(limit)s",
            {"at": after and after.first_seen, "id": after and after.id, "limit": limit},
        )
        return [_firing(row) for row in rows]

    def firing_among(self, ids: Collection[str]) -> list[FiringAlert]:
        rows = self._rows(
            "select s.*, p.salt, p.body from alert_state s left join payloads p on p.ref = s.payload"
            " where status || '' = 'firing' and id = any(%b::uuid[])",
            (list(ids),),
        )
        return [_firing(row) for row in sorted(rows, key=itemgetter("id"))]

    def pending_pages(self, escalations: Collection[str]) -> dict[str, tuple[PendingPage, ...]]:
        rows = self._rows(
            "select id, escalation, status from pages where escalation = any(%s) and status in ('queued', 'claimed')",
            (list(escalations),),
        )
        found: dict[str, tuple[PendingPage, ...]] = {}
        for row in sorted(rows, key=itemgetter("id")):
            page = PendingPage(row["id"], row["status"] == "claimed")
            found[row["escalation"]] = (*found.get(row["escalation"], ()), page)
        return found

    def told(self, incidents: Collection[str], user: str, method: str, before: datetime) -> frozenset[str]:
        rows = self._rows(
            'select distinct incident from pages where incident = any(%s) and "user" = %s and method = %s'
            " and bundled_at < %s",
            (list(incidents), user, method, before),
        )
        return frozenset(row["incident"] for row in rows)

    def payload(self, ref: str) -> bytes | None:
        rows = self._rows("select body from payloads where ref = %s", (ref,))
        return bytes(rows[0]["body"]) if rows and rows[0]["body"] is not None else None

    def latest_alert(self, incident: str) -> bytes | None:
        rows = self._rows(
            "select body from payloads where ref ="
            " (select payload from alert_state where incident = %s and payload is not null"
            " order by last_seen desc limit 1)",
            (incident,),
        )
        return bytes(rows[0]["body"]) if rows and rows[0]["body"] is not None else None

    def next_numbers(self, count: int) -> list[int]:
        rows = self._changed(
            "numbers", "select nextval('incident_number') as number from generate_series(1, %s)", (count,)
        )
        return [row["number"] for row in rows]

    def tracking(self, cluster: str, topic: str) -> Mapping[int, int]:
        rows = self._rows(
            'select partition, "offset" from tracking where cluster = %s and topic = %s', (cluster, topic)
        )
        return {row["partition"]: row["offset"] for row in rows}

    def config(self) -> Config:
        known = self._config  # looked at before the revision, which is then no earlier, whatever other threads read
        revision = self._rows("select revision from config_head")[0]["revision"]
        if known is None or known.config.revision != revision:
            known = self._config = configuration.read(self._rows, known, revision)
        return known.config

    # -- saving --------------------------------------------------------------------------------------------------

    def save(self, save: Save) -> int:
        try:
            position, states = self._write(save)
        except Exception:
            self._forget(save.book.streams.keys())
            raise
        self._remember(states)
        return position

    def rehearse(self, save: Save) -> None:
        def take_back(cursor: psycopg.Cursor[DictRow]) -> None:
            raise _TakenBack

        with suppress(_TakenBack):
            self._write(save, take_back)

    def _write(self, save: Save, after: Extra = nothing) -> tuple[int, dict[str, Loaded]]:
        states: dict[str, Loaded] = {}

        def sending(sends: Statements) -> Prepared:
            writing.write_rows(sends, save)
            prepared = writing.prepare(save.book)
            writing.write_snapshots(sends, prepared.states, save.book.entries)
            states.update(prepared.states)
            return prepared

        save.book.end()
        with answers():
            return self._recorder.save(sending, after), states

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with answers(), self._recorder.exclusive():
            yield

    # -- waiting -------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """What time the database has; aware."""
        return cast(datetime, self._rows("select clock_timestamp() as now")[0]["now"])

    def wait(self, seconds: float) -> bool:
        try:
            if self._listener is None or self._listener.closed:
                self._listener = connect(self._dsn, CONNECT_TIMEOUT)
                self._listener.execute(f"listen {writing.CHANNEL}")
            return any(True for _ in self._listener.notifies(timeout=seconds, stop_after=1))
        except psycopg.OperationalError:
            if self._listener is not None:
                self._listener.close()
            time.sleep(seconds)
            return False

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self._datastore.close()


def _recorded(row: DictRow) -> Recorded:
    stored = decode(row["topic"], bytes(row["state"]))
    return Recorded(
        position=row["notification_id"],
        stream=row["originator_id"],
        version=row["originator_version"],
        type=row["topic"],
        event=stored.data,
        decision=stored.decision,
        hash=bytes(row["hash"]),
    )


def _raw(row: DictRow) -> RawEvent:
    state = bytes(row["state"])
    return RawEvent(
        position=row["notification_id"],
        stream=row["originator_id"],
        version=row["originator_version"],
        type=row["topic"],
        state=state,
        decided_at=decided_at(state),
        hash=bytes(row["hash"]),
    )


def _alert_row(row: DictRow) -> AlertRow:
    flips = tuple(map(datetime.fromisoformat, row["flips"].split()))
    named = {"id": str(row["id"]), "status": AlertStatus(row["status"]), "severity": Severity(row["severity"])}
    return AlertRow(**{**row, **named, "flips": flips, "ways": tuple(row["ways"].split())})


def _firing(row: DictRow) -> FiringAlert:
    salt, body = row.pop("salt"), row.pop("body")
    return FiringAlert(_alert_row(row), salt and bytes(salt), body and bytes(body))
