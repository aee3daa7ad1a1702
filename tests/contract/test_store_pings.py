"""What a store promises of pings, asked of the one in memory and of the real one."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from domain.book import Due
from domain.heartbeating import HEARTBEAT
from domain.heartbeats import Ping
from streams import failpoints
from streams.store.base import Conflict, Save, Store, Unavailable
from streams.store.heartbeats import Heartbeat
from streams.store.postgres import PostgresStore
from tests.contract.storing import AT, book

MINUTE = timedelta(minutes=1)


def due(store: Store) -> list[Due]:
    """Every deadline of heartbeats, now claimed."""
    return store.claim_due(AT + timedelta(days=1), 60, 10, HEARTBEAT)


def put(store: Store, at: Due) -> None:
    saving = book(store)
    saving.put_due(at)
    store.save(Save(saving))


def test_the_latest_ping_is_remembered(store: Store) -> None:
    assert store.pings(["backup"]) == {}
    store.ping("backup", AT)
    store.ping("backup", AT + MINUTE)
    store.ping("backup", AT)
    assert store.pings(["backup"]) == {"backup": Ping(AT, AT + MINUTE)}


def test_one_that_is_expected_before_it_pings_is_expected_from_then_on(store: Store) -> None:
    store.expect("backup", AT)
    store.expect("backup", AT + MINUTE)
    assert store.pings(["backup"]) == {"backup": Ping(AT)}
    store.ping("backup", AT + MINUTE)
    store.expect("backup", AT + 2 * MINUTE)
    assert store.pings(["backup"]) == {"backup": Ping(AT, AT + MINUTE)}
    store.forget_pings("backup")
    assert store.pings(["backup"]) == {}


def test_a_ping_of_one_that_nobody_looks_at_has_it_looked_at(store: Store) -> None:
    store.ping("backup", AT)
    assert due(store) == [Due(HEARTBEAT, "backup", AT, 1)]


def test_a_ping_before_the_deadline_moves_nothing(store: Store) -> None:
    put(store, Due(HEARTBEAT, "backup", AT + MINUTE))
    store.ping("backup", AT)
    assert due(store) == [Due(HEARTBEAT, "backup", AT + MINUTE, 1)]


@pytest.mark.parametrize("late", [-4, 0, 60])
def test_a_look_that_did_not_see_a_ping_is_made_again(store: Store, late: int) -> None:
    put(store, Due(HEARTBEAT, "backup", AT))
    [claimed] = due(store)
    store.ping("backup", AT + timedelta(seconds=late))
    saving = book(store)
    saving.drop_due(HEARTBEAT, "backup", claimed.rev)
    with pytest.raises(Conflict):
        store.save(Save(saving))
    assert [again.rev for again in due(store)] == [claimed.rev + 1]


def test_what_feeds_it_ends_unless_it_pinged_since(store: Store) -> None:
    store.end_ping("backup", AT)
    assert store.pings(["backup"]) == {}
    assert due(store) == []
    store.ping("backup", AT)
    put(store, Due(HEARTBEAT, "backup", AT + 60 * MINUTE, 1))
    store.end_ping("backup", AT - MINUTE)
    assert store.pings(["backup"]) == {"backup": Ping(AT, AT)}
    store.end_ping("backup", AT + MINUTE)
    assert store.pings(["backup"]) == {"backup": Ping(AT, AT, AT + MINUTE)}
    assert due(store) == [Due(HEARTBEAT, "backup", AT + MINUTE, 3)]


def test_how_far_alerts_are_folded_never_goes_back(store: Store) -> None:
    assert store.listening().folded is None
    for at in (AT, AT + MINUTE, AT):
        store.folded_until(at)
    assert store.listening().folded == AT + MINUTE


Says = tuple[Callable[[Store], None], tuple[Mapping[str, Ping], datetime | None]]
SAYING: Mapping[str, Says] = {
    "ping": (lambda store: store.ping("backup", AT), ({"backup": Ping(AT, AT)}, None)),
    "end_ping": (lambda store: store.end_ping("backup", AT), ({"backup": Ping(AT, ended_at=AT)}, None)),
    "expect_ping": (lambda store: store.expect("backup", AT), ({"backup": Ping(AT)}, None)),
    "forget_pings": (lambda store: store.forget_pings("backup"), ({}, None)),
    "folded_until": (lambda store: store.folded_until(AT), ({}, AT)),
}
"""What can be said of heartbeats, by the name of its failpoints, and what is known afterwards."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", SAYING)
async def test_what_was_lost_on_the_way_is_said_again(store_dsn: str, tmp_path: Path, name: str, when: str) -> None:
    store = PostgresStore(store_dsn)
    say, expected = SAYING[name]
    if name in ("forget_pings", "end_ping"):
        store.expect("backup", AT)
    before = store.pings(["backup"]), None
    failpoints.arm(tmp_path / "plan", "gateway")
    try:
        (tmp_path / "plan").write_text(f"gateway {name}:{when} lose 1\n")
        with pytest.raises(Unavailable):
            say(store)
        assert (store.pings(["backup"]), store.listening().folded) == (before if when == "before" else expected)
        say(store)
        assert (store.pings(["backup"]), store.listening().folded) == expected
    finally:
        failpoints.arm(None, "gateway")
        store.close()


@pytest.fixture
def beating(store_dsn: str) -> Iterator[Heartbeat]:
    heartbeat = Heartbeat(store_dsn, "gateway")
    yield heartbeat
    heartbeat.close()


def test_times_without_a_gateway_are_remembered(store_dsn: str, beating: Heartbeat) -> None:
    store = PostgresStore(store_dsn)
    try:
        assert store.listening().age is None
        beating.beat()
        beating.beat()
        assert store.listening().gaps == ()
        with psycopg.connect(store_dsn) as connection:
            connection.execute("update tocsin.progress set at = at - interval '60 s'")
            connection.execute("insert into tocsin.gaps values (now() - interval '102 d', now() - interval '101 d')")
        age = store.listening().age
        assert age and timedelta(seconds=60) <= age < timedelta(seconds=90)
        beating.beat()
        time.sleep(0.01)
        beating.beat()
        listening = store.listening()
        assert listening.age and listening.age < timedelta(seconds=30)
        [gap] = listening.gaps
        assert timedelta(seconds=60) <= gap.until - gap.since < timedelta(seconds=90)
    finally:
        store.close()
