"""The connection that every part of the Postgres store shares, and what its errors mean."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from eventsourcing.persistence import IntegrityError, InterfaceError, OperationalError, PersistenceError
from psycopg.rows import DictRow

from streams.failpoints import effect
from streams.store.base import Conflict, Unavailable, Unstorable
from streams.store.recorder import Datastore, Recorder


@contextmanager
def answers() -> Iterator[None]:
    """Translate the library's and psycopg's errors into the store's."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict("a version that was to be written is taken") from error
    except (OperationalError, InterfaceError, psycopg.OperationalError, ConnectionError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, psycopg.errors.UniqueViolation | psycopg.errors.SerializationFailure):
            raise Conflict("a row that was to be written is taken") from error
        raise Unavailable(f"Postgres does not answer ({type(cause).__name__})") from error
    except PersistenceError as error:
        raise Unstorable(f"Postgres refused ({type(error.__cause__ or error).__name__})") from error


class Connected:
    """A pool of connections and the log's recorder on it.

    Parameters:
        dsn: libpq connection string of a migrated database.
        schema: where the tables are.
        pool_size: connections at most; statement_timeout and lock_timeout in seconds.
    """

    def __init__(self, dsn: str, schema: str, pool_size: int, statement_timeout: float, lock_timeout: float) -> None:
        self._dsn = dsn
        self._datastore = Datastore(dsn, schema, pool_size, statement_timeout, lock_timeout)
        with answers():
            self._recorder = Recorder(self._datastore)

    def _rows(self, query: LiteralString, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[DictRow]:
        """What one statement returns; it is its own transaction, so that it costs one round trip instead of three."""
        with answers(), self._datastore.cursor() as cursor:
            return cursor.execute(query, params, prepare=True, binary=True).fetchall()

    def _changed(
        self, name: str, statement: LiteralString, params: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[DictRow]:
        """What a statement that changes something returns, once it is committed; `name` is its failpoints'."""
        with answers(), effect(name), self._datastore.cursor() as cursor:
            return cursor.execute(statement, params, prepare=True, binary=True).fetchall()

    def _integer(self, query: LiteralString) -> int:
        return int(next(iter(self._rows(query)[0].values())))
