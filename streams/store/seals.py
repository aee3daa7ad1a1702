"""Seals in Postgres: what is to be sealed, and the seals made so far. The table decides which seal is the n-th.

The append-only file and topic `seals` are copies of this table, in its order, so a copy that lags catches up from here.
"""

from dataclasses import dataclass
from typing import Any

import psycopg

from schemas.seals import Seal, decode, encode
from streams.failpoints import effect
from streams.store.base import Conflict, Identity
from streams.store.connected import answers
from streams.store.leadership import TIMEOUT
from streams.store.limits import connect
from streams.store.postgres import SCHEMA


@dataclass(frozen=True, slots=True)
class Hashed:
    """A position of the log and the hash of the event there."""

    position: int
    hash: bytes


class Seals:
    """The seals of one store.

    Parameters:
        dsn: libpq connection string of a migrated database; one connection is kept, with time-outs.
        schema: where the tables are.

    Every call blocks for a round trip and raises Unavailable when the database does not answer.
    """

    def __init__(self, dsn: str, schema: str = SCHEMA) -> None:
        self._dsn, self._schema = dsn, schema
        self._connection: psycopg.Connection[Any] | None = None

    def _rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        with answers():
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._dsn, TIMEOUT, search_path=self._schema)
            return self._connection.execute(query.encode(), params).fetchall()

    def identity(self) -> Identity:
        """Which store this is."""
        store, epoch = self._rows("select store, epoch from store_identity")[0]
        return Identity(str(store), epoch)

    def hashes(self, after: int, limit: int) -> list[Hashed]:
        """The events after a position, in order, at most `limit`."""
        query = "select notification_id, hash from stored_events where notification_id > %s order by 1 limit %s"
        return [Hashed(position, bytes(found)) for position, found in self._rows(query, after, limit)]

    def last(self) -> Seal | None:
        """The latest seal. Raises BadSeal when the table holds something else."""
        rows = self._rows("select document from seals order by number desc limit 1")
        return decode(bytes(rows[0][0])) if rows else None

    def last_before(self, epoch: int) -> int:
        """The number of the last seal of earlier epochs, 0 when there is none. Looks from the end."""
        query = (
            "select number from seals where (convert_from(document, 'UTF8')::jsonb ->> 'epoch')::bigint < %s"
            " order by number desc limit 1"
        )
        rows = self._rows(query, epoch)
        return int(rows[0][0]) if rows else 0

    def after(self, number: int, limit: int) -> list[Seal]:
        """The seals after the `number`-th, in order, at most `limit`."""
        query = "select document from seals where number > %s order by number limit %s"
        return [decode(bytes(document)) for (document,) in self._rows(query, number, limit)]

    def add(self, seal: Seal) -> None:
        """Keep a seal. Raises Conflict when there is one of this number: another sealer is at work."""
        query = "insert into seals values (%s, %s, %s, %s) on conflict do nothing returning number"
        with answers(), effect("seal_row"):
            added = self._rows(query, seal.number, seal.first, seal.last, encode(seal))
        if not added:
            raise Conflict(f"seal {seal.number} exists already")

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
