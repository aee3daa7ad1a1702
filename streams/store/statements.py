"""The statements of one save: all of them are sent before the first answer is waited for.

Waiting for each would cost a save more than what Postgres does for it. What has to be true of their results is looked
at once all are there, before the commit. Source: "Pipeline mode support" in the documentation of psycopg and of libpq.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from psycopg.rows import DictRow

from streams.store.base import Conflict

Cursor = psycopg.Cursor[DictRow]


class Statements:
    """Statements on their way to Postgres, in one transaction of `connection`; `sent` makes them."""

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self._connection = connection
        self._expected: list[tuple[Cursor, int, str]] = []
        self._last: Cursor

    @classmethod
    @contextmanager
    def sent(cls, connection: psycopg.Connection[DictRow]) -> Iterator[Self]:
        """On leaving, every answer is there and was as expected.

        Raises psycopg.Error as the first statement that failed does; Conflict for the first that was not as expected.
        """
        statements = cls(connection)
        with connection.pipeline():
            yield statements
        for cursor, rows, otherwise in statements._expected:
            if cursor.rowcount != rows:
                raise Conflict(otherwise)

    def execute(self, statement: Any, params: Sequence[Any] | Mapping[str, Any] = ()) -> Cursor:
        """Send a statement; its rows can be fetched from the cursor after leaving."""
        self._last = self._connection.cursor().execute(statement, params, prepare=True)
        return self._last

    def expect(self, rows: int, otherwise: str) -> None:
        """The last statement has to find or change so many rows, or the save is refused: `otherwise`."""
        self._expected.append((self._last, rows, otherwise))
