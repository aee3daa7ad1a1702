"""What Postgres believes of its tables may be a minute old. In a storm that is thousands of rows ago."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import LiteralString

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from projections.database import READ_SCHEMA
from projections.runner import Projector
from streams.store.migrate import migrate
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
READ: LiteralString = """
select coalesce(sum(seq_tup_read), 0) + coalesce((select sum(idx_tup_read) from pg_stat_user_indexes), 0)
from pg_stat_user_tables
"""
OTHERS: LiteralString = """
select count(*) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
"""
BEHIND: LiteralString = f"""
select count(*) from {SCHEMA}.stored_events e left join {SCHEMA}.snapshots s on s.stream = e.originator_id
where e.originator_id like 'group-%' and e.originator_version > coalesce(s.version, 0)
"""
PATIENCE = 10.0
"""Seconds."""


@pytest.fixture
def database(store_dsn: str) -> Iterator[psycopg.Connection[tuple[int]]]:
    """A connection beside the store's and the projector's; Postgres does not look at the tables by itself."""
    migrate(store_dsn, "projections", READ_SCHEMA)
    with psycopg.connect(store_dsn, autocommit=True) as connection:
        query = "select schemaname, tablename from pg_tables where schemaname = any(%s)"
        for table in connection.execute(query, ([SCHEMA, READ_SCHEMA],)).fetchall():
            off = SQL("alter table {} set (autovacuum_enabled = off)").format(Identifier(*map(str, table)))
            connection.execute(off)
        yield connection


def test_an_alert_costs_no_more_rows_in_a_storm_that_postgres_has_not_noticed(
    store_dsn: str, database: psycopg.Connection[tuple[int]]
) -> None:
    def folding(first: int, webhooks: int) -> int:
        """Rows that are read for so many webhooks, but for the events of the group since its state was kept: whoever
        opens a store reads them once (`tests/unit/test_snapshots_kept.py` says how many there may be)."""
        with psycopg.connect(store_dsn) as connection:
            loaded = _number(connection, BEHIND)
        before = _read(database)
        with closing(PostgresStore(store_dsn)) as store:
            world.fold = replace(world.fold, store=store)
            for number in range(first, first + webhooks):
                names = [f"{number}-{index}" for index in range(EACH)]
                at = world.now() - timedelta(minutes=1)
                members = [alert("Disk", {"service": "payments", "instance": name}, at) for name in names]
                world.receive(webhook(members), world.now())
        return _read(database) - before - loaded

    with closing(PostgresStore(store_dsn)) as store:
        world = MemoryWorld(store, CONFIG + RULES)
    folding(0, 1)
    database.execute("analyze")
    few, few_again = folding(1, 1), folding(1, 1)
    folding(2, STORM)
    many, many_again = folding(2 + STORM, 1), folding(2 + STORM, 1)

    assert many < 2 * few, f"{EACH} alerts read {few} rows at first, and {many} after {EACH * STORM} others"
    assert many_again < 2 * few_again, f"repeats read {few_again} rows at first, and {many_again} later"


def test_an_incident_costs_the_read_models_no_more_rows_either(
    store_dsn: str, database: psycopg.Connection[tuple[int]]
) -> None:
    world = MemoryWorld(config=CONFIG)

    def projecting(first: int, count: int) -> float:
        """Rows that are read for each of so many incidents; one session projects them all."""
        for number in range(first, first + count):
            at = world.now() - timedelta(minutes=1)
            names = [f"{number}-{index}" for index in range(EACH)]
            world.receive(webhook([alert(name, {"service": "payments"}, at) for name in names]), world.now())
        before = _read(database)
        projector = Projector(world.store, store_dsn)
        while projector.step():
            pass
        projector.leave()
        return (_read(database) - before) / (count * EACH)

    projecting(0, 1)
    database.execute("analyze")
    few, many = projecting(1, 1), projecting(2, STORM)
    assert many < 2 * few, f"an incident read {few:.1f} rows at first, and {many:.1f} among {EACH * STORM} others"


def _read(database: psycopg.Connection[tuple[int]]) -> int:
    """Rows that tables and indexes have given so far, once the sessions that read them have ended and said so."""
    until = time.monotonic() + PATIENCE
    while _number(database, OTHERS):
        assert time.monotonic() < until, "a session of the store goes on"
        time.sleep(0.01)
    database.execute("select pg_stat_clear_snapshot()")
    return _number(database, READ)


def _number(database: psycopg.Connection[tuple[int]], query: LiteralString) -> int:
    row = database.execute(query).fetchone()
    assert row is not None
    return int(row[0])
