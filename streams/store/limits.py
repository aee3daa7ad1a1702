"""Connections on which nothing waits for ever, whatever has become of Postgres.

`statement_timeout` is kept by the server. One that is frozen (SIGSTOP, a paused machine, a disk that hangs) does not
keep it, and its kernel goes on acknowledging packets, so keepalives and tcp_user_timeout see nothing either. So the
client has a limit of its own, a little longer; it waits in psycopg's loop, no thread watches.
"""

import math
import time
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import Row, TupleRow

RV = TypeVar("RV")

CONNECT_TIMEOUT = 5
"""Seconds."""
MARGIN = 1.0
"""Seconds beyond Postgres' own limit after which it is not waited for any more."""
FRESH = 1.0
"""Seconds since its last answer for which a connection is believed to be there, without asking it first."""
INTERVAL = 0.1
"""Seconds between looks whether the limit has come."""
NETWORK = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Seconds and probes, then milliseconds, until a machine that is gone is known to be."""


class NoAnswer(psycopg.OperationalError):
    """Postgres did not answer in time, and the connection is closed. What was asked may have happened."""


class Limited(psycopg.Connection[Row]):
    """A connection that gives Postgres `limit` seconds for whatever it is asked, then closes and raises NoAnswer."""

    limit: float
    answered_at: float = -math.inf
    """Of the monotonic clock, in seconds."""

    @classmethod
    def connect(cls, conninfo: str = "", *args: Any, **kwargs: Any) -> Self:
        """As `psycopg.Connection.connect`, with `limit` too; `connect_timeout` limits the connecting itself."""
        limit: float = kwargs.pop("limit")
        connection = super().connect(conninfo, *args, **kwargs)
        connection.limit = limit
        return connection

    def wait(self, gen: PQGen[RV], interval: float = INTERVAL, timeout: float | None = None) -> RV:
        """What psycopg calls for everything that it sends; with a `timeout` it knows itself what to do about it."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            answer = super().wait(gen, interval, self.limit)
            self.answered_at = time.monotonic()
            return answer
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()
            raise NoAnswer(f"no answer within {self.limit:g} s") from error


def ping(connection: psycopg.Connection[Any]) -> None:
    """Raise psycopg.OperationalError unless Postgres answers within `CONNECT_TIMEOUT`."""
    if not isinstance(connection, Limited):
        raise TypeError(f"{type(connection).__name__} has no limit")
    limit, connection.limit = connection.limit, min(connection.limit, CONNECT_TIMEOUT)
    try:
        connection.execute("")
    finally:
        connection.limit = limit


def ping_unless_fresh(connection: psycopg.Connection[Any]) -> None:
    """As `ping`, of a connection that has not answered a moment ago: for those who try again anyway."""
    if not isinstance(connection, Limited) or time.monotonic() - connection.answered_at >= FRESH:
        ping(connection)


def connect(dsn: str, seconds: float, **settings: str) -> Limited[TupleRow]:
    """A connection in autocommit.

    Parameters:
        dsn: libpq connection string; its `options` are kept.
        seconds: for every statement, by Postgres' clock; and `MARGIN` more by ours.
        settings: further server settings of the session, e.g. search_path.

    Raises psycopg.OperationalError.
    """
    asked = str(conninfo_to_dict(dsn).get("options") or "")
    wanted = {"statement_timeout": f"{int(seconds * 1000)}", **settings}
    options = " ".join([asked, *(f"-c {name}={value}" for name, value in wanted.items())]).strip()
    return Limited[TupleRow].connect(
        dsn,
        autocommit=True,
        limit=seconds + MARGIN,
        options=options,
        connect_timeout=max(1, min(CONNECT_TIMEOUT, int(seconds))),
        **NETWORK,
    )
