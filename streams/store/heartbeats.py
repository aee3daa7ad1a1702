"""That a role lives, by its own word, for those who watch it: a row that it writes again and again.

Of gateways it is also remembered when none lived, because what could not be heard then is nobody's fault. The
heartbeats of the configuration, which others have to leave with them, are something else (`pings`).
"""

from datetime import datetime, timedelta

from psycopg import Connection
from psycopg.rows import TupleRow

from streams.failpoints import effect
from streams.store.connected import answers
from streams.store.limits import connect
from streams.store.postgres import SCHEMA

TIMEOUT = 2
"""Seconds for each statement."""

SHORTEST = timedelta(seconds=10)
"""A time without any that is a gap: whoever pings tries again for that long."""
GATEWAY = "gateway"
"""The role that hears others."""
KEPT = timedelta(days=100)
"""How long gaps are remembered."""
BEAT = f"""
with before as (
    select at from {SCHEMA}.progress where role = %(role)s
), gap as (
    insert into {SCHEMA}.gaps select at, clock_timestamp() from before
    where %(hears)s and at < clock_timestamp() - %(shortest)s on conflict do nothing returning until
), old as (
    delete from {SCHEMA}.gaps where until < clock_timestamp() - %(kept)s and exists (select from gap)
)
insert into {SCHEMA}.progress values (%(role)s, 0, clock_timestamp())
on conflict (role) do update set at = excluded.at
"""
LAST = f"select at from {SCHEMA}.progress where role = %s"


class Heartbeat:
    """The row of a role, however many processes of it there are. Every method blocks for some seconds at most.

    Parameters:
        dsn: libpq connection string of a migrated database; one connection, made when it is first needed.
        role: a name that no role which tells its position has (`streams/store/progress.py` has the same table).
    """

    def __init__(self, dsn: str, role: str) -> None:
        self._dsn, self._role = dsn, role
        self._connection: Connection[TupleRow] | None = None

    def beat(self) -> None:
        """It lives now; that no gateway did for long before is a gap. Raises Unavailable."""
        said = {"role": self._role, "hears": self._role == GATEWAY, "shortest": SHORTEST, "kept": KEPT}
        with answers(), effect("beat"):
            self._connected().execute(BEAT, said)

    def last(self) -> datetime | None:
        """When any of them said so last, by the database's clock; None if that never was. Raises Unavailable."""
        with answers():
            row = self._connected().execute(LAST, (self._role,)).fetchone()
        return row[0] if row else None

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._dsn, TIMEOUT)
        return self._connection
