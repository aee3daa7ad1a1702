"""One works, the others stand by: a session advisory lock in Postgres that its holder keeps confirming."""

from contextlib import suppress
from enum import IntEnum
from typing import Any

import psycopg

from streams.failpoints import effect
from streams.store.base import Unavailable
from streams.store.limits import connect

TIMEOUT = 5
"""Seconds for every statement."""


class Seat(IntEnum):
    """What there may be one holder of, per store. The numbers are advisory lock keys and never change."""

    RELAY = 7212
    SEALER = 7213
    PRUNER = 7214


class Leadership:
    """The claim of one process to a seat.

    Parameters:
        dsn: libpq connection string; the lock lives as long as a connection of its own.
        seat: what is claimed.
    """

    def __init__(self, dsn: str, seat: Seat) -> None:
        self._dsn = dsn
        self._seat = seat
        self._connection: psycopg.Connection[Any] | None = None
        self._held = False

    def hold(self) -> bool:
        """Take the seat if it is free, or confirm that it is still ours. Blocks for a round trip.

        Returns whether the seat is ours now. Raises Unavailable when the database does not answer: the seat is then
        lost, and somebody else may take it.
        """
        try:
            return self._hold()
        except (psycopg.Error, ConnectionError) as error:
            self.release()
            raise Unavailable(f"seat {self._seat.name.lower()}: Postgres does not answer") from error

    def _hold(self) -> bool:
        if self._connection is None:
            self._connection = connect(self._dsn, TIMEOUT)
        if self._held:
            self._connection.execute("select 1")
            return True
        with effect("take_seat"):
            row = self._connection.execute("select pg_try_advisory_lock(%s)", (int(self._seat),)).fetchone()
        self._held = bool(row and row[0])
        return self._held

    def release(self) -> None:
        """Give the seat up, for the next one to take at once."""
        held, self._held = self._held, False
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):  # closing gives it up too, a moment later
                if held and not connection.closed:
                    connection.execute("select pg_advisory_unlock(%s)", (int(self._seat),))
            connection.close()
