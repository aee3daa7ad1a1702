"""Histories of alerts, people and time: what they are made of, and how they are lived in memory.

They are made of fires, ends, repeats and late copies of anything that was said before, in any batches, of people
acknowledging, giving back, resolving and reopening, and of time passing.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from hypothesis import strategies as st

from domain.decision import Refused
from domain.ids import alert_id
from schemas.received import AlertReceived, received
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams.channels.base import Outcome, Rejected, Retry, Uncertain
from streams.fold import Arrival
from streams.store.base import Conflict, Save, TrackingMove
from streams.store.memory import MemoryStore
from tests import belongings
from tests.belongings import Belong
from tests.invariants import check, what_is_spoken_of_is_announced_and_nothing_else
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
