"""How far each role is, read from a real Postgres in which the roles left their marks."""

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from projections.database import READ_SCHEMA
from projections.lag import Lags
from projections.runner import Projector
from streams.store.base import Unavailable
from streams.store.heartbeats import Heartbeat
from streams.store.migrate import migrate
from streams.store.postgres import PostgresStore
from streams.store.progress import Progress
from tests.memory_world import MemoryWorld
from tests.world import START


@pytest.fixture
def world(store_dsn: str) -> Iterator[MemoryWorld]:
    """The world on a real store."""
    migrate(store_dsn, "projections", READ_SCHEMA)
    store = PostgresStore(store_dsn)
    yield MemoryWorld(store)
    store.close()


@pytest.fixture
def lags(world: MemoryWorld, store_dsn: str) -> Iterator[Lags]:
    read = Lags(store_dsn, "default", "alerts")
    yield read
    read.close()


def test_the_marks_of_every_role(world: MemoryWorld, lags: Lags, store_dsn: str) -> None:
    empty = lags.look(START)
    assert (empty.reached, empty.tracking, empty.due.rows, empty.pages.rows) == ({"projector": 0, "relay": 0}, {}, 0, 0)
    world.fire("ServiceDown", service="payments")
    seen = lags.look(world.now())
    assert (seen.head, seen.tracking) == (world.store.head(), {0: 0})
    Projector(world.store, store_dsn).step()
    with closing(Heartbeat(store_dsn, "projector")) as life:
        life.beat()
    Progress(store_dsn, "relay").tell(3)
    assert lags.look(world.now()).reached == {"projector": seen.head, "relay": 3}


def test_who_lives_says_so_and_who_never_did_is_missed(lags: Lags, store_dsn: str) -> None:
    with closing(Heartbeat(store_dsn, "pager")) as life:
        life.beat()
        silent = lags.look(START).silent
    assert (silent["worker"], silent["projector"], set(silent)) == (
        math.inf,
        math.inf,
        {"worker", "pager", "projector"},
    )
    assert 0.0 <= silent["pager"] < 30.0
    with psycopg.connect(store_dsn) as connection:
        connection.execute("update tocsin.progress set at = at - interval '1 hour'")
        assert connection.execute("select count(*) from tocsin.gaps").fetchone() == (0,)
    assert 3600.0 <= lags.look(START).silent["pager"] < 3660.0


def test_deadlines_and_pages_that_nobody_takes_are_overdue(world: MemoryWorld, lags: Lags) -> None:
    world.fire("ServiceDown", service="payments")
    assert lags.look(world.now() + timedelta(minutes=4)).due.rows == 0
    seen = lags.look(world.now() + timedelta(minutes=6))
    assert (seen.due.rows, seen.due.oldest) == (1, world.now() + timedelta(minutes=5))
    world._now += timedelta(minutes=6)
    world.store.claim_due(world.now(), -1, 10, "escalate")
    assert lags.look(world.now()).due.rows == 1
    [due] = world.store.claim_due(world.now(), 60, 10, "escalate")
    assert lags.look(world.now()).due.rows == 0
    world.store.save(world.pager._stepped([due]))
    seen = lags.look(world.now())
    assert (seen.due.rows, seen.pages.rows, seen.pages.oldest) == (0, 1, world.now())
    world.pager.claim(1)
    assert lags.look(world.now()).pages.rows == 0


def test_a_claim_whose_lease_is_over_waits_again(world: MemoryWorld, lags: Lags, store_dsn: str) -> None:
    world.fire("ServiceDown", service="payments")
    world._now += timedelta(minutes=6)
    world.pager.step()
    world.pager.claim(1)
    with psycopg.connect(store_dsn) as connection:
        connection.execute("update tocsin.pages set lease_until = clock_timestamp() - interval '1 s'")
        connection.execute(
            "insert into tocsin.inbox (receipt, part, key, body, received_at) values ('r', 0, '', '', %s)", (START,)
        )
    seen = lags.look(world.now())
    assert (seen.pages.rows, seen.inbox.rows, seen.inbox.oldest) == (1, 1, START)


def test_positions_are_written_once_a_second_at_most(
    world: MemoryWorld, lags: Lags, store_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("streams.store.progress.time.monotonic", lambda: now[0])
    progress = Progress(store_dsn, "sealer")
    for position in (1, 2, 3):
        progress.tell(position)
    assert lags.look(START).reached["sealer"] == 1
    now[0] += 1
    progress.tell(3)
    assert lags.look(START).reached["sealer"] == 3
    progress.close()


def test_a_database_that_is_away_is_said_so(store_dsn: str) -> None:
    with pytest.raises(Unavailable):
        Lags(f"{store_dsn}_missing", "default", "alerts").look(START)


def test_a_lost_connection_is_made_anew(world: MemoryWorld, lags: Lags, store_dsn: str) -> None:
    marks = lags.look(START)
    with psycopg.connect(store_dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
            " and datname = current_database()"
        )
    with pytest.raises(Unavailable):
        lags.look(START)
    assert replace(lags.look(START)) == marks
