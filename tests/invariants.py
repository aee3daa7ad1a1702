"""What must hold after whatever happened."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from domain import answers, escalations, groups, incidents, pages
from domain.ids import escalation_stream, stream_kind
from streams.store.base import Recorded
from tests import belongings
from tests.correlated import what_is_joined_is_open_and_was_opened_lately
from tests.memory_world import ORG, MemoryWorld

EXPIRES_AFTER = timedelta(minutes=45)
"""What histories set of their alerts' integration."""


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
        assert all(group.firing.get(name) == episode for name, episode in group.acknowledged.items())
        assert group.counts == Counter(group.firing.values())
        assert group.hushed == Counter(group.firing[name] for name in group.suppressed)
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
