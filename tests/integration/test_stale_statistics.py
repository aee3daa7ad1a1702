"""What Postgres believes of its tables may be a minute old. In a storm that is thousands of rows ago."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from streams.store.postgres import SCHEMA, PostgresStore
from tests.memory_world import MemoryWorld
from tests.world import CONFIG, alert, webhook

RULES = """
inhibition_rules:
  critical-mutes-lesser:
    source_matchers: ['@severity="critical"']
    target_matchers: ['@severity=~"medium|low|info"']
    equal: [alertname, service]
correlation_rules:
  same-service: {same: [service], within: 10m}
"""
EACH, STORM = 50, 60
READ = """
select coalesce(sum(seq_tup_read), 0) + coalesce((select sum(idx_tup_read) from pg_stat_user_indexes), 0)
from pg_stat_user_tables
"""


@pytest.fixture
def database(store_dsn: str) -> Iterator[psycopg.Connection[tuple[int]]]:
    """A connection beside the store's; Postgres does not look at the tables by itself."""
    with psycopg.connect(store_dsn, autocommit=True) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = %s", (SCHEMA,)).fetchall()
        for (table,) in tables:
            off = SQL("alter table {} set (autovacuum_enabled = off)").format(Identifier(SCHEMA, str(table)))
            connection.execute(off)
        yield connection


def test_an_alert_costs_no_more_rows_in_a_storm_that_postgres_has_not_noticed(
    store_dsn: str, database: psycopg.Connection[tuple[int]]
) -> None:
    def folding(first: int, webhooks: int) -> int:
        """Rows that are read for so many webhooks."""
        before = _read(database)
        with closing(PostgresStore(store_dsn)) as store:
            world.fold = replace(world.fold, store=store)
            for number in range(first, first + webhooks):
                names = [f"{number}-{index}" for index in range(EACH)]
                members = [alert("Disk", {"service": "payments", "instance": name}, world.now()) for name in names]
                world.receive(webhook(members), world.now())
        return _read(database) - before

    with closing(PostgresStore(store_dsn)) as store:
        world = MemoryWorld(store, CONFIG + RULES)
    folding(0, 1)
    database.execute("analyze")
    few = folding(1, 1)
    folding(2, STORM)
    many = folding(2 + STORM, 1)

    assert many < 2 * few, f"{EACH} alerts read {few} rows at first, and {many} after {EACH * STORM} others"


def _read(database: psycopg.Connection[tuple[int]]) -> int:
    """Rows that tables and indexes have given so far; sessions that ended have said what they read."""
    database.execute("select pg_stat_clear_snapshot()")
    row = database.execute(READ).fetchone()
    assert row is not None
    return int(row[0])
