"""Whatever happens in whatever order: what must hold after every history of alerts, people and time.

Histories are made of fires, ends, repeats and late copies of anything that was said before, in any batches, of
people acknowledging, giving back, resolving and reopening, and of time passing.
"""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import escalations, groups, incidents, pages
from domain.decision import Refused
from domain.events import Event
from domain.ids import stream_kind
from schemas.received import AlertReceived, received
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams.fold import Arrival
from streams.store.base import Recorded, TrackingMove
from tests.memory_world import MemoryWorld
from tests.world import START, alert, webhook

ALERTS = [
    ("Disk", {"service": "payments", "instance": "a"}),
    ("Disk", {"service": "payments", "instance": "b", "severity": "warning"}),
    ("Net", {"service": "catalogue", "patience": "yes"}),
]


@dataclass(frozen=True)
class Say:
    """Monitoring reports one alert."""

    alert: int
    fires: bool


@dataclass(frozen=True)
class SayAgain:
    """A copy of an earlier report arrives once more."""

    earlier: int


@dataclass(frozen=True)
class Do:
    """A person acts on the n-th incident, if there is one."""

    verb: str
    incident: int


@dataclass(frozen=True)
class Wait:
    """Seconds pass."""

    seconds: int


says = st.builds(Say, st.integers(0, len(ALERTS) - 1), st.booleans())
steps = st.one_of(
    says,
    says,
    st.builds(SayAgain, st.integers(0, 50)),
    st.builds(Do, st.sampled_from(["ack", "unack", "start", "resolve", "reopen"]), st.integers(1, 4)),
    st.builds(Wait, st.sampled_from([1, 20, 45, 70, 301, 601, 1300])),
)
histories = st.lists(steps, max_size=25)


def report(world: MemoryWorld, said: Say, number: int) -> AlertReceived:
    name, labels = ALERTS[said.alert]
    now = world.now()
    member = alert(name, labels, now, None if said.fires else now)
    parsed = SOURCES["alertmanager"](json.dumps(webhook([member])).encode(), DEFAULT_LIMITS)
    return received(f"r-{number:04}", "alertmanager", now, parsed.alerts, parsed.raw, b"salt")


def fold(world: MemoryWorld, records: Sequence[AlertReceived]) -> None:
    first = world.offset
    arrivals = [Arrival(record, f"default/alerts/0@{first + 1 + n}") for n, record in enumerate(records)]
    world.offset += len(records)
    world.fold.save(arrivals, (TrackingMove("default", "alerts", 0, first, world.offset),))


def live(world: MemoryWorld, history: Sequence[Say | SayAgain | Do | Wait]) -> None:
    """Carry a history out, checking what must always hold."""
    told: list[AlertReceived] = []
    for number, step in enumerate(history):
        match step:
            case Say():
                told.append(report(world, step, number))
                fold(world, [told[-1]])
            case SayAgain(earlier) if told:
                fold(world, [told[earlier % len(told)]])
            case Do(verb, incident) if f"INC-{incident}" in world._streams():
                try:
                    world.command(verb, f"INC-{incident}")
                except Refused:
                    assert world.expect_incident(f"INC-{incident}").status == "resolved"
            case Wait(seconds):
                world.advance(seconds=seconds)
            case _:
                continue
        world.settle()
        check(world.store.tail(0, 1_000_000))


def check(log: Sequence[Recorded]) -> None:
    """What holds at every moment."""
    of = {
        kind: [e for e in log if stream_kind(e.stream) == kind] for kind in ("group", "incident", "escalation", "page")
    }
    no_two_open_incidents_in_a_group_by_its_alerts(of["group"], of["incident"])
    every_step_was_decided_once(of["escalation"])
    nobody_is_queued_after_an_escalation_stopped(of["escalation"], of["page"])
    streams_never_run_backwards(log)


def no_two_open_incidents_in_a_group_by_its_alerts(group_log: list[Recorded], incident_log: list[Recorded]) -> None:
    opened: dict[str, list[str]] = {}
    for event in group_log:
        if isinstance(event.event, groups.EpisodeOpened):
            opened.setdefault(event.stream, []).append(event.event.incident)
    for streams in opened.values():
        assert len(set(streams)) == len(streams), "an episode opened an incident twice"
        for earlier, later in itertools.pairwise(streams):
            begun = next(e.position for e in incident_log if e.stream == later)
            resolved = [
                e.position for e in incident_log if e.stream == earlier and isinstance(e.event, incidents.Resolved)
            ]
            assert resolved and min(resolved) < begun, "the next incident opened while the one before was open"


def every_step_was_decided_once(log: list[Recorded]) -> None:
    steps = Counter(
        (event.stream, event.event.loop, event.event.step)
        for event in log
        if isinstance(event.event, escalations.StepNotified | escalations.StepSkipped)
    )
    assert all(count == 1 for count in steps.values()), steps


def nobody_is_queued_after_an_escalation_stopped(escalation_log: list[Recorded], page_log: list[Recorded]) -> None:
    stopped = {e.stream: e.position for e in escalation_log if isinstance(e.event, escalations.Stopped)}
    for event in page_log:
        if isinstance(event.event, pages.Queued) and event.event.escalation in stopped:
            assert event.position < stopped[event.event.escalation]


def streams_never_run_backwards(log: Sequence[Recorded]) -> None:
    last: dict[str, datetime] = {}
    for event in log:
        assert last.get(event.stream, START) <= event.decision.decided_at
        last[event.stream] = event.decision.decided_at


@settings(max_examples=60, deadline=None)
@given(histories)
def test_whatever_happens_what_must_hold_holds(history: list[Say | SayAgain | Do | Wait]) -> None:
    live(MemoryWorld(), history)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(says, st.integers(0, 30)), min_size=1, max_size=15), st.lists(st.integers(1, 5), max_size=15))
def test_batching_never_changes_events(said: list[tuple[Say, int]], sizes: list[int]) -> None:
    single, batched = MemoryWorld(), MemoryWorld()
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


@settings(max_examples=40, deadline=None)
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
