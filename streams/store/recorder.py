"""The eventsourcing library's Postgres recorder, saving the way Tocsin needs it.

What is ours: one plain table with gapless positions given out under an advisory lock (the stock EXCLUSIVE table
lock stalls for seconds under VACUUM), one attempt per save (the stock retry can report failure for a save that
succeeded), five arrays through `unnest`, and whatever else has to change in the same transaction (`Extra`).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresDatastore, PostgresProcessRecorder
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow

INSERT_LOCK = 7201
EVENTS_TABLE = "stored_events"
CONNECT_TIMEOUT = 5

Extra = Callable[[psycopg.Cursor[DictRow]], None]
"""Something that happens under the insert lock, beside the events; it raises to refuse the save."""

INSERT = """
insert into stored_events (originator_id, originator_version, topic, state, notification_id, hash)
select r.stream, r.version, r.type, r.state, head.position + r.ordinality, r.hash
from unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::bytea[])
     with ordinality as r(stream, version, type, state, hash, ordinality),
     (select coalesce(max(notification_id), 0) as position from stored_events) as head
"""


class Datastore(PostgresDatastore):
    """The library's connection pool, opened from a libpq connection string (so TLS settings work), with time-outs.

    Parameters:
        dsn: libpq connection string.
        schema: where the tables are.
        pool_size: connections at most.
        statement_timeout, lock_timeout: seconds, for every statement on every connection.
    """

    def __init__(self, dsn: str, schema: str, pool_size: int, statement_timeout: float, lock_timeout: float) -> None:
        parts = dict(conninfo_to_dict(dsn))
        dbname, host, port, user, password = (
            str(parts.pop(name, "") or "") for name in ("dbname", "host", "port", "user", "password")
        )
        super().__init__(
            dbname,
            host,
            port,
            user,
            password,
            connect_timeout=CONNECT_TIMEOUT,
            pool_size=1,
            max_overflow=pool_size - 1,
            schema=schema,
            originator_id_type="text",
            pre_ping=True,
        )
        options = (
            f"-c search_path={schema} -c statement_timeout={int(statement_timeout * 1000)}"
            f" -c lock_timeout={int(lock_timeout * 1000)}"
        )
        asked = str(parts.pop("options", "") or "")
        extra: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT,
            **parts,
            "options": f"{asked} {options}".strip(),
        }
        kwargs = self.pool.kwargs
        if not isinstance(kwargs, dict):
            raise TypeError("the pool's connection arguments are not a dict")
        self.pool.kwargs = {name: value for name, value in {**kwargs, **extra}.items() if value not in ("", None)}


class Recorder(PostgresProcessRecorder):
    """The log of events. Reading is the library's; saving is `save`."""

    def __init__(self, datastore: Datastore) -> None:
        super().__init__(datastore, events_table_name=EVENTS_TABLE)
        self._mine = threading.local()

    def create_table(self) -> None:
        """Nothing: tables are made by numbered migrations."""

    def transaction(self) -> AbstractContextManager[psycopg.Cursor[DictRow]]:
        """A cursor in a transaction that commits on leaving."""
        return self.datastore.transaction(commit=True)

    def save(self, events: Sequence[StoredEvent], hashes: Sequence[bytes], before: Extra, after: Extra) -> int:
        """Run `before`, insert `events` with their `hashes`, run `after`: one transaction, one attempt.

        Returns the position of the last event in the log. Raises the library's IntegrityError when a version is
        taken, OperationalError when the connection was lost (the save may have happened).
        """
        with self.transaction() as cursor:
            if not getattr(self._mine, "held", False):
                cursor.execute("select pg_advisory_xact_lock(%s)", (INSERT_LOCK,), prepare=True)
            before(cursor)
            if events:
                cursor.execute(INSERT, self._columns(events, hashes), prepare=True)
            after(cursor)
            cursor.execute("select max(notification_id) as position from stored_events", prepare=True)
            row = cursor.fetchone()
        return (row and row["position"]) or 0

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the insert lock for several transactions of this thread; everybody else's saves wait."""
        with self.datastore.get_connection() as connection:
            connection.execute("select pg_advisory_lock(%s)", (INSERT_LOCK,))
            self._mine.held = True
            try:
                yield
            finally:
                self._mine.held = False
                connection.execute("select pg_advisory_unlock(%s)", (INSERT_LOCK,))

    @staticmethod
    def _columns(events: Sequence[StoredEvent], hashes: Sequence[bytes]) -> tuple[list[Any], ...]:
        return (
            [event.originator_id for event in events],
            [event.originator_version for event in events],
            [event.topic for event in events],
            [event.state for event in events],
            list(hashes),
        )
