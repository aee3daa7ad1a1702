"""The log as an auditor reads it: stored bytes in order of position, and the payloads and seals that go with them.

Reads only, in sessions that Postgres holds to that; no writer can be reached from this module. What is read is not
believed: `projections.verify` checks it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
import psycopg

from streams.store.base import Identity, Unavailable, WrongStore
from streams.store.limits import connect

SCHEMA = "tocsin"
STATEMENT_TIMEOUT = 60
"""Seconds."""
COLUMNS = "notification_id, originator_id, originator_version, topic, state, hash"
OF_KIND = """notification_id in (
    with found as materialized (
        select notification_id from stored_events
        where originator_id >= %s and originator_id < %s and notification_id > %s
    )
    select notification_id from found order by notification_id limit %s
) order by notification_id"""
"""Sorted only when they are found: a planner that may read in this order reads the whole log for a rare kind."""
NUMBER = "substring(state from position('\"number\":'::bytea in state) + 9 for 20)"
"""An index has it of every event that opens an incident: what follows the name of its first field."""
OPENED = f"topic like 'incident.opened.%%' and {NUMBER} >= %s and {NUMBER} < %s order by notification_id"


@dataclass(frozen=True, slots=True)
class Line:
    """One event as its row has it; nothing of it is decoded."""

    position: int
    stream: str
    version: int
    type: str
    state: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """Erasable text kept beside an event; both None once it was erased."""

    salt: bytes | None
    body: bytes | None


class Ledger(Protocol):
    """What an auditor may ask of a store. Every call blocks, and raises Unavailable when nobody answers."""

    def identity(self) -> Identity:
        """Which store this is."""

    def head(self) -> int:
        """The position of the last event, 0 when there is none."""

    def lines(self, after: int, limit: int) -> list[Line]:
        """The rows after a position, in order."""

    def history(self, stream: str, before: int) -> list[Line]:
        """The rows of one stream at positions below `before`, in order of version."""

    def of_kind(self, kind: str, after: int, limit: int) -> list[Line]:
        """The rows of every stream of a kind after a position, in order."""

    def opened(self, number: int) -> str | None:
        """The stream of the incident with this number."""

    def payloads(self, refs: Collection[str]) -> Mapping[str, Payload]:
        """The payload rows that exist among `refs`."""

    def seals(self, after: int, limit: int) -> list[bytes]:
        """The documents of the seals after the `after`-th, in order."""


class PostgresLedger:
    """See `Ledger`.

    Parameters:
        dsn: libpq connection string of a migrated database; one connection is kept.
        schema: where the tables are.
    """

    def __init__(self, dsn: str, schema: str = SCHEMA) -> None:
        self._dsn = dsn
        self._settings = {"search_path": schema, "default_transaction_read_only": "on"}
        self._connection: psycopg.Connection[Any] | None = None

    def _rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(self._dsn, STATEMENT_TIMEOUT, **self._settings)
            return self._connection.execute(query.encode(), params).fetchall()
        except psycopg.OperationalError as error:
            raise Unavailable(f"Postgres does not answer ({type(error).__name__})") from error
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise WrongStore("the store is not migrated: run `tocsin migrate`") from error

    def _lines(self, where: str, *params: Any) -> list[Line]:
        rows = self._rows(f"select {COLUMNS} from stored_events where {where}", *params)
        return [
            Line(position, stream, version, kind, bytes(state), bytes(hash_))
            for position, stream, version, kind, state, hash_ in rows
        ]

    def identity(self) -> Identity:
        store, epoch, since = self._rows("select store, epoch, since from store_identity")[0]
        return Identity(str(store), epoch, since)

    def head(self) -> int:
        return int(self._rows("select coalesce(max(notification_id), 0) from stored_events")[0][0])

    def lines(self, after: int, limit: int) -> list[Line]:
        return self._lines("notification_id > %s order by notification_id limit %s", after, limit)

    def history(self, stream: str, before: int) -> list[Line]:
        return self._lines("originator_id = %s and notification_id < %s order by originator_version", stream, before)

    def of_kind(self, kind: str, after: int, limit: int) -> list[Line]:
        return self._lines(OF_KIND, f"{kind}-", f"{kind}.", after, limit)

    def opened(self, number: int) -> str | None:
        written = str(number).encode()
        lines = self._lines(OPENED, written + b",", written + b"-")
        return next((line.stream for line in lines if line.version == 1 and _number(line) == number), None)

    def payloads(self, refs: Collection[str]) -> Mapping[str, Payload]:
        rows = self._rows("select ref, salt, body from payloads where ref = any(%s)", list(refs))
        return {ref: Payload(_bytes(salt), _bytes(body)) for ref, salt, body in rows}

    def seals(self, after: int, limit: int) -> list[bytes]:
        query = "select document from seals where number > %s order by number limit %s"
        return [bytes(document) for (document,) in self._rows(query, after, limit)]

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()


def _number(line: Line) -> int | None:
    """The number of the incident that an event opened; None when its bytes are damaged."""
    try:
        return int(orjson.loads(line.state)["data"]["number"])
    except (ValueError, KeyError, TypeError):
        return None


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
