"""Whatever happens, what is said of an alert is what a naive reading of the rules says; and nobody loses one.

The naive reading knows nothing of deadlines, places or reviews: it looks at all that is active and all that fires, each
time anew. Histories are of alerts that begin, end, and become better or worse under the same fingerprint, of silences
and of people who acknowledge and resolve.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import groups, ids, incidents
from domain.alerts import AlertRow, AlertStatus
from domain.decision import Refused
from tests.memory_world import ORG, MemoryWorld
from tests.world import CONFIG, alert, webhook

RULES = """
inhibition_rules:
  critical-mutes-lesser:
    source_matchers: ['severity="critical"']
    target_matchers: ['severity!="critical"']
    equal: [service]
  site-down:
    source_matchers: ['alertname="SiteDown"']
    target_matchers: ['service="catalogue"']
"""
NAMES, SERVICES, SEVERITIES = ("Slow", "Full", "SiteDown"), ("payments", "catalogue"), ("critical", "medium", "low")
MATCHED = (("service", "payments"), ("severity", "critical"), ("severity", "low"), ("alertname", "Full"))


@dataclass
class Naive:
    """What is known to somebody who looks at everything each time."""

    fires: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    silences: dict[str, tuple[tuple[tuple[str, str], ...], datetime]] = field(default_factory=dict)

    def is_quiet(self, alert: tuple[str, str], now: datetime) -> bool:
        """Whether nothing is to be said of a firing alert."""
        labels = self.fires[alert]
        return self._silenced(labels, now) or any(
            self._mutes(other, labels) for name, other in self.fires.items() if name != alert
        )

    def _silenced(self, labels: Mapping[str, str], now: datetime) -> bool:
        return any(
            all(labels[name] == value for name, value in wanted)
            for wanted, until in self.silences.values()
            if now < until
        )

    @staticmethod
    def _mutes(source: Mapping[str, str], target: Mapping[str, str]) -> bool:
        worse = source["severity"] == "critical" != target["severity"] and source["service"] == target["service"]
        down = source["alertname"] == "SiteDown" and target["service"] == "catalogue"
        both = target["alertname"] == "SiteDown" and source["service"] == "catalogue"
        return worse or (down and not both)


class History:
    """A world and the naive reading of what happens there."""

    def __init__(self) -> None:
        self.world, self.naive = MemoryWorld(config=CONFIG + RULES), Naive()
        self._began: dict[tuple[str, str], datetime] = {}

    def report(self, name: str, service: str, severity: str) -> None:
        """It fires, anew or still, as severe as that."""
        key, now = (name, service), self.world.now()
        self.world.post(webhook([self._member(key, severity, self._began.setdefault(key, now))]))
        self.naive.fires[key] = {"alertname": name, "service": service, "severity": severity}

    def end(self, name: str, service: str) -> None:
        """It ends."""
        key = (name, service)
        if said := self.naive.fires.pop(key, None):
            began = self._began.pop(key)
            self.world.post(webhook([self._member(key, said["severity"], began, self.world.now())]))

    def silence(self, wanted: tuple[tuple[str, str], ...], minutes: int) -> None:
        """Somebody wants to hear nothing of what has these labels."""
        until = self.world.now() + timedelta(minutes=minutes)
        self.naive.silences[self.world.silence(minutes, 0, **dict(wanted))] = (wanted, until)

    def unsilence(self, number: int) -> None:
        """Somebody ends one of the silences."""
        active = sorted(name for name, (_, until) in self.naive.silences.items() if self.world.now() < until)
        if active:
            name = active[number % len(active)]
            self.world.end_silence(name)
            self.naive.silences.pop(name)

    def act(self, verb: str, number: int) -> None:
        """Somebody does something about one of the incidents."""
        seen = self.world.incidents()
        with suppress(Refused):
            if seen:
                self.world.command(verb, seen[number % len(seen)].name)

    def advance(self, seconds: int) -> None:
        """Time passes."""
        self.world.advance(seconds=seconds)

    def check(self) -> None:
        """What is said is what the naive reading says; what is spoken of, a person knows of."""
        now = self.world.now()
        for key in self.naive.fires:
            row = self.row(key)
            assert row.status is AlertStatus.FIRING
            assert (row.suppressed is not None) == self.naive.is_quiet(key, now), (key, row.suppressed)
            if row.suppressed is None:
                self._is_known_of(row)

    def _is_known_of(self, row: AlertRow) -> None:
        """It is part of an incident that is open, or that a person resolved after it was spoken of."""
        group = self.world.store.load([row.group or ""])[row.group or ""].state
        assert isinstance(group, groups.Group)
        incident = group.incident_of(row.episode)
        assert incident is not None
        told = [e for e in self.world.store.tail(0, 100_000) if _speaks_of(e.event, row.id)]
        over = [e for e in self.world.store.history(incident) if isinstance(e.event, incidents.Resolved)]
        state = self.world.store.load([incident])[incident].state
        assert isinstance(state, incidents.Incident)
        assert state.is_open or told[-1].position < over[-1].position, f"{row.id} fires, and {state.name} is over"

    def row(self, key: tuple[str, str]) -> AlertRow:
        """What is remembered of an alert."""
        name = ids.alert_id(ORG, "alertmanager", self._member(key, "low", self.world.now())["fingerprint"])
        return self.world.store.alerts([name])[name]

    @staticmethod
    def _member(key: tuple[str, str], severity: str, began: datetime, ended: datetime | None = None) -> dict[str, Any]:
        """One alert that keeps its fingerprint whatever its severity is."""
        member = alert(key[0], {"service": key[1]}, began, ended)
        return {**member, "labels": {**member["labels"], "severity": severity}}


def _speaks_of(event: object, alert: str) -> bool:
    kinds = groups.AlertFired | groups.AlertRefired | groups.AlertReleased
    return isinstance(event, kinds) and event.alert == alert


STEPS = st.one_of(
    st.tuples(st.just("report"), st.sampled_from(NAMES), st.sampled_from(SERVICES), st.sampled_from(SEVERITIES)),
    st.tuples(st.just("report"), st.just("Full"), st.just("payments"), st.sampled_from(SEVERITIES)),
    st.tuples(st.just("end"), st.sampled_from(NAMES), st.sampled_from(SERVICES)),
    st.tuples(
        st.just("silence"),
        st.lists(st.sampled_from(MATCHED), min_size=1, max_size=2, unique_by=lambda pair: pair[0]).map(tuple),
        st.sampled_from((3, 30)),
    ),
    st.tuples(st.just("unsilence"), st.integers(0, 3)),
    st.tuples(st.just("act"), st.sampled_from(("ack", "resolve", "unack", "start")), st.integers(0, 5)),
    st.tuples(st.just("advance"), st.sampled_from((1, 70, 200, 2000))),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=3, max_size=25))
def test_what_is_said_is_what_a_naive_reading_says(steps: list[tuple[object, ...]]) -> None:
    history = History()
    for verb, *how in steps:
        getattr(history, str(verb))(*how)
        history.check()
