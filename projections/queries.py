"""What people may ask of the read models, and how far those are.

Blocking, read-only, with time-outs; call it from a worker thread. What is asked is in `incident_queries`,
`alert_queries`, `paging_queries` and `response_times`, each a function of a connection; here are the connections.
Alerts and deadlines come from the write side's tables, which know of what is no event.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from domain.config import Config
from projections import (
    alert_queries,
    critical_queries,
    incident_queries,
    paging_queries,
    receipt_queries,
    response_times,
)
from projections.alert_queries import AlertFilter
from projections.database import READ_SCHEMA, STORE_SCHEMA, asking, conninfo
from projections.incident_queries import Connection, IncidentFilter
from projections.references import BadCursor, Key, incident_key
from schemas.api import MAX_ENTRIES, IncidentList, IncidentView, PageView, Timeline
from schemas.api_alerts import AlertDetail
from schemas.api_reads import AlertList, By, DeliveryView, DueList, ResponseMetrics
from streams.store.limits import MARGIN, Limited, ping

__all__ = ["AlertFilter", "BadCursor", "IncidentFilter", "Queries"]

ANY_INCIDENT, ANY_ALERT = IncidentFilter(), AlertFilter()
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
POOL_WAIT = 2.0
"""Seconds that a question waits for a connection."""
RECONNECT = 1.0
"""Seconds that the pool tries to connect before it waits for the next question (its own pauses grow to minutes)."""
FIRST_LOOK, SLOWEST_LOOK = 0.005, 0.05
"""Seconds between looks at the position."""


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
            connection_class=Limited[DictRow],
            kwargs={"autocommit": True, "row_factory": dict_row, "limit": statement_timeout + MARGIN},
            min_size=0,
            max_size=pool_size,
            open=True,
            check=ping,
            timeout=POOL_WAIT,
            reconnect_timeout=RECONNECT,
            name="queries",
        )

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with asking(), self._pool.connection() as connection:
            yield connection

    def incidents(
        self, wanted: IncidentFilter = ANY_INCIDENT, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> IncidentList:
        """Incidents, newest first; incidents that open meanwhile move none from one page to another.

        Parameters:
            wanted: which.
            limit: 1 to 200.
            cursor: `next_cursor` of the page before.

        Raises BadCursor, ValueError for a limit out of range.
        """
        with self._connection() as connection:
            return incident_queries.listed(connection, wanted, _checked(limit), cursor)

    def incident(self, ref: str) -> IncidentView | None:
        """The incident that `ref` points at: `INC-7` in any case, `7`, uuid or stream; None when there is none."""
        key = incident_key(ref)
        if key is None:
            return None
        with self._connection() as connection:
            return incident_queries.find(connection, key)

    def timeline(self, ref: str, limit: int = MAX_ENTRIES, cursor: str | None = None) -> Timeline | None:
        """What happened to an incident last, oldest first, and the incident as it then was; None without one.

        Parameters:
            limit: 1 to 1,000.
            cursor: `next_cursor` of an answer, for what came before that.

        Raises BadCursor, ValueError for a limit out of range.
        """
        key = incident_key(ref)
        if key is None:
            return None
        with self._connection() as connection:
            return incident_queries.timeline(connection, key, _checked(limit, MAX_ENTRIES), cursor)

    def pages(self, ref: str) -> tuple[PageView, ...]:
        """Who was told, or was to be told, in order of time; empty when there is no such incident."""
        key = incident_key(ref)
        if key is None:
            return ()
        with self._connection() as connection:
            return paging_queries.pages(connection, key)

    def deliveries(self, ref: str) -> tuple[DeliveryView, ...]:
        """Which messages carried its pages, and what became of them; empty when there is no such incident."""
        key = incident_key(ref)
        if key is None:
            return ()
        with self._connection() as connection:
            return paging_queries.deliveries(connection, key)

    def alerts(
        self, wanted: AlertFilter = ANY_ALERT, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> AlertList:
        """Alerts, the latest to appear first. Parameters and errors as in `incidents`."""
        with self._connection() as connection:
            return alert_queries.listed(connection, wanted, _checked(limit), cursor)

    def alert(self, alert: str, config: Config) -> AlertDetail | None:
        """The alert of this uuid and what happened to it; None when there is none. `config` tells its facts."""
        with self._connection() as connection:
            return alert_queries.detail(connection, alert, config)

    def critical_alerts(self) -> critical_queries.CriticalAlerts:
        """Firing alerts of open critical incidents, spoken of or not, as many as are looked at."""
        with self._connection() as connection:
            return critical_queries.critical_alerts(connection)

    def due(
        self,
        config: Config,
        kinds: tuple[str, ...] = (),
        incident: Key | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> DueList:
        """What will happen by itself, the next first.

        Parameters:
            config: resolves the targets of escalation steps to people.
            kinds: of these kinds, or any when empty.
            incident: escalation steps of this one alone.
            limit, cursor: as in `incidents`, and so are the errors.
        """
        with self._connection() as connection:
            return paging_queries.due(connection, config, kinds, incident, _checked(limit), cursor)

    def response(self, by: By, since: datetime, until: datetime) -> ResponseMetrics:
        """Response times of the incidents opened from `since` (inclusive) to `until`, overall and by group."""
        with self._connection() as connection:
            return response_times.metrics(connection, by, since, until)

    def receipt(self, receipt: str) -> receipt_queries.ReceiptTrace:
        """The events that were decided from a receipt, and its rows in the inbox; nothing, when nothing is known."""
        with self._connection() as connection:
            return receipt_queries.trace(connection, receipt)

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


def _checked(limit: int, most: int = MAX_LIMIT) -> int:
    if not 1 <= limit <= most:
        raise ValueError(f"limit is {limit}: it must be from 1 to {most}")
    return limit
