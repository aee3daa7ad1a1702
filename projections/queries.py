"""What people may ask: incidents, their timelines and pages, and how far the read models are.

Blocking, read-only, with time-outs; call it from a worker thread. Counts of alerts come from the write side's
`alert_state`, which knows of repeats that are no events.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from domain.ids import stream_uuid
from projections.database import READ_SCHEMA, STORE_SCHEMA, asking, conninfo
from projections.references import BadCursor, Key, incident_key, read_cursor, write_cursor
from schemas.api import IncidentList, IncidentView, PageView, Timeline, TimelineEntry

__all__ = ["BadCursor", "Queries"]

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
POOL_WAIT = 2.0
"""Seconds that a question waits for a connection."""
RECONNECT = 1.0
"""Seconds that the pool tries to connect before it waits for the next question (its own pauses grow to minutes)."""
FIRST_LOOK, SLOWEST_LOOK = 0.005, 0.05
"""Seconds between looks at the position."""

Connection = psycopg.Connection[DictRow]

INCIDENTS = sql.SQL(
    """
select i.*, a.* from (select * from incidents where {where} order by number desc limit {limit}) as i
cross join lateral (
    select count(*) filter (where s.status = 'firing') as alerts_firing, count(*) as alerts_total,
           max(greatest(r.last_report_at, s.last_seen)) as last_alert_at
    from alerts r left join alert_state s on s.id = r.alert and s.incident = r.incident
    where r.incident = i.id
) as a
order by i.number desc
"""
)
FILTERS: Mapping[str, LiteralString] = {
    "status": "status = any(%(status)s)",
    "severity": "severity = any(%(severity)s)",
    "service": "service = %(service)s",
    "team": "team = %(team)s",
    "before": "number < %(before)s",
}
TIMELINE = """
select position, at, type, text, actor, origin, correlation_id from timeline where incident = %s order by position
"""
PAGES = sql.SQL(
    """
select p.id, p."user", p.method, p.loop, p.step, p.status, p.queued_at, p.settled_at, p.delivery, p.reason
from pages p join incidents i on i.id = p.incident where i.{column} = %s
order by p.queued_at, p.loop, p.step, p."user", p.method, p.id
"""
)


class Queries:
    """Reads the read models. Every method but `close` raises Unavailable when Postgres does not answer.

    Parameters:
        dsn: libpq connection string of a database where store and read models are migrated.
        pool_size: connections at most; they are made when they are first needed.
        statement_timeout: seconds for every statement.
        schema: the read models' schema; store_schema: the write side's.
    """

    def __init__(
        self,
        dsn: str,
        pool_size: int = 8,
        statement_timeout: float = 5.0,
        schema: str = READ_SCHEMA,
        store_schema: str = STORE_SCHEMA,
    ) -> None:
        settings = {
            "default_transaction_read_only": "on",
            # Filters differ in how much they leave; a plan for all of them would suit none.
            "plan_cache_mode": "force_custom_plan",
        }
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            conninfo(dsn, (schema, store_schema), statement_timeout, **settings),
            kwargs={"autocommit": True, "row_factory": dict_row},
            min_size=0,
            max_size=pool_size,
            open=True,
            check=ConnectionPool.check_connection,
            timeout=POOL_WAIT,
            reconnect_timeout=RECONNECT,
            name="queries",
        )

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with asking(), self._pool.connection() as connection:
            yield connection

    def incidents(
        self,
        status: tuple[str, ...] = (),
        severity: tuple[str, ...] = (),
        service: str | None = None,
        team: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> IncidentList:
        """Incidents, newest first; incidents that open meanwhile move none from one page to another.

        Parameters:
            status, severity: one of these, or any when empty.
            service, team: this one, or any when None.
            limit: 1 to 200.
            cursor: `next_cursor` of the page before.

        Raises BadCursor, ValueError for a limit out of range.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise ValueError(f"limit is {limit}: it must be from 1 to {MAX_LIMIT}")
        asked = {
            "status": list(status),
            "severity": list(severity),
            "service": service,
            "team": team,
            "before": read_cursor(cursor) if cursor is not None else None,
        }
        given = {name: _storable(value) for name, value in asked.items() if value not in (None, [])}
        where = sql.SQL(" and ").join([sql.SQL("true"), *(sql.SQL(FILTERS[name]) for name in given)])
        query = INCIDENTS.format(where=where, limit=sql.Literal(limit + 1))
        with self._connection() as connection:
            rows = connection.execute(query, given).fetchall()
        more = write_cursor(rows[limit - 1]["number"]) if len(rows) > limit else None
        return IncidentList(incidents=tuple(map(_incident, rows[:limit])), next_cursor=more)

    def incident(self, ref: str) -> IncidentView | None:
        """The incident that `ref` points at: `INC-7` in any case, `7`, uuid or stream; None when there is none."""
        key = incident_key(ref)
        if key is None:
            return None
        with self._connection() as connection:
            return _find(connection, key)

    def timeline(self, ref: str) -> Timeline | None:
        """Everything that happened to an incident, oldest first, and the incident as it then was; None without one."""
        key = incident_key(ref)
        if key is None:
            return None
        with self._connection() as connection, connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            incident = _find(connection, key)
            if incident is None:
                return None
            rows = connection.execute(TIMELINE, (f"incident-{incident.id}",)).fetchall()
        return Timeline(incident=incident, entries=tuple(TimelineEntry(**row) for row in rows))

    def pages(self, ref: str) -> tuple[PageView, ...]:
        """Who was told, or was to be told, in order of time; empty when there is no such incident."""
        key = incident_key(ref)
        if key is None:
            return ()
        column, value = key
        with self._connection() as connection:
            rows = connection.execute(PAGES.format(column=sql.Identifier(column)), (value,)).fetchall()
        return tuple(PageView(**{**row, "id": stream_uuid(row["id"])}) for row in rows)

    def position(self) -> int:
        """The position in the log that the read models have reached."""
        with self._connection() as connection:
            row = connection.execute("select position from cursor").fetchone()
        return int(row["position"]) if row else 0

    def reached(self, position: int, timeout: float) -> bool:
        """Whether the read models have, or within `timeout` seconds get, everything up to `position`."""
        deadline, pause = time.monotonic() + timeout, FIRST_LOOK
        while self.position() < position:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(2 * pause, SLOWEST_LOOK)
        return True

    def ping(self) -> None:
        """Raises Unavailable when Postgres does not answer, WrongStore when the read models are not migrated."""
        self.position()

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()


def _storable(value: object) -> object:
    """A filter's value as rows would have it: they hold the replacement character for NUL, which Postgres refuses."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _find(connection: Connection, key: Key) -> IncidentView | None:
    column, value = key
    where = sql.SQL("{} = %(value)s").format(sql.Identifier(column))
    row = connection.execute(INCIDENTS.format(where=where, limit=sql.Literal(1)), {"value": value}).fetchone()
    return _incident(row) if row else None


def _incident(row: Mapping[str, Any]) -> IncidentView:
    return IncidentView(**{**row, "id": stream_uuid(row["id"]), "name": f"INC-{row['number']}"})
