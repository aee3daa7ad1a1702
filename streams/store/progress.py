"""How far a role that follows the log has come, written down for those who watch it (`projections/lag.py`)."""

import time

import psycopg

from streams.failpoints import effect
from streams.store.connected import answers
from streams.store.limits import connect
from streams.store.postgres import SCHEMA

EVERY = 1.0
"""Seconds between two writes at least."""
TIMEOUT = 5
"""Seconds for the statement."""

SAY = f"""
insert into {SCHEMA}.progress values (%s, %s, clock_timestamp())
on conflict (role) do update set position = excluded.position, at = excluded.at
"""


class Progress:
    """One role's own word of its position. Tell it whatever is true, as often as you like: it writes what is new.

    Parameters:
        dsn: libpq connection string of a migrated database; one connection, made when it is first needed.
        role: `relay` or `sealer`.
    """

    def __init__(self, dsn: str, role: str) -> None:
        self._dsn, self._role = dsn, role
        self._connection: psycopg.Connection | None = None
        self._written: int | None = None
        self._next = 0.0

    def tell(self, position: int) -> None:
        """The role holds `position` of the log now. Blocks for a round trip, at most once a second.

        A position told within that second is written by the next call, so tell it again when nothing happens, too.
        Raises Unavailable.
        """
        now = time.monotonic()
        if position == self._written or now < self._next:
            return
        with answers():
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._dsn, TIMEOUT)
            with effect("tell_progress"):
                self._connection.execute(SAY, (self._role, position))
        self._written, self._next = position, now + EVERY

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
