"""Whatever happens in whatever order: what must hold after every history of alerts, people and time."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import EVENT_TYPES, Event
from tests.histories import FORGETFUL, SEEN, MeddledStore, Say, Step, fold, histories, live, report, says
from tests.memory_world import MemoryWorld


@settings(max_examples=300, deadline=None, derandomize=True)
@given(histories)
def test_whatever_happens_what_must_hold_holds(history: list[Step]) -> None:
    store = MeddledStore()
    world = MemoryWorld(store, FORGETFUL)
    store.wall = world.now
    live(world, history)


def test_the_histories_went_everywhere() -> None:
    """Runs after the property: what it did not reach, it did not check."""
    decided = {event for event in EVENT_TYPES if event.split(".")[0] in ("group", "incident", "escalation", "page")}
    missing = decided - {name for name, count in SEEN.items() if count}
    assert not missing
    assert SEEN["conflict"] > 5
    assert SEEN["correlation"] > 5
    assert SEEN["channel"] > 5
    assert SEEN["second loop"] > 5


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(says, st.integers(0, 30)), min_size=1, max_size=15), st.lists(st.integers(1, 5), max_size=15))
def test_batching_never_changes_events(said: list[tuple[Say, int]], sizes: list[int]) -> None:
    single, batched = MemoryWorld(config=FORGETFUL), MemoryWorld(config=FORGETFUL)
    records = []
    for number, (say, seconds) in enumerate(said):
        single._now = batched._now = single._now + timedelta(seconds=seconds)
        records.append(report(single, say, number))
    for record in records:
        fold(single, [record])
    left = list(records)
    for size in [*sizes, len(records)]:
        if left:
            fold(batched, left[:size])
            left = left[size:]
    assert events(single) == events(batched)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(says, st.integers(0, 25)), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_late_and_doubled_copies_end_in_the_same_alerts(said: list[tuple[Say, int]], random: object) -> None:
    """Reports of one minute may come in any order and any number of times: the last word is the same."""
    plain, shuffled = MemoryWorld(), MemoryWorld()
    records = []
    for number, (say, seconds) in enumerate(said):
        plain._now += timedelta(seconds=min(seconds, 4))
        records.append(report(plain, say, number))
    for record in records:
        fold(plain, [record])
    copies = [*records, *records]
    random.shuffle(copies)  # type: ignore[attr-defined]
    for record in copies:
        fold(shuffled, [record])
    assert last_words(plain) == last_words(shuffled)


def events(world: MemoryWorld) -> list[tuple[str, int, Event, object]]:
    return [(e.stream, e.version, e.event, e.decision) for e in world.store.tail(0, 1_000_000)]


def last_words(world: MemoryWorld) -> dict[str, str]:
    rows = world.store._alerts.values()  # type: ignore[attr-defined]
    return {row.fingerprint: row.status for row in rows}
