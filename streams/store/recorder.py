"""The eventsourcing library's Postgres recorder, saving the way Tocsin needs it.

What is ours: one plain table with gapless positions given out under an advisory lock (the stock EXCLUSIVE table
lock stalls for seconds under VACUUM), one attempt per save (the stock retry can report failure for a save that
succeeded), five arrays through `unnest`, and whatever else has to change in the same transaction.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from eventsourcing.persistence import DataError, IntegrityError, OperationalError
from eventsourcing.postgres import ConnectionPool, PostgresDatastore, PostgresProcessRecorder
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from domain.book import Entry, Loaded
from streams.failpoints import effect, reach
from streams.store.limits import CONNECT_TIMEOUT, MARGIN, NETWORK, Limited, ping_unless_fresh
from streams.store.statements import Statements

log = structlog.get_logger()

INSERT_LOCK = 7201
EVENTS_TABLE = "stored_events"
RECONNECT = 1.0
"""Seconds that the pool tries to connect before it waits for the next call (its own pauses grow to minutes)."""

BY_KEY = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
"""The planner's settings. All that the store and the projector ask is found by keys; what Postgres believes of how many
rows there are may be a minute old, and in a storm wrong by a factor of thousands. Source: "Planner Method
Configuration" in the documentation of Postgres."""

Encoded = tuple[Entry, bytes]
"""An event, and the bytes that are kept of it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The events of a book as bytes, their hashes, and the states of their streams after them."""

    events: list[Encoded]
    hashes: list[bytes]
    states: dict[str, Loaded]


Sending = Callable[[Statements], Prepared]
"""Sends what changes under the insert lock beside the events, and prepares these while Postgres is at it."""
Extra = Callable[[psycopg.Cursor[DictRow]], None]
"""Something that happens under the insert lock, after all that; it raises to refuse the save."""

INSERT = """
insert into stored_events (originator_id, originator_version, topic, state, notification_id, hash)
select r.stream, r.version, r.type, r.state, head.position + r.ordinality, r.hash
from unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::bytea[])
     with ordinality as r(stream, version, type, state, hash, ordinality),
     (select coalesce(max(notification_id), 0) as position from stored_events) as head
"""


ENDED = """
select pid, pg_terminate_backend(pid) as ended from pg_locks join pg_stat_activity using (pid)
where locktype = 'advisory' and (classid, objid, objsubid) = (0, %s, 1) and granted
  and database = (select oid from pg_database where datname = current_database()) and usename = current_user
  and wait_event_type = 'Client' and state_change < clock_timestamp() - make_interval(secs => %s)
"""
"""Ends who has the insert lock and has not been heard of for so many seconds. Source: "pg_locks" and "Wait Event Types"
in the documentation of Postgres."""


def nothing(cursor: psycopg.Cursor[DictRow]) -> None:
    """No more than the events and what was sent with them."""


def end_who_stands_still(cursor: psycopg.Cursor[Any], seconds: float) -> None:
    """End the session that has had the insert lock, and said nothing, for longer than that.

    Its client, if it goes on, finds that its save has failed. Raises psycopg.Error.
    """
    for session in cursor.execute(ENDED, (INSERT_LOCK, seconds)).fetchall():
        log.warning("store.lock_taken_away", **session, seconds=seconds)


class Datastore(PostgresDatastore):
    """The library's connection pool, opened from a libpq connection string (so TLS settings work), with time-outs.

    Parameters:
        dsn: libpq connection string.
        schema: where the tables are.
        pool_size: connections at most.
        statement_timeout, lock_timeout: seconds, for every statement on every connection. A server that does not keep
            to the first is given `MARGIN` seconds more; one whose client stands still in a transaction cuts it off
            after the first.
        planner: settings of Postgres' planner.

    A connection is waited for as long as connecting may take. What is asked of a server that stands still raises the
    library's OperationalError, and the pool throws the connection away and makes another for the next call.
    """

    def __init__(
        self,
        dsn: str,
        schema: str,
        pool_size: int,
        statement_timeout: float,
        lock_timeout: float,
        planner: Mapping[str, str] = BY_KEY,
    ) -> None:
        super().__init__(
            *("", "", "", "", ""),  # of a pool that is never opened: it is replaced below
            idle_in_transaction_session_timeout=statement_timeout,
            schema=schema,
            originator_id_type="text",
        )
        self._kept = threading.local()
        self.patience = statement_timeout
        asked = conninfo_to_dict(dsn)
        settings = (
            f"-c search_path={schema} -c statement_timeout={int(statement_timeout * 1000)}"
            f" -c lock_timeout={int(lock_timeout * 1000)}"
        )
        by_key = " ".join(f"-c {name}={value}" for name, value in planner.items())
        arguments: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT,
            **NETWORK,
            **asked,
            "options": f"{asked.get('options') or ''} {settings} {by_key}".strip(),
            "row_factory": dict_row,
            "limit": statement_timeout + MARGIN,
        }
        self.pool = ConnectionPool[psycopg.Connection[DictRow]](
            connection_class=Limited[DictRow],
            kwargs=arguments,
            min_size=1,
            max_size=pool_size,
            open=False,
            configure=self.after_connect_func(),
            check=ping_unless_fresh,
            timeout=CONNECT_TIMEOUT,
            reconnect_timeout=RECONNECT,
        )

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        """The connection that this thread keeps, or one of the pool; raises the library's errors either way."""
        kept = getattr(self._kept, "connection", None)
        if kept is None:
            with super().get_connection() as connection:
                yield connection
            return
        try:
            yield kept
        except psycopg.IntegrityError as error:
            raise IntegrityError(str(error)) from error
        except psycopg.DataError as error:
            raise DataError(str(error)) from error
        except psycopg.OperationalError as error:
            raise OperationalError(str(error)) from error

    @contextmanager
    def keeping(self) -> Iterator[psycopg.Connection[DictRow]]:
        """Everything that this thread does meanwhile is done on one connection, which Postgres ends when it is idle
        for longer than a statement may take.
        """
        with super().get_connection() as connection:
            connection.execute(f"set idle_session_timeout = {int(self.patience * 1000)}")
            self._kept.connection = connection
            try:
                yield connection
            finally:
                del self._kept.connection
                if not connection.closed:
                    connection.execute("reset idle_session_timeout")

    def register_type_adapters(self) -> None:
        """Nothing: there are no composite types, and a store can be opened while its database is away."""


class Recorder(PostgresProcessRecorder):
    """The log of events. Reading is the library's; saving is `save`."""

    def __init__(self, datastore: Datastore) -> None:
        super().__init__(datastore, events_table_name=EVENTS_TABLE)
        self._keeping = datastore.keeping
        self._patience = datastore.patience

    def create_table(self) -> None:
        """Nothing: tables are made by numbered migrations."""

    def transaction(self) -> AbstractContextManager[psycopg.Cursor[DictRow]]:
        """A cursor in a transaction that commits on leaving."""
        return self.datastore.transaction(commit=True)

    def save(self, sending: Sending, after: Extra = nothing) -> int:
        """Do what `sending` sends, insert the events that it prepares, then run `after`: one transaction.

        Returns the position of the last event in the log. Raises Conflict when something that was sent was not as
        expected, the library's IntegrityError when a version is taken, OperationalError when the connection was lost
        (the save may have happened).
        """
        reach("save:begin")
        with self._behind_nobody_still(), self.transaction() as cursor:
            with Statements.sent(cursor.connection) as sends:
                sends.execute("select pg_advisory_xact_lock(%s)", (INSERT_LOCK,))
                made = sending(sends)
                if made.events:
                    sends.execute(INSERT, self._columns(made))
                head = sends.execute("select max(notification_id) as position from stored_events")
            row = head.fetchone()
            after(cursor)
            reach("save:commit")
        reach("save:committed")
        return (row and row["position"]) or 0

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the insert lock for all that this thread does meanwhile, on one connection; everybody else's saves wait.

        They do not wait for one that stands still (a process that is stopped): Postgres ends its session, and the lock
        with it, after the statement time-out. What it then saves fails, since it saves on the connection that is gone.
        """
        with self._behind_nobody_still(), self._keeping() as connection:
            try:
                with effect("lock"):
                    connection.execute("select pg_advisory_lock(%s)", (INSERT_LOCK,))
                yield
            finally:
                if not connection.closed:  # whatever went wrong, it does not go back to the pool with the lock
                    connection.execute("select pg_advisory_unlock_all()")

    @contextmanager
    def _behind_nobody_still(self) -> Iterator[None]:
        """Whoever waits for a lock in vain ends the session of one that stands still with the insert lock.

        Postgres does so itself where a client leaves a transaction idle, but not between the statements of a pipeline,
        nor always when the client was stopped (SIGSTOP, a paused machine) while it waited for the lock.
        """
        try:
            yield
        except OperationalError as error:
            if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                with self.datastore.cursor() as cursor:
                    end_who_stands_still(cursor, self._patience)
            raise

    @staticmethod
    def _columns(made: Prepared) -> tuple[list[Any], ...]:
        return (
            [entry.stream for entry, _ in made.events],
            [entry.version for entry, _ in made.events],
            [entry.event.type for entry, _ in made.events],
            [state for _, state in made.events],
            made.hashes,
        )
