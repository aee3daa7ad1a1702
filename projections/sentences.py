"""An event in one sentence for people, made of the log alone: ids, never people's names, addresses or free text.

An escalation's and a page's later events say only what changed; what they are about is in the first event of their
stream, which is handed in beside them.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar, assert_never

from domain import answers, belonging, changes, escalations, groups, incidents, pages
from domain.config import Target
from domain.decision import Actor
from domain.erasing import PayloadErased
from domain.intake import AlertsLost
from domain.recipients import called
from domain.spans import span
from streams.store.base import Recorded

First = escalations.Started | pages.Queued | None
"""The first event of an escalation's or a page's stream; None for streams of every other kind."""

F = TypeVar("F", escalations.Started, pages.Queued)

LONGEST_NAME = 80
LONGEST_FINGERPRINT = 16
LONGEST_REASON = 200


def sentence(recorded: Recorded, first: First = None) -> str:
    """What an event says, without a full stop, e.g. `ada acknowledged`.

    Parameters:
        first: the first event of the same stream, when that is an escalation's or a page's.

    Raises TypeError when it is needed and is not there.
    """
    event, actor = recorded.event, who(recorded.decision.cause.actor)
    if isinstance(event, incidents.IncidentEvent):
        return _incident(event, actor)
    if isinstance(event, escalations.EscalationEvent):
        return _escalation(event, _needed(first, escalations.Started), recorded.decision.decided_at)
    if isinstance(event, pages.PageEvent):
        return _page(event, _needed(first, pages.Queued))
    if isinstance(event, groups.GroupEvent):
        return _group(event, actor)
    if isinstance(event, AlertsLost):
        place = f"{event.topic}/{event.partition}"
        return (
            f"alerts were lost: the records {event.first} to {event.last} of {place} were deleted before they were read"
        )
    if isinstance(event, PayloadErased):
        return f"{actor} erased {len(event.refs)} texts"
    return _config(event, actor)


def who(actor: Actor) -> str:
    """An actor in a sentence."""
    return "Tocsin" if actor.kind == "system" else actor.id


def _needed(first: First, kind: type[F]) -> F:
    if not isinstance(first, kind):
        raise TypeError(f"this sentence needs the {kind.type} that its stream begins with")
    return first


def _incident(event: incidents.IncidentEvent, actor: str) -> str:
    match event:
        case incidents.Opened():
            return f"INC-{event.number} opened for team {event.team} with severity {event.severity}"
        case incidents.SeverityChanged():
            change = "raised" if event.after.worse_than(event.before) else "lowered"
            by = "by an alert" if event.alert else f"by {actor}"
            return f"severity {change} from {event.before} to {event.after} {by}"
        case incidents.Acknowledged():
            return f"{actor} acknowledged"
        case incidents.Unacknowledged():
            return f"{actor} gave it back: it escalates again"
        case incidents.Started():
            return f"{actor} started to work on it"
        case incidents.Resolved(reason="alerts_ended"):
            return "resolved: its last alert ended"
        case incidents.Resolved():
            return f"{actor} resolved it"
        case incidents.Reopened():
            return f"{actor} reopened it: it escalates again"
        case incidents.Reannounced(reason="repeat_interval"):
            return "announced again: everybody was told, nobody answered, and it is not over"
        case incidents.Reannounced(reason="unmerged"):
            return "announced again: it is an incident of its own again, and it is not over"
        case incidents.Reannounced(reason="worse"):
            return "announced again: it is worse than what people know of"
        case incidents.Reannounced(reason="news"):
            return "announced again: everybody was told, nobody answered, and another alert fires"
        case incidents.Reannounced():
            return "announced again: what suppressed its alerts has ended, and it is not over"
        case incidents.Assigned():
            return f"{actor} assigned it to {_listed(event.users) or 'nobody'}"
        case incidents.Commented():
            return f"{actor} commented"
        case _:
            return _belonging(event, actor)


def _belonging(event: belonging.BelongingEvent, actor: str) -> str:
    match event:
        case belonging.GroupAttached(reason="correlation"):
            return f"an alert group belongs to it by rule {plain(event.rule)}: {plain(event.because, LONGEST_REASON)}"
        case belonging.GroupAttached():
            return f"{actor} attached an alert group to it"
        case belonging.GroupDetached():
            return f"{actor} detached an alert group from it: that belongs to INC-{event.number} now"
        case belonging.AlertsSplit():
            alerts = "an alert" if len(event.alerts) == 1 else f"{len(event.alerts)} alerts"
            return f"{actor} split {alerts} off: INC-{event.number} is about that now"
        case belonging.Merged():
            return f"{actor} merged it into INC-{event.number}"
        case belonging.Unmerged():
            return f"{actor} took it out of INC-{event.number} again"
        case belonging.Absorbed():
            return f"{actor} merged INC-{event.number} into it"
        case belonging.Parted():
            return f"{actor} took INC-{event.number} out of it again"
        case _:
            assert_never(event)


def _on_the_way(pages_in_flight: int) -> str:
    if not pages_in_flight:
        return ""
    return f" while {'a page was' if pages_in_flight == 1 else f'{pages_in_flight} pages were'} on the way"


def _escalation(event: escalations.EscalationEvent, first: escalations.Started, at: datetime) -> str:
    match event:
        case escalations.Started():
            wait = event.first_at - at
            when = f"; its first step runs in {span(wait)}" if wait >= timedelta(seconds=1) else ""
            return f"escalation by policy {event.policy.id} began{when}"
        case escalations.StepNotified():
            escalated = (event.loop, event.step) > (1, 1)
            paged = _listed(f"{called(one.user)} paged by {one.method}" for one in event.notified)
            return f"{'escalated to ' if escalated else ''}{_step(event.loop, event.step)}: {paged}"
        case escalations.StepSkipped():
            targets = _listed(map(_target, first.policy.steps[event.step - 1].targets))
            return f"nobody could be reached in {_step(event.loop, event.step)}: {targets}"
        case escalations.StepDelayed():
            return f"{_step(event.loop, event.step)} runs {span(at - event.due_at)} late; later steps wait from now"
        case escalations.Stopped():
            why = "announced again" if event.reason == "reannounced" else event.reason
            return f"escalation stopped: {why}{_on_the_way(len(event.in_flight))}"
        case escalations.Exhausted():
            return f"policy {first.policy.id} is exhausted: every step has run and nobody acknowledged"
        case _:
            assert_never(event)


def _step(loop: int, step: int) -> str:
    return f"step {step}" if loop == 1 else f"step {step} of round {loop}"


def _target(target: Target) -> str:
    return called(target.recipient) if target.recipient else f"{target.role} of {target.team}"


def _page(event: pages.PageEvent, first: pages.Queued) -> str:
    page = f"page to {called(first.user)} by {first.method}"
    place = f"step {first.step}, round {first.loop}"
    match event:
        case pages.Queued():
            return f"{page} queued ({place})"
        case pages.Sent():
            attempt = f", attempt {event.attempt}" if event.attempt > 1 else ""
            repeat = ", possibly a repeat" if event.possible_repeat else ""
            return f"{page} sent ({place}{attempt}{repeat})"
        case pages.Failed():
            return f"{page} failed ({place}, attempt {event.attempt}): {plain(event.reason)}"
        case pages.Unknown():
            return f"{page} may or may not have arrived ({place}, attempt {event.attempt}): {plain(event.reason)}"
        case pages.Cancelled():
            return f"{page} cancelled ({place}): {event.reason}"
        case _:
            assert_never(event)


def _group(event: groups.GroupEvent, actor: str) -> str:
    match event:
        case groups.AlertFired():
            return f"{_alert(event.fingerprint, event.labels.get('alertname', ''))} fires"
        case groups.AlertRefired():
            return f"{_alert(event.fingerprint, event.labels.get('alertname', ''))} fires again"
        case groups.AlertResolved():
            return f"{_alert(event.fingerprint)} ended"
        case groups.AlertExpired():
            seen = event.last_seen.astimezone(UTC)
            ends = event.ends_at.astimezone(UTC) if event.ends_at else None
            said = f", and to end at {ends:%Y-%m-%d %H:%M:%S} UTC by its last word" if ends else ""
            return f"{_alert(event.fingerprint)} expired: not heard of since {seen:%Y-%m-%d %H:%M:%S} UTC{said}"
        case groups.AlertSuppressed():
            until = f" until {event.until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if event.until else ""
            return f"{_alert(event.fingerprint)} is suppressed by {_rule(event)}{until}"
        case groups.AlertReleased():
            return f"{_alert(event.fingerprint)} is not suppressed by {_rule(event)} any more"
        case groups.AlertSeverityChanged():
            return f"{_alert(event.fingerprint)} is {event.severity.value} now"
        case groups.AlertFlapping():
            within = span(timedelta(seconds=event.within))
            return f"{_alert(event.fingerprint)} is flapping: it changed {event.changes} times in {within}"
        case answers.AlertAcknowledged():
            return f"{actor} acknowledged {_alert(event.fingerprint)}"
        case answers.AlertUnacknowledged():
            return f"{actor} gave {_alert(event.fingerprint)} back"
        case answers.AlertClosed():
            return f"{actor} resolved {_alert(event.fingerprint)}"
        case belonging.AlertLeft():
            return f"{_alert(event.fingerprint)} is part of another incident now"
        case belonging.AlertJoined():
            return f"{_alert(event.fingerprint)} was part of another incident before"
        case belonging.Moved():
            return f"episode {event.episode} of the alert group moved from one incident to another"
        case groups.EpisodeOpened():
            return f"episode {event.episode} of the alert group began"
        case _:
            assert_never(event)


def _rule(event: groups.AlertSuppressed | groups.AlertReleased) -> str:
    return f"{event.reason.replace('_', ' ')} {plain(event.rule)}"


def _alert(fingerprint: str, name: str = "") -> str:
    short = plain(fingerprint, LONGEST_FINGERPRINT)
    return f"alert {plain(name)} (fingerprint {short})" if name else f"alert with fingerprint {short}"


def _config(event: changes.ConfigEvent, actor: str) -> str:
    match event:
        case changes.ObjectPut():
            return f"{actor} put {event.object.kind} {event.object.id}"
        case changes.ObjectRemoved():
            return f"{actor} removed {event.kind} {event.id}"
        case _:
            assert_never(event)


def plain(text: str, longest: int = LONGEST_NAME) -> str:
    """Untrusted text made fit for one line: no control or direction characters, at most `longest` characters."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    shown = " ".join(text.split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
