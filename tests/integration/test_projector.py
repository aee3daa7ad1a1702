"""The projector on a real Postgres: one works, others stand by, and no lost connection loses a row."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg.conninfo import conninfo_to_dict
from structlog.testing import capture_logs

from domain import incidents
from projections.queries import Queries
from projections.runner import Projector, Session
from projections.tables import Connection, ProjectionFailed, apply
from streams.store.base import Recorded, Unavailable, WrongStore
from streams.store.memory import MemoryStore
from streams.store.migrate import migrate
from tests.projecting import ADA, AM, INCIDENT, Bench, log, opened, stored, story

READ = "read_models"
END = len(story())
KILL = (
    "select pg_terminate_backend(pid, 5000) from pg_locks join pg_stat_activity using (pid)"
    " where locktype = 'advisory' and classid = 7203 and datname = current_database()"
)


@pytest.fixture
def read_dsn(postgres_dsn: str) -> str:
    migrate(postgres_dsn, "projections", READ)
    return postgres_dsn


@asynccontextmanager
async def running(*projectors: Projector) -> AsyncIterator[list["asyncio.Task[None]"]]:
    stopping = asyncio.Event()
    tasks = [asyncio.create_task(projector.run(stopping)) for projector in projectors]
    try:
        yield tasks
    finally:
        stopping.set()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)


def position(dsn: str, schema: str = READ) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(f"select position from {schema}.cursor").fetchone()
    assert row
    return int(row[0])


def locks(dsn: str) -> int:
    """How many projectors hold a lock here."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(KILL.replace("pg_terminate_backend(pid, 5000)", "count(*)")).fetchone()
    assert row
    return int(row[0])


def kill(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return len(connection.execute(KILL).fetchall())


@contextmanager
def away(dsn: str) -> Iterator[None]:
    """The database lets nobody in, and everybody who was in is out."""
    name = conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"alter database {name} allow_connections false")
        connection.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", (name,))
        yield
        connection.execute(f"alter database {name} allow_connections true")


def answers(queries: Queries) -> bool:
    try:
        queries.ping()
    except Unavailable:
        return False
    return True


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def expected(dsn: str, events: Sequence[Recorded]) -> object:
    """The rows that these events leave when nothing goes wrong."""
    bench = Bench(dsn, "expected")
    bench.deliver(events, len(events))
    return bench.rows()


async def test_it_catches_up_in_batches_and_is_woken_by_news(read_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.runner.POLL", 12.0)
    events = log(story())
    store = stored(events[:20])
    async with running(Projector(store, read_dsn, batch=7)):
        await until(lambda: position(read_dsn) == 20)
        store.log.extend(events[20:])
        with store._changed:
            store._changed.notify_all()
        await until(lambda: position(read_dsn) == len(events), 10)
        with store._changed:  # nobody is to wait for the rest of the time
            store._changed.notify_all()
    assert Bench(read_dsn, READ).rows() == expected(read_dsn, events)


async def test_progress_is_visible(read_dsn: str) -> None:
    def metric(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"tocsin_projection_{name}", labels) or 0.0

    opened_before = metric("events_total", type="incident.opened.v1")
    projector = Projector(stored(log(story())), read_dsn, batch=END - 20)

    assert await asyncio.to_thread(projector.step) == END - 20
    assert (metric("leads"), metric("position"), metric("lag_events")) == (1, END - 20, 20)
    assert await asyncio.to_thread(projector.step) == 20
    assert (metric("position"), metric("lag_events")) == (END, 0)
    assert metric("events_total", type="incident.opened.v1") == opened_before + 1

    projector.leave()
    assert metric("leads") == 0


async def test_a_standby_takes_over_when_the_first_dies(read_dsn: str) -> None:
    events = log(story())
    first_store, second_store = stored(events[:10]), stored(events)
    async with running(Projector(first_store, read_dsn)) as (first,):
        await until(lambda: position(read_dsn) == 10)
        async with running(Projector(second_store, read_dsn)):
            await asyncio.sleep(1.2)
            assert position(read_dsn) == 10, "the standby worked beside the first"

            first.cancel()

            await until(lambda: position(read_dsn) == len(events))
    assert Bench(read_dsn, READ).rows() == expected(read_dsn, events)


async def test_a_projector_whose_session_was_lost_writes_nothing_more(read_dsn: str) -> None:
    """It stalls, its session is lost, another takes over and moves on; what it then still does must fail."""
    events = log(story())
    stalled = Projector(stored(events), read_dsn, batch=5)
    stalled.step()
    kill(read_dsn)
    other = Projector(stored(events), read_dsn, batch=5)
    assert other.step() == 5

    with pytest.raises(Unavailable):
        stalled.step()

    assert position(read_dsn) == 10
    other.leave()


def test_rows_and_cursor_are_one_transaction(read_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(connection: Connection, batch: Sequence[Recorded]) -> None:
        apply(connection, batch)
        raise Unavailable("between rows and cursor")

    monkeypatch.setattr("projections.runner.apply", interrupted)
    projector = Projector(stored(log(story())), read_dsn)
    with pytest.raises(Unavailable):
        projector.step()
    projector.leave()
    assert (position(read_dsn), Bench(read_dsn, READ).rows()["timeline"]) == (0, [])


@pytest.mark.parametrize("moment", ["before the rows", "between rows and cursor"])
async def test_a_connection_killed_mid_run_costs_nothing_but_time(
    read_dsn: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    events = log(story())[:33]
    batches: list[tuple[int, int]] = []

    def killed_now_and_then(connection: Connection, batch: Sequence[Recorded]) -> None:
        batches.append((batch[0].position, batch[-1].position))
        if moment == "before the rows" and len(batches) in (2, 4):
            kill(read_dsn)
        apply(connection, batch)
        if moment == "between rows and cursor" and len(batches) in (2, 4):
            kill(read_dsn)

    monkeypatch.setattr("projections.runner.apply", killed_now_and_then)
    async with running(Projector(stored(events), read_dsn, batch=11)):
        await until(lambda: position(read_dsn) == len(events))
    assert batches == [(1, 11), (12, 22), (12, 22), (23, 33), (23, 33)]
    assert Bench(read_dsn, READ).rows() == expected(read_dsn, events)


async def test_a_database_that_is_away_is_waited_for_and_said_once(read_dsn: str) -> None:
    events = log(story())
    store = stored(events[:20])
    with capture_logs() as said:
        async with running(Projector(store, read_dsn)):
            await until(lambda: position(read_dsn) == 20)
            with away(read_dsn):
                store.log.extend(events[20:])
                await until(lambda: said[-1]["event"].startswith("read models stand still"))
                await asyncio.sleep(2)  # it is not said again
            await until(lambda: position(read_dsn) == len(events))
    assert [entry["event"] for entry in said] == [
        "projecting",
        "read models stand still: waiting for Postgres",
        "projecting",
        "Postgres answers again",
    ]
    assert Bench(read_dsn, READ).rows() == expected(read_dsn, events)


async def test_questions_fail_while_the_database_is_away_and_work_right_after(read_dsn: str) -> None:
    queries = Queries(read_dsn, pool_size=2)
    assert queries.position() == 0
    with away(read_dsn):
        for _ in range(2):
            with pytest.raises(Unavailable):
                await asyncio.wait_for(asyncio.to_thread(queries.ping), 10)
    await until(lambda: answers(queries))
    queries.close()


async def test_a_handler_that_fails_stops_loudly_and_skips_nothing(read_dsn: str) -> None:
    events = log([(INCIDENT, opened(), AM), (INCIDENT[:-1] + "f", incidents.Resolved("person"), ADA)])
    projector = Projector(stored(events), read_dsn)

    with pytest.raises(ProjectionFailed, match=r"incident\.resolved\.v1 at position 2"):
        await asyncio.wait_for(projector.run(asyncio.Event()), 10)

    assert position(read_dsn) == 0
    await until(lambda: locks(read_dsn) == 0)  # Postgres sees a moment later that the connection is closed


async def test_read_models_of_another_store_are_refused(read_dsn: str) -> None:
    projector = Projector(stored(log(story())), read_dsn)
    projector.step()
    projector.store = stored([])

    with pytest.raises(WrongStore, match=f"position {END}, but the log ends at 0"):
        projector.step()
    projector.leave()


async def test_a_schema_that_was_never_migrated_is_refused_in_words(postgres_dsn: str) -> None:
    with pytest.raises(WrongStore, match="not migrated"):
        Projector(MemoryStore(), postgres_dsn).step()


async def test_a_shadow_is_built_beside_the_projector(read_dsn: str) -> None:
    migrate(read_dsn, "projections", "shadow")
    session = Session.open(read_dsn, READ)
    shadow = Projector(stored(log(story())), read_dsn, schema="shadow")
    assert shadow.step() == END
    assert (position(read_dsn), position(read_dsn, "shadow")) == (0, END)
    shadow.leave()
    assert session
    session.close()


async def test_a_stopped_projector_has_let_go(read_dsn: str) -> None:
    async with running(Projector(stored(log(story())), read_dsn)):
        await until(lambda: position(read_dsn) == END)
        assert locks(read_dsn) == 1
    await until(lambda: locks(read_dsn) == 0)


async def test_who_waits_for_a_position_gets_it(read_dsn: str) -> None:
    queries = Queries(read_dsn, pool_size=1)
    async with running(Projector(stored(log(story())), read_dsn)):
        assert await asyncio.to_thread(queries.reached, END, 30.0)
    assert not await asyncio.to_thread(queries.reached, END + 1, 0.1)
    queries.close()
