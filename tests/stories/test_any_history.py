"""Whatever happens in whatever order: what must hold after every history of alerts, people and time.

Histories are made of fires, ends, repeats and late copies of anything that was said before, in any batches, of
people acknowledging, giving back, resolving and reopening, and of time passing.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import answers, escalations, groups, incidents, pages
from domain.decision import Refused
from domain.events import EVENT_TYPES, Event
from domain.ids import alert_id, escalation_stream, stream_kind
from schemas.received import AlertReceived, received
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams.channels.base import Outcome, Rejected, Retry, Uncertain
from streams.fold import Arrival
from streams.store.base import Conflict, Recorded, Save, TrackingMove
from streams.store.memory import MemoryStore
from tests import belongings
from tests.belongings import Belong
from tests.correlated import what_is_joined_is_open_and_was_opened_lately
from tests.memory_world import ORG, MemoryWorld
from tests.world import CONFIG, alert, webhook

ALERTS = [
    ("Disk", {"service": "payments", "instance": "a"}),
    ("Disk", {"service": "payments", "instance": "b", "severity": "warning"}),
    ("Net", {"service": "catalogue", "patience": "yes"}),
    ("NobodyHome", {"service": "payments", "severity": "info"}),
]


@dataclass(frozen=True)
class Say:
    """Monitoring reports one alert."""

    alert: int
    fires: bool
    late: int = 0
    """Seconds that the report lay somewhere: it was received so long ago."""
    severity: str | None = None
    """What it says of its severity under the same fingerprint; None: as ever."""


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
class DoAlert:
    """A person acts on one alert, if it was ever heard of."""

    verb: str
    alert: int


@dataclass(frozen=True)
class Wait:
    """Seconds pass."""

    seconds: int


@dataclass(frozen=True)
class Meddle:
    """Somebody acts on the n-th incident at the worst moment: between the next decision and its save."""

    verb: str
    incident: int


@dataclass(frozen=True)
class Break:
    """The channel's next answer."""

    outcome: Outcome


@dataclass(frozen=True)
class Die:
    """The pager takes its work in hand and dies with it."""


@dataclass(frozen=True)
class Sleep:
    """Seconds pass while no pager works."""

    seconds: int


@dataclass(frozen=True)
class Hush:
    """Somebody silences an alert for some minutes, from a while after now on."""

    alert: int
    minutes: int
    after: int


@dataclass(frozen=True)
class EndHush:
    """Somebody ends the n-th silence."""

    silence: int


@dataclass
class MeddledStore(MemoryStore):
    """A store in which something happens just before a save."""

    meddling: list[Callable[[], None]] = field(default_factory=list)
    conflicts: int = 0

    def save(self, save: Save) -> int:
        while self.meddling:
            self.meddling.pop()()
        try:
            return super().save(save)
        except Conflict:
            self.conflicts += 1
            raise


late = st.sampled_from([0, 0, 40, 90])
severities = st.sampled_from([None, None, None, "critical", "warning"])
says = st.builds(Say, st.integers(0, len(ALERTS) - 1), st.booleans(), late, severities)
verbs = st.sampled_from(["ack", "unack", "start", "resolve", "reopen", "assign", "comment"])
alert_verbs = st.sampled_from(["ack", "ack", "unack", "resolve"])
outcomes = st.sampled_from([Retry("r"), Uncertain("u"), Rejected("x")])
steps = st.one_of(
    says,
    says,
    says,
    st.builds(SayAgain, st.integers(0, 50)),
    st.builds(Do, verbs, st.integers(1, 2)),
    st.builds(Meddle, verbs | st.just("page"), st.integers(1, 2)),
    st.builds(DoAlert, alert_verbs, st.integers(0, len(ALERTS) - 1)),
    belongings.belongs,
    st.builds(Wait, st.sampled_from([1, 20, 45, 70, 301, 601, 1300])),
    st.builds(Break, outcomes),
    st.builds(Die),
    st.builds(Sleep, st.sampled_from([100, 2000, 3000])),
    st.builds(Hush, st.integers(0, len(ALERTS) - 1), st.sampled_from([1, 5, 30]), st.sampled_from([0, 0, 2])),
    st.builds(EndHush, st.integers(1, 3)),
)
Step = Say | SayAgain | Do | DoAlert | Belong | Wait | Meddle | Break | Die | Sleep | Hush | EndHush
numbers = st.integers(0, len(ALERTS) - 1)
phrases = st.one_of(
    steps.map(lambda step: [step]),
    steps.map(lambda step: [step]),
    st.builds(lambda alert, late: [Say(alert, True), Say(alert, False), Say(alert, True, late)], numbers, late),
    numbers.map(lambda alert: [Break(Retry("r")), Say(alert, True), Do("ack", 1)]),
    st.builds(lambda verb: [Say(0, True), Meddle(verb, 1), Say(1, True)], verbs | st.just("page")),
    st.just([Do("ack", 1), Do("unack", 1)]),
    belongings.merged_and_parted.map(lambda steps: [Say(0, True), Say(2, True), *steps]),
    belongings.split_and_merged.map(lambda steps: [Say(0, True), Say(1, True), *steps]),
    st.just([Do("resolve", 1), Do("reopen", 1)]),
    numbers.map(lambda alert: [Say(alert, True), DoAlert("ack", alert), DoAlert("unack", alert)]),
    numbers.map(lambda alert: [Say(alert, True), DoAlert("resolve", alert), Say(alert, True), SayAgain(0)]),
    numbers.map(lambda alert: [Hush(alert, 30, 0), Say(alert, True), EndHush(1)]),
    numbers.map(lambda alert: [Say(alert, True), *(Say(alert, True, 0, word) for word in ("info", "critical"))]),
    st.just([Say(0, True), Say(1, True), Hush(0, 5, 0), Wait(301)]),
)
"""Steps, and the turns that lead somewhere more often than chance would."""
stories = st.lists(phrases, min_size=6, max_size=20).map(lambda parts: [step for part in parts for step in part])
histories = st.builds(lambda alert, rest: [Say(alert, True), *rest], numbers, stories)
EXPIRES_AFTER = timedelta(minutes=45)
RULES = """
inhibition_rules:
  worse: {source_matchers: ['severity="critical"'], target_matchers: ['severity=~"warning|info"'], equal: [service]}
correlation_rules:
  upstream: {within: 15m}
"""
DEPENDS = ("catalogue: {team: search,", "catalogue: {dependencies: [payments], team: search,")
SAYING = """
    - {matchers: ['instance="b"'], team: search, policy: search-only, continue: true}
    - {matchers: ['alertname="Disk"']}
    - {matchers: ['alertname="Net"'], flap_threshold: 3, flap_window: 1h, flap_quiet: 10m, reopen_within: 5m}
    - {matchers: ['alertname="NobodyHome"'], suppress_for: 10m, policy: nobody-then-grace, repeat_interval: 20m}
"""
CHANNEL = (
    ("  search: {members:", "  search: {email: search@example.test, members:"),
    ("targets: [{team: search, role: primary}]", "targets: [{team: search}, {team: search, role: primary}]"),
)
"""The policy of the team search pages its channel too."""
FORGETFUL = (
    CONFIG.replace("expires_after: 8h", "expires_after: 45m")
    .replace(*CHANNEL[0])
    .replace(*CHANNEL[1])
    .replace("  routes:\n", "  routes:" + SAYING)
    .replace(*DEPENDS)
    + RULES
)
SEEN: Counter[str] = Counter()
"""What the histories of this run have reached."""


def report(world: MemoryWorld, said: Say, number: int) -> AlertReceived:
    name, labels = ALERTS[said.alert]
    now = world.now() - timedelta(seconds=said.late)
    member = alert(name, labels, now, None if said.fires else now)
    if said.severity:
        member["labels"]["severity"] = said.severity
    parsed = SOURCES["alertmanager"](json.dumps(webhook([member])).encode(), DEFAULT_LIMITS)
    return received(f"r-{number:04}", "alertmanager", now, parsed.alerts, parsed.raw, b"salt")


def fold(world: MemoryWorld, records: Sequence[AlertReceived]) -> None:
    first = world.offset
    arrivals = [Arrival(record, f"default/alerts/0@{first + 1 + n}") for n, record in enumerate(records)]
    world.offset += len(records)
    world.fold.save(arrivals, (TrackingMove("default", "alerts", 0, first, world.offset),))


def act(world: MemoryWorld, verb: str, incident: str) -> None:
    """A person acts, if there is such an incident and its status allows it; or the pager does."""
    if verb == "page":
        world._now += timedelta(seconds=301)
        world.pager.step()
    elif incident in world._streams():
        with suppress(Refused):
            world.command_only(verb, incident, "ada")


def act_on_alert(world: MemoryWorld, verb: str, name: str, labels: dict[str, str]) -> None:
    """A person acts on an alert, if it was heard of and the rules allow it."""
    fingerprint = alert(name, labels, world.now())["fingerprint"]
    if world.store.alerts([alert_id(ORG, "alertmanager", fingerprint)]):
        with suppress(Refused):
            world.tell_alert(verb, name, **labels)


def live(world: MemoryWorld, history: Sequence[Step]) -> None:
    """Carry a history out, checking what must always hold."""
    store = world.store
    assert isinstance(store, MeddledStore)
    told: list[AlertReceived] = []
    for number, step in enumerate(history):
        match step:
            case Say():
                told.append(report(world, step, number))
                fold(world, [told[-1]])
            case SayAgain(earlier) if told:
                fold(world, [told[earlier % len(told)]])
            case Do(verb, incident):
                act(world, verb, f"INC-{incident}")
            case Meddle(verb, incident):
                store.meddling.append(partial(act, world, verb, f"INC-{incident}"))
            case Wait(seconds):
                world.advance(seconds=seconds)
            case Belong():
                belongings.belong(world, step)
            case DoAlert(verb, number_):
                act_on_alert(world, verb, *ALERTS[number_])
            case Break(outcome):
                world.channel.script(outcome)
            case Sleep(seconds):
                world.jump(seconds=seconds)
            case Hush(number_, minutes, after):
                name, labels = ALERTS[number_]
                world.silence(minutes, after, alertname=name, **labels)
            case EndHush(silence) if f"silence-{silence}" in store.config().silences:
                world.end_silence(f"silence-{silence}")
            case Die():
                world.pager.step()
                world.pager.claim(100)
            case _:
                continue
        world.settle()
        check(world.store.tail(0, 1_000_000))
    what_is_spoken_of_is_announced_and_nothing_else(world)
    belongings.every_firing_alert_is_in_one_incident(world)
    belongings.only_open_incidents_escalate(world)
    belongings.merged_incidents_lead_to_one_that_is_not(world)
    SEEN.update(event.type for event in store.log)
    SEEN["conflict"] += store.conflicts
    SEEN["correlation"] += sum(getattr(event.event, "reason", "") == "correlation" for event in store.log)
    SEEN["channel"] += sum(getattr(event.event, "user", "") == "team:search" for event in store.log)
    SEEN["second loop"] += sum(getattr(event.event, "loop", 1) > 1 for event in store.log)


def check(log: Sequence[Recorded]) -> None:
    """What holds at every moment."""
    of = {
        kind: [e for e in log if stream_kind(e.stream) == kind] for kind in ("group", "incident", "escalation", "page")
    }
    belongings.no_two_open_incidents_in_a_group_by_its_alerts(log)
    what_is_joined_is_open_and_was_opened_lately(log)
    every_step_was_decided_once(of["escalation"])
    nobody_is_queued_after_an_escalation_stopped(of["escalation"], of["page"])
    no_alert_expired_that_was_heard_of(of["group"])
    nothing_is_suppressed_twice_or_released_before(of["group"])
    nobody_has_what_somebody_has_or_what_does_not_fire(of["group"])
    streams_never_run_backwards(log)


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


def no_alert_expired_that_was_heard_of(log: list[Recorded]) -> None:
    for event in log:
        if isinstance(event.event, groups.AlertExpired):
            assert event.event.heard_until - event.event.last_seen >= EXPIRES_AFTER


def nothing_is_suppressed_twice_or_released_before(log: list[Recorded]) -> None:
    why: dict[str, str] = {}
    for event in log:
        match event.event:
            case groups.AlertSuppressed(alert=alert, reason=reason, rule=rule, until=until, by=by):
                said = f"{reason}/{rule}/{until}/{by}"
                assert why.get(alert) != said, "the same was said twice"
                why[alert] = said
            case groups.AlertReleased(alert=alert):
                assert why.pop(alert)
            case (
                groups.AlertResolved(alert=alert) | groups.AlertExpired(alert=alert) | answers.AlertClosed(alert=alert)
            ):
                why.pop(alert, None)
            case _:
                pass


def nobody_has_what_somebody_has_or_what_does_not_fire(log: list[Recorded]) -> None:
    firing: set[str] = set()
    taken: set[str] = set()
    for event in log:
        match event.event:
            case groups.AlertFired(alert=alert) | groups.AlertRefired(alert=alert):
                firing.add(alert)
            case answers.AlertAcknowledged(alert=alert):
                assert alert in firing and alert not in taken
                taken.add(alert)
            case answers.AlertUnacknowledged(alert=alert):
                taken.remove(alert)
            case (
                groups.AlertResolved(alert=alert) | groups.AlertExpired(alert=alert) | answers.AlertClosed(alert=alert)
            ):
                firing.remove(alert)
                taken.discard(alert)
            case _:
                pass


def what_is_spoken_of_is_announced_and_nothing_else(world: MemoryWorld) -> None:
    """Once all is settled: rows and groups agree, and an incident that nobody has is not kept quiet while one of its
    alerts is spoken of. One of which nothing is to be said escalates only if somebody asked for that by hand.
    """
    store = world.store
    log = store.tail(0, 1_000_000)
    for stream in {event.stream for event in log if stream_kind(event.stream) == "group"}:
        group = store.load([stream])[stream].state
        assert isinstance(group, groups.Group)
        assert group.acknowledged.items() <= group.firing.items()
        for name in group.firing:
            row = store.alerts([name])[name]
            assert (row.status, row.episode, row.group) == ("firing", group.firing[name], stream)
            assert row.suppressed == (str(group.suppressed[name]) if name in group.suppressed else None)
            assert row.acknowledged == ("user:ada" if name in group.acknowledged else None)
        if group.is_open and group.incident:
            announced(world, group.incident, log)


def announced(world: MemoryWorld, stream: str, log: Sequence[Recorded]) -> None:
    incident = world.store.load([stream])[stream].state
    assert isinstance(incident, incidents.Incident)
    if incident.status != "triggered":
        return
    name = escalation_stream(ORG, stream, incident.runs)
    escalation = world.store.load([name])[name].state
    assert isinstance(escalation, escalations.Escalation)
    by_hand = any(isinstance(e.event, incidents.Unacknowledged | incidents.Reopened) for e in log if e.stream == stream)
    if belongings.is_spoken_of(world, incident, stream):
        assert escalation.stopped is None
    elif not by_hand:
        assert escalation.stopped in ("suppressed", "merged")


def streams_never_run_backwards(log: Sequence[Recorded]) -> None:
    last: dict[str, datetime] = {}
    for event in log:
        assert last.get(event.stream, event.decision.decided_at) <= event.decision.decided_at
        last[event.stream] = event.decision.decided_at


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
