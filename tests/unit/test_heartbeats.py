"""When a heartbeat is missed; and that its decisions can be made again from the log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.alerts import Alert, AlertStatus
from domain.heartbeating import LAST_PING, MISSED_AT, Known, alert_of, known_of
from domain.heartbeats import Gap, Heartbeat, Ping, missed_at
from domain.matching import Matcher, MatchOperator
from domain.severity import Severity
from schemas.config_files import dump_config, parse_config
from tests.auditing import KeepingStore, MemoryLedger, verify
from tests.memory_world import MemoryWorld
from tests.stories.test_heartbeats import Watched
from tests.world import CONFIG

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOURLY = Heartbeat("backup", interval=3600.0, grace=600.0)
PATIENCE = timedelta(minutes=70)


def gap(after: float, minutes: float) -> Gap:
    """A gap that begins so many minutes after noon."""
    since = NOON + timedelta(minutes=after)
    return Gap(since, since + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("gaps", "minutes"),
    [
        ([], 70),
        ([gap(-30, 20)], 70),
        ([gap(71, 20)], 70),
        ([gap(10, 5)], 85),
        ([gap(-10, 15)], 75),
        ([gap(69, 60)], 199),
        ([gap(10, 5), gap(60, 10)], 140),
        ([gap(10, 5), gap(60, 10), gap(130, 10)], 165),
    ],
)
def test_whoever_could_not_ping_has_all_the_time_again(gaps: Sequence[Gap], minutes: float) -> None:
    assert missed_at(HOURLY, Ping(NOON, NOON), gaps) == NOON + timedelta(minutes=minutes)


def test_before_its_first_ping_it_counts_from_when_it_is_expected() -> None:
    assert missed_at(HOURLY, Ping(NOON)) == NOON + PATIENCE
    assert missed_at(HOURLY, Ping(NOON, NOON + PATIENCE)) == NOON + 2 * PATIENCE


def test_it_is_missed_at_once_when_what_feeds_it_has_ended() -> None:
    later = NOON + timedelta(minutes=1)
    assert missed_at(HOURLY, Ping(NOON, NOON, ended_at=later)) == later
    assert missed_at(HOURLY, Ping(NOON, later, ended_at=NOON)) == later + PATIENCE


spans = st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100)), max_size=6)


@given(spans, st.integers(1, 70))
def test_gaps_hide_nobody_and_blame_nobody(spans: list[tuple[int, int]], every: int) -> None:
    """Against what happens: who pings in time whenever it can be heard is not missed, as long as gaps are rare; who is
    silent is, once it could have been heard for twice its patience."""
    gaps, at = [], 0
    for pause, length in spans:
        gaps.append(gap(at + pause, length))
        at += pause + length
    missed = missed_at(HOURLY, Ping(NOON, NOON), gaps)
    heard = missed - NOON - sum((min(g.until, missed) - min(g.since, missed) for g in gaps), timedelta())
    assert missed - NOON >= PATIENCE
    assert heard <= 2 * PATIENCE
    tries = (NOON + timedelta(minutes=every * n) for n in range(1, 1000))
    first_heard = next(t for t in tries if not any(g.since <= t < g.until for g in gaps))
    rare = all(later.since - earlier.until >= PATIENCE for earlier, later in pairwise(gaps))
    if rare:
        assert first_heard <= missed


def world_with_heartbeats() -> tuple[MemoryWorld, KeepingStore]:
    store = KeepingStore()
    heartbeats = "heartbeats:\n  index: {interval: 5m, service: catalogue}\n  night: {interval: 1h, armed: true}\n"
    heartbeats += "  prometheus: {interval: 10m, fed_by: {matchers: ['alertname=Watchdog']}}\n"
    world = MemoryWorld(store, config=CONFIG + heartbeats)
    store.wall = world.now
    return world, store


def missed_and_heard_of() -> MemoryLedger:
    """A log of heartbeats that are missed and heard of again, silenced and removed."""
    world, store = world_with_heartbeats()
    world.settle()
    store.ping("index", world.now())
    world.advance(minutes=6)
    store.ping("index", world.now())
    world.advance(minutes=2)
    world.silence(minutes=10, heartbeat="index")
    world.advance(minutes=55)
    for _ in range(2):
        world.fire("Watchdog")
        world.advance(minutes=1)
    world.end("Watchdog")
    world.advance(minutes=1)
    world.fire("Watchdog")
    world.configure(CONFIG)
    world.settle()
    return MemoryLedger.of(store)


def test_decisions_about_heartbeats_are_made_again() -> None:
    verdict = verify(missed_and_heard_of().seal())
    assert not verdict.findings
    assert verdict.rederived["group.alert_fired.v1"] == 3
    assert verdict.rederived["group.alert_refired.v1"] == 1
    assert verdict.rederived["group.alert_resolved.v1"] == 4


def test_what_was_missed_before_its_time_cannot_have_been_decided() -> None:
    early = {LAST_PING: NOON.isoformat(), MISSED_AT: (NOON + PATIENCE - timedelta(seconds=1)).isoformat()}
    alert = Alert("backup", AlertStatus.FIRING, Severity.HIGH, {}, early, source_time=NOON)
    with pytest.raises(ValueError, match="before its time"):
        known_of(HOURLY, alert, NOON + PATIENCE)
    late = replace(alert, annotations={**early, MISSED_AT: (NOON + PATIENCE).isoformat()})
    assert known_of(HOURLY, late, NOON + PATIENCE) == Known(Ping(NOON, NOON), NOON + PATIENCE, NOON + PATIENCE)


@pytest.mark.parametrize(
    ("field", "value"),
    [("source_time", "2026-03-02T03:00:01Z"), ("received_at", "2026-03-02T03:04:59Z"), ("severity", "low")],
)
def test_what_is_altered_about_a_heartbeat_is_found(field: str, value: str) -> None:
    ledger = missed_and_heard_of()
    position = next(line.position for line in ledger.rows if line.type == "group.alert_fired.v1")

    def change(document: dict[str, dict[str, str]]) -> None:
        document["data"][field] = value

    assert verify(ledger.altered(position, change).seal()).findings


words = st.text("abc xyz-", min_size=1, max_size=8)
whole = st.integers(1, 31 * 24 * 3600).map(float)
fields = st.fixed_dictionaries(
    {"interval": whole},
    optional={
        "grace": st.integers(0, 1000).map(float),
        "team": st.just("platform"),
        "service": st.just("payments"),
        "severity": st.sampled_from(Severity),
        "labels": st.dictionaries(words, words, max_size=3).map(lambda labels: tuple(sorted(labels.items()))),
        "token_hashes": st.lists(st.sampled_from(["ab" * 32, "cd" * 32]), unique=True).map(tuple),
        "armed": st.booleans(),
        "fed_by": st.just((Matcher("alertname", MatchOperator.EQUAL, "Watchdog"),)),
    },
)


@settings(max_examples=50)
@given(fields)
def test_what_is_written_is_read_back(said: dict[str, Any]) -> None:
    known = parse_config(CONFIG, "world.yaml")
    heartbeat = Heartbeat("backup", **said)
    assert parse_config(dump_config([heartbeat]), "backup.yaml", known) == {("heartbeat", "backup"): heartbeat}


@dataclass(frozen=True)
class Hear:
    """A ping; `racing`: between the next decision and its save."""

    racing: bool = False


@dataclass(frozen=True)
class Wait:
    """Time passes; `down`: nothing of Tocsin runs."""

    minutes: int
    down: bool = False


@dataclass(frozen=True)
class Declare:
    """The heartbeat is configured so; not at all, when nothing is said."""

    said: str


@dataclass(frozen=True)
class Hush:
    """It is silenced for some minutes."""

    minutes: int


DECLARED = ["{interval: 5m}", "{interval: 5m, armed: true}", "{interval: 30m, grace: 10m, service: catalogue}", ""]
waits = st.builds(Wait, st.sampled_from([1, 4, 6, 45]), st.sampled_from([False, False, True]))
hears = st.builds(Hear, st.booleans())
moves = st.one_of(
    hears,
    hears,
    waits,
    waits,
    waits,
    st.sampled_from(DECLARED).map(Declare),
    st.builds(Hush, waits.map(lambda w: w.minutes)),
)


@settings(max_examples=100)
@given(st.lists(moves, min_size=3, max_size=15))
def test_whatever_happens_it_is_missed_when_it_should_be(history: list[Hear | Wait | Declare | Hush]) -> None:
    """After every step the alert fires if and only if the rule says that it is missed; and all of it verifies."""
    store = KeepingStore()
    world = Watched(f"  index: {DECLARED[0]}\n", store)
    store.wall = world.now
    for move in history:
        world._now += timedelta(seconds=1)
        match move:
            case Hear(racing=True):
                store.meddling.append(lambda: store.ping("index", world.now()))
            case Hear():
                world.ping("index")
            case Wait(minutes, down=True):
                world.outage(minutes)
            case Wait(minutes):
                world.advance(minutes=minutes)
            case Declare(said):
                world.declare(f"  index: {said}\n" if said else "  other: {interval: 1h}\n")
            case Hush(minutes):
                world.silence(minutes, heartbeat="index")
        world.settle()
        fires_when_it_should(world)
    assert not verify(MemoryLedger.of(store).seal()).findings


def fires_when_it_should(world: Watched) -> None:
    heartbeat, ping = world.store.config().heartbeats.get("index"), world.store.pings(["index"]).get("index")
    row = world.store.alerts([alert_of("default", "index")]).get(alert_of("default", "index"))
    missed = bool(heartbeat and ping and missed_at(heartbeat, ping, world.gaps) <= world.now())
    assert (row is not None and row.status is AlertStatus.FIRING) == missed
