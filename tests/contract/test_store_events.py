"""What a store promises of streams and configuration, asked of the one in memory and of the real one."""

import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

from domain import incidents
from domain.config import ConfigObject, ContactMethod, Team, User
from domain.incidents import Incident
from schemas.events import decode, hash_event
from streams.configuring import apply
from streams.store.base import Conflict, Save, Store
from streams.store.postgres import PostgresStore
from tests.contract.storing import AT, CAUSE, INCIDENT, OTHER, book, opened, write


def test_what_is_saved_is_loaded_again(store: Store) -> None:
    assert store.load([INCIDENT])[INCIDENT].version == 0
    assert write(store, INCIDENT, opened(), incidents.Acknowledged()) == 2
    loaded = store.load([INCIDENT])[INCIDENT]
    assert (loaded.version, loaded.last_at) == (2, AT)
    assert isinstance(loaded.state, Incident)
    assert loaded.state.status is incidents.IncidentStatus.ACKNOWLEDGED


def test_positions_are_gapless_over_all_streams(store: Store) -> None:
    write(store, INCIDENT, opened(1))
    write(store, OTHER, opened(2), incidents.Acknowledged())
    write(store, INCIDENT, incidents.Acknowledged())
    assert [event.position for event in store.tail(0, 100)] == [1, 2, 3, 4]
    assert [event.position for event in store.tail(1, 2)] == [2, 3]
    assert store.head() == 4
    assert [event.version for event in store.history(INCIDENT)] == [1, 2]


def test_the_log_is_read_as_of_a_time(store: Store) -> None:
    second = timedelta(seconds=1)
    write(store, INCIDENT, opened(1), at=AT)
    write(store, INCIDENT, incidents.Acknowledged(), at=AT + 5 * second)
    write(store, OTHER, opened(2), incidents.Acknowledged(), at=AT + 2 * second)  # decided on a slower clock

    def positions(after: int, limit: int, as_of: datetime | None) -> list[int]:
        return [event.position for event in store.tail(after, limit, as_of)]

    assert positions(0, 10, as_of=AT - second) == []
    assert positions(0, 10, as_of=AT) == [1]
    assert positions(0, 10, as_of=AT + 2 * second) == [1, 3, 4]
    assert positions(1, 1, as_of=AT + 2 * second) == [3]
    assert positions(1, 10, as_of=(AT + 5 * second).astimezone(timezone(timedelta(hours=5, minutes=30)))) == [2, 3, 4]
    assert positions(0, 10, as_of=None) == [1, 2, 3, 4]


def test_of_two_who_write_one_stream_the_second_is_refused(store: Store) -> None:
    write(store, INCIDENT, opened())
    first, second = book(store, INCIDENT), book(store, INCIDENT)
    for written in (first, second):
        written.begin(CAUSE, AT)
        written.write(INCIDENT, incidents.Acknowledged())
    store.save(Save(first))
    with pytest.raises(Conflict):
        store.save(Save(second))
    assert store.head() == 2
    assert store.load([INCIDENT])[INCIDENT].version == 2


def test_a_decision_on_something_that_moved_is_refused(store: Store) -> None:
    write(store, INCIDENT, opened())
    skewed = book(store, INCIDENT, OTHER)
    skewed.begin(CAUSE, AT)
    skewed.read(INCIDENT, Incident)
    skewed.write(OTHER, opened(2))
    write(store, INCIDENT, incidents.Resolved("person"))
    with pytest.raises(Conflict, match="was read"):
        store.save(Save(skewed))
    assert store.load([OTHER])[OTHER].version == 0


def test_a_stream_that_was_read_as_absent_and_exists_now_is_a_conflict(store: Store) -> None:
    skewed = book(store, INCIDENT, OTHER)
    skewed.begin(CAUSE, AT)
    skewed.read(INCIDENT, Incident)
    skewed.write(OTHER, opened(2))
    write(store, INCIDENT, opened())
    with pytest.raises(Conflict):
        store.save(Save(skewed))


def test_every_event_is_chained_to_the_one_before_it_in_its_stream(store: Store) -> None:
    write(store, INCIDENT, opened())
    write(store, OTHER, opened(2))
    write(store, INCIDENT, incidents.Acknowledged(), incidents.Started())
    tips: dict[str, bytes] = {}
    for event in store.raw_tail(0, 100):
        assert decode(event.type, event.state).prev == tips.get(event.stream, b"").hex()
        assert event.hash == hash_event(event.stream, event.version, event.type, event.state)
        tips[event.stream] = event.hash
    assert store.load([INCIDENT])[INCIDENT].tip == tips[INCIDENT]


def test_a_decision_carries_what_it_read(store: Store) -> None:
    write(store, INCIDENT, opened())
    decided = book(store, INCIDENT, OTHER)
    decided.begin(CAUSE, AT)
    decided.read(INCIDENT, Incident)
    decided.write(OTHER, opened(2))
    store.save(Save(decided))
    assert store.history(OTHER)[0].decision.reads == ((INCIDENT, 1),)
    assert store.history(OTHER)[0].decision.cause == CAUSE


def test_whoever_has_the_store_to_himself_saves_and_others_wait(store: Store) -> None:
    done: list[str] = []
    other = threading.Thread(target=lambda: done.append(f"other {write(store, OTHER, opened(2))}"))
    with store.exclusive():
        other.start()
        time.sleep(0.1)
        done.append(f"mine {write(store, INCIDENT, opened())}")
    other.join(10)
    assert done == ["mine 1", "other 2"]


def test_a_long_stream_is_loaded_as_it_was_written(request: pytest.FixtureRequest, store: Store) -> None:
    write(store, INCIDENT, opened())
    for number in range(5):
        write(store, INCIDENT, *[incidents.Assigned((f"user-{number}-{n}",)) for n in range(100)])
    fresh = PostgresStore(request.getfixturevalue("store_dsn")) if isinstance(store, PostgresStore) else store
    assert fresh.load([INCIDENT]) == store.load([INCIDENT])
    assert write(fresh, INCIDENT, incidents.Acknowledged()) == 502
    assert [event.version for event in fresh.history(INCIDENT)] == list(range(1, 503))


def test_a_change_of_configuration_is_an_event_and_makes_older_decisions_conflict(store: Store) -> None:
    before = book(store, INCIDENT)
    before.begin(CAUSE, AT)
    before.write(INCIDENT, opened())
    ada = User("ada", "Ada Example", (ContactMethod("email", "ada@example.test"),))
    objects: dict[tuple[str, str], ConfigObject] = {("user", "ada"): ada, ("team", "platform"): Team("platform")}
    applied = apply(store, "default", objects, CAUSE, AT, b"salt")
    assert applied.changes == (("team", "platform", "create"), ("user", "ada", "create"))
    assert store.config().users["ada"] == ada
    assert store.config().revision == applied.revision == 2
    with pytest.raises(Conflict, match="configuration"):
        store.save(Save(before))


def test_personal_data_is_not_in_the_events(store: Store) -> None:
    ada = User("ada", "Ada Example", (ContactMethod("email", "ada@example.test"),))
    apply(store, "default", {("user", "ada"): ada}, CAUSE, AT, b"salt")
    assert not any(b"example.test" in event.state or b"Example" in event.state for event in store.raw_tail(0, 10))


def test_applying_the_same_twice_writes_nothing_and_pruning_removes(store: Store) -> None:
    objects = {("team", "platform"): Team("platform"), ("team", "search"): Team("search")}
    apply(store, "default", objects, CAUSE, AT, b"salt")
    assert apply(store, "default", objects, CAUSE, AT, b"salt").changes == ()
    fewer = {("team", "platform"): Team("platform")}
    assert apply(store, "default", fewer, CAUSE, AT, b"salt").changes == ()
    assert apply(store, "default", fewer, CAUSE, AT, b"salt", prune=True, dry_run=True).changes
    assert set(store.config().teams) == {"platform", "search"}
    assert apply(store, "default", fewer, CAUSE, AT, b"salt", prune=True).changes == (("team", "search", "remove"),)
    assert set(store.config().teams) == {"platform"}


def test_numbers_count_up(store: Store) -> None:
    assert [store.next_numbers(2), store.next_numbers(1)] == [[1, 2], [3]]


def test_waiting_ends_when_somebody_saves(store: Store) -> None:
    assert store.wait(0.01) is False
