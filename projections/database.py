"""How the read models' schema is connected to: by search path, so that no statement names a schema."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from streams.store.base import WrongStore
from streams.store.connected import answers
from streams.store.postgres import SCHEMA

READ_SCHEMA = "read_models"
STORE_SCHEMA = SCHEMA
CONNECT_TIMEOUT = 5
LOST_AFTER = 15
"""Seconds after which a silent peer counts as gone, on either side of a connection."""


def conninfo(dsn: str, schemas: tuple[str, ...], statement_timeout: float, **settings: str) -> str:
    """A connection string whose statements look in `schemas`, in that order, and nowhere else.

    Parameters:
        dsn: libpq connection string; a search path in it is overridden.
        statement_timeout: seconds for every statement.
        settings: further server settings of the session.
    """
    path = ",".join('"' + schema.replace('"', '""') + '"' for schema in schemas)
    wanted = {
        "search_path": path,
        "statement_timeout": f"{int(statement_timeout * 1000)}",
        "timezone": "UTC",
        "tcp_keepalives_idle": f"{LOST_AFTER // 3}",
        "tcp_keepalives_interval": f"{LOST_AFTER // 3}",
        "tcp_keepalives_count": "2",
        **settings,
    }
    asked = conninfo_to_dict(dsn).get("options") or ""
    options = " ".join([str(asked), *(f"-c {name}={value}" for name, value in wanted.items())])
    return make_conninfo(
        dsn,
        options=options.strip(),
        connect_timeout=CONNECT_TIMEOUT,
        keepalives=1,
        keepalives_idle=LOST_AFTER // 3,
        keepalives_interval=LOST_AFTER // 3,
        keepalives_count=2,
        tcp_user_timeout=LOST_AFTER * 1000,
    )


@contextmanager
def asking() -> Iterator[None]:
    """Translate psycopg's errors: Unavailable when Postgres does not answer, WrongStore when a table is missing."""
    try:
        with answers():
            yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        missing = error.diag.message_primary
        raise WrongStore(f"the read models are not migrated ({missing}): run the migrations") from error
