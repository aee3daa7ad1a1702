"""Numbered SQL migrations, run in order under an advisory lock; a store of a newer version is refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import psycopg

from streams.store.base import Unavailable, WrongStore
from streams.store.limits import connect

LOCK = 7202
STATEMENT_TIMEOUT = 300.0
LOCK_TIMEOUT = "60s"


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file: `0001_first.sql`."""

    number: int
    name: str
    sql: str


def migrations(package: str) -> list[Migration]:
    """The migrations of a package, in order of their numbers."""
    return sorted(_read(package), key=lambda migration: migration.number)


def _read(package: str) -> Iterator[Migration]:
    for file in resources.files(package).joinpath("migrations").iterdir():
        if file.name.endswith(".sql"):
            yield Migration(int(file.name[:4]), file.name, file.read_text(encoding="utf-8"))


def migrate(dsn: str, package: str, schema: str) -> int:
    """Bring a schema up to date; returns its version.

    Parameters:
        dsn: libpq connection string of a role that may create the schema.
        package: the package whose `migrations/` folder is run, e.g. `streams.store`.
        schema: created when absent; holds the table `migrations` that remembers what was run.

    Raises WrongStore when the schema is newer than this code, Unavailable when the database does not answer.
    """
    try:
        with connect(dsn, STATEMENT_TIMEOUT, lock_timeout=LOCK_TIMEOUT) as connection, connection.transaction():
            return _migrate(connection, migrations(package), schema)
    except psycopg.OperationalError as error:
        raise Unavailable(f"Postgres does not answer (migration of schema {schema})") from error


def _migrate(connection: psycopg.Connection, wanted: list[Migration], schema: str) -> int:
    connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
    name = psycopg.sql.Identifier(schema)
    connection.execute(psycopg.sql.SQL("create schema if not exists {}").format(name))
    connection.execute(psycopg.sql.SQL("set local search_path to {}").format(name))
    connection.execute("create table if not exists migrations (number int primary key, name text not null)")
    done = {number for (number,) in connection.execute("select number from migrations")}
    latest = max((migration.number for migration in wanted), default=0)
    if done and max(done) > latest:
        raise WrongStore(
            f"schema {schema} is at version {max(done)}, this Tocsin knows {latest}: run the newer version of Tocsin"
        )
    for migration in wanted:
        if migration.number not in done:
            connection.execute(migration.sql.encode())
            connection.execute("insert into migrations values (%s, %s)", (migration.number, migration.name))
    return latest
