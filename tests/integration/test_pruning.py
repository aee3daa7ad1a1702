"""What is over goes, what is not stays: on a real Postgres with a real history."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from domain.erasing import PayloadErased
from streams.pruning import Pruner
from streams.store.expiring import expire
from streams.store.leadership import Leadership, Seat
from streams.store.outages import Outages
from streams.store.postgres import PostgresStore
from streams.store.pruning import RULES, Pruning
from tests.memory_world import ORG, MemoryWorld

KEPT = timedelta(days=90)


@pytest.fixture
def world(store_dsn: str) -> Iterator[MemoryWorld]:
    """The world on a real store."""
    store = PostgresStore(store_dsn)
    yield MemoryWorld(store)
    store.close()


@pytest.fixture
def pruning(store_dsn: str) -> Pruning:
    return Pruning(store_dsn, KEPT)


def count(dsn: str, table: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(f"select count(*) from tocsin.{table}").fetchone()
    return row[0] if row else 0


def put(dsn: str, table: str, *rows: tuple[object, ...]) -> None:
    columns = {
        "commands": "api_key, idempotency_key, digest, position, answer, at",
        "correlation": "incident, rule, key, service, opened_at, opener",
        "inbox": "receipt, part, key, body, received_at, folded_at, forwarded_at",
    }[table]
    with psycopg.connect(dsn) as connection:
        for row in rows:
            places = ", ".join(["%s"] * len(row))
            connection.execute(f"insert into tocsin.{table} ({columns}) values ({places})", row)


def test_pages_go_when_their_incident_is_over_and_their_time_too(
    world: MemoryWorld, pruning: Pruning, store_dsn: str
) -> None:
    for name in ("Over", "Reopened", "Open"):
        world.fire(name, service="payments")
    for incident in ("INC-1", "INC-2", "INC-3"):
        world.expect_page("ada", incident)
        world.ack(incident)
    world.resolve("INC-1")
    world.resolve("INC-2")
    assert world.command("reopen", "INC-2") == "triggered"
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")
    before = world.store.head()
    assert pruning.prune("pages", world.now() + KEPT, 100) == 0
    assert pruning.prune("pages", world.now() + KEPT + timedelta(seconds=1), 100) == 1
    assert (count(store_dsn, "pages"), world.store.head()) == (3, before)


def test_a_page_that_is_to_be_said_never_goes(world: MemoryWorld, pruning: Pruning, store_dsn: str) -> None:
    world.receive_only("Disk")
    world.pager.step()
    world.command_only("resolve", "INC-1", "ada")
    with psycopg.connect(store_dsn) as connection:
        connection.execute("update tocsin.pages set status = 'queued'")
    assert pruning.prune("pages", world.now() + 2 * KEPT, 100) == 0


def test_rows_go_after_a_day_in_batches(world: MemoryWorld, pruning: Pruning, store_dsn: str) -> None:
    now = world.now()
    old, young = now - timedelta(hours=25), now - timedelta(hours=23)
    put(
        store_dsn,
        "commands",
        *((f"key-{n}", "k", b"", 1, b"", old) for n in range(5)),
        ("key", "k", b"", 1, b"", young),
    )
    assert [pruning.prune("commands", now, 3) for _ in range(3)] == [3, 2, 0]
    assert count(store_dsn, "commands") == 1


def test_the_inbox_keeps_what_is_not_folded_or_not_in_the_topic(
    world: MemoryWorld, pruning: Pruning, store_dsn: str
) -> None:
    now = world.now()
    old: datetime = now - timedelta(days=2)
    done: dict[str, tuple[datetime | None, datetime | None]] = {
        "both": (old, old),
        "unforwarded": (old, None),
        "unfolded": (None, old),
        "young": (now, now),
    }
    received = {"young": now}
    put(store_dsn, "inbox", *((name, 1, b"", b"", received.get(name, old), *marks) for name, marks in done.items()))
    assert pruning.prune("inbox", now, 100) == 1
    assert count(store_dsn, "inbox") == 3


def test_where_incidents_stand_is_forgotten_when_no_rule_looks_so_far_back(
    world: MemoryWorld, pruning: Pruning, store_dsn: str
) -> None:
    opened = [world.now() - timedelta(hours=hours) for hours in (23, 26)]
    put(store_dsn, "correlation", *((f"incident-{n}", "r", "", "db", at, "am/f1") for n, at in enumerate(opened)))
    assert pruning.prune("correlation", world.now(), 10) == 1
    found = world.store.candidates({("r", "", "db"): opened[1]}).at[("r", "", "db")]
    assert [candidate.incident for candidate in found] == ["incident-0"]


def test_one_of_several_pruners_does_it_and_stops_when_told(world: MemoryWorld, store_dsn: str) -> None:
    outages = Outages(store_dsn)
    outages.begin(["worker", "pager"], world.now())
    outages.end(["worker"], world.now())
    later = world.now() + KEPT + timedelta(days=1)

    async def work() -> None:
        stopping = asyncio.Event()
        pruners = [
            Pruner(Pruning(store_dsn, KEPT), Leadership(store_dsn, Seat.PRUNER), lambda: later).run(stopping)
            for _ in range(2)
        ]
        running = asyncio.gather(*pruners)
        async with asyncio.timeout(20):
            while count(store_dsn, "outages") > 1:
                await asyncio.sleep(0.05)
            stopping.set()
            await running

    asyncio.run(work())
    assert count(store_dsn, "outages") == 1


def test_whoever_has_not_the_seat_prunes_nothing(world: MemoryWorld, store_dsn: str) -> None:
    seated = Leadership(store_dsn, Seat.PRUNER)
    assert seated.hold()
    put(store_dsn, "commands", ("key", "k", b"", 1, b"", world.now() - timedelta(days=2)))
    pruner = Pruner(Pruning(store_dsn, KEPT), Leadership(store_dsn, Seat.PRUNER), world.now)
    asyncio.run(pruner._round(asyncio.Event()))
    assert count(store_dsn, "commands") == 1
    seated.release()
    asyncio.run(pruner._round(asyncio.Event()))
    assert count(store_dsn, "commands") == 0


def test_no_rule_names_a_table_of_the_log() -> None:
    assert set(RULES) == {"commands", "inbox", "pages", "outages", "correlation"}


def test_texts_of_alerts_that_are_over_are_blanked_and_an_event_says_so(world: MemoryWorld, store_dsn: str) -> None:
    world.fire("Over", service="payments")
    world.fire("Firing", service="payments")
    for incident in ("INC-1", "INC-2"):
        world.expect_page("ada", incident)
    world.advance(minutes=1)
    world.end("Over", service="payments")
    soon, later = datetime.now(UTC) - KEPT, datetime.now(UTC) + timedelta(hours=1)
    assert expire(store_dsn, ORG, soon, 10, "r-1", world.now()) == 0
    before = world.store.head()
    assert expire(store_dsn, ORG, later, 10, "r-1", world.now()) == 2
    assert expire(store_dsn, ORG, later, 10, "r-2", world.now()) == 0
    with psycopg.connect(store_dsn) as connection:
        rows = connection.execute("select ref, salt, body from tocsin.payloads where ref like 'alert/%'").fetchall()
    blanked = {ref: salt for ref, salt, body in rows if body is None}
    [said] = world.store.tail(before, 10)
    assert isinstance(said.event, PayloadErased)
    assert (said.event.refs, said.event.reason) == (tuple(sorted(blanked)), "retention")
    assert set(blanked.values()) == {None}
    assert len(rows) == 3


def test_a_round_expires_texts_too(world: MemoryWorld, store_dsn: str) -> None:
    left = [500, 3, 0]
    expired: list[int] = []

    def expiring(limit: int) -> int:
        expired.append(limit)
        return left[len(expired) - 1]

    async def work() -> None:
        stopping = asyncio.Event()
        pruner = Pruner(Pruning(store_dsn, KEPT), Leadership(store_dsn, Seat.PRUNER), world.now, expiring)
        running = asyncio.create_task(pruner.run(stopping))
        async with asyncio.timeout(20):
            while len(expired) < 2:
                await asyncio.sleep(0.05)
        stopping.set()
        await running

    asyncio.run(work())
    assert expired == [500, 500]
