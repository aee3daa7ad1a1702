"""Escalations in motion: they start with an incident, run step by step as deadlines come, and stop with it.

A step resolves its targets to people, and teams to their channels, at that instant and queues a page for each of their
contact methods.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Literal

from domain import escalations, groups, ids, incidents, pages
from domain.alerts import Repeat
from domain.belonging import Part
from domain.book import Book, Due, Held, PageRow
from domain.config import Config, Step
from domain.decision import Actor, Cause
from domain.severity import Severity

ESCALATE = "escalate"
"""The kind of deadline at which an escalation's next step runs; its key is the escalation's stream."""


def start(book: Book, incident: str, run: int, policy: str, first_at: datetime, held: Held | None = None) -> None:
    """Begin an incident's `run`-th escalation; its first step is due at `first_at` (UTC).

    `held` says that the first step waits for a partition to be caught up with, at most until `first_at`.

    Raises KeyError when the configuration has no such policy (its validation refuses that).
    """
    escalation = ids.escalation_stream(book.org, incident, run)
    copy = book.config.policies[policy]
    book.write(escalation, escalations.Started(incident, run, copy, first_at, book.correlation_id))
    book.put_due(Due(ESCALATE, escalation, first_at, held=held))


def stop(book: Book, incident: str, reason: escalations.StopReason) -> None:
    """End the incident's escalation, cancel its queued pages and delete its deadline."""
    runs = book.read(incident, incidents.Incident).runs
    escalation = ids.escalation_stream(book.org, incident, runs)
    pending_pages = book.pending.get(escalation, ())
    in_flight = tuple(page.id for page in pending_pages if page.claimed)
    book.write(escalation, *escalations.stop(book.read(escalation, escalations.Escalation), reason, in_flight))
    for pending in pending_pages:
        if not pending.claimed and book.read(pending.id, pages.Page).is_pending:
            book.write(pending.id, pages.Cancelled(reason))
            book.cancel_page(pending.id)
    book.drop_due(ESCALATE, escalation)


def involved(book: Book, group: str, incident: str | None, stops: bool = False) -> list[str]:
    """A group, an incident and what belongs to that: the streams whose times a decision may not precede.

    `stops`: the decision stops the escalation, and so cancels its queued pages.
    """
    if not incident or incident not in book.streams:
        return [group]
    others = [part.group for part in parts(book, incident) if part.group != group]
    return [group, *others, *of_incident(book, incident, stops)]


def parts(book: Book, incident: str) -> list[Part]:
    """The episodes of alert groups that belong to an incident, in the order in which they came.

    A look at the groups is taken only when there are several: that an episode belongs to another by now is said there.
    """
    said = book.read(incident, incidents.Incident).groups
    if len(said) == 1:
        return [*said]
    return [p for p in said if book.read(p.group, groups.Group).incident_of(p.episode) == incident]


def of_incident(book: Book, incident: str, stops: bool) -> list[str]:
    """An incident, its latest escalation, and the pages of this that are queued if it `stops`; see `involved`."""
    escalation = ids.escalation_stream(book.org, incident, book.read(incident, incidents.Incident).runs)
    queued = [page.id for page in book.pending.get(escalation, ()) if stops and not page.claimed]
    return [incident, escalation, *queued]


def ends_with_alerts(book: Book, incident: incidents.Incident) -> bool:
    """Whether an incident is over with its last alert: what a person opened, or trouble with alerts, is not."""
    own = incident.groups[:1]
    return not incident.by_hand and all(book.read(part.group, groups.Group).is_of_alerts for part in own)


def would_stop(book: Book, group: str, episode: int, without: Collection[str]) -> bool:
    """Whether nothing is left to be spoken of in the incident of an episode without these of its firing alerts."""
    state = book.read(group, groups.Group)
    loud = [alert for alert in without if alert not in state.suppressed and state.firing.get(alert) == episode]
    if len(loud) < state.loud_in(episode):
        return False
    incident = state.incident_of(episode)
    if not incident or incident not in book.streams:
        return True
    others = [part for part in parts(book, incident) if part != Part(group, episode)]
    return not any(book.read(part.group, groups.Group).loud_in(part.episode) for part in others)


def settle(book: Book, incident: str | None, now: datetime) -> None:
    """What follows for an incident after an alert of it began, ended, was suppressed, released or moved elsewhere.

    When the last alert of all its groups has ended it resolves, and nobody else is paged about it; unless it was not
    an alert that opened it. When nothing is to be said of any alert that fires, nobody is paged until that changes;
    then it is announced again, unless somebody has it. `book` must hold the streams of `involved`. Without an incident
    nothing follows.
    """
    if not incident:
        return
    state = book.read(incident, incidents.Incident)
    alerts = [(book.read(part.group, groups.Group), part.episode) for part in parts(book, incident)]
    by_alerts = ends_with_alerts(book, state)
    if by_alerts and not any(group.firing_in(episode) for group, episode in alerts):
        book.write(incident, *incidents.decide(incidents.Resolve("alerts_ended"), state))
        stop(book, incident, "resolved")
    elif by_alerts and not any(group.loud_in(episode) for group, episode in alerts):
        stop(book, incident, "suppressed")
    else:
        _announce_again(book, incident, now)


def _announce_again(book: Book, incident: str, now: datetime) -> None:
    state, escalation = book.read(incident, incidents.Incident), _latest(book, incident)
    if state.status is incidents.IncidentStatus.TRIGGERED and escalation.stopped in ("suppressed", "merged"):
        reason: Literal["released", "unmerged"] = "released" if escalation.stopped == "suppressed" else "unmerged"
        book.write(incident, incidents.Reannounced(reason))
        start(book, incident, state.runs + 1, policy_of(book.config, state), now)


def make_worse(book: Book, incident: str, severity: Severity, alert: str, repeat: Repeat | None = None) -> bool:
    """Make an incident as severe as an alert of it, if that is worse; returns whether it was.

    `repeat` is the alert's report when it fired already.
    """
    raised = incidents.decide(incidents.Raise(severity, alert, repeat), book.read(incident, incidents.Incident))
    book.write(incident, *raised)
    return bool(raised)


def is_told(book: Book, incident: str) -> bool:
    """Whether nobody is paged about an incident any more because they know of it: somebody acknowledged it, or
    everybody was told and nobody has answered so far.
    """
    state = book.read(incident, incidents.Incident)
    if state.status is incidents.IncidentStatus.TRIGGERED:
        return _latest(book, incident).has_told_all
    return state.status is incidents.IncidentStatus.ACKNOWLEDGED


def tell_news(book: Book, incident: str, worse: bool, now: datetime, flaps: bool = False) -> None:
    """Announce an incident that people know of once more, because an alert of it has begun.

    One that got `worse` is announced again though somebody acknowledged it: that was something lesser. Another alert
    alone is news only when everybody was told, so far in vain, and the route has a `group_interval` or the alert begins
    to flap: no more is said of that one. The interval is how long news wait since the last announcement. Whoever works
    on it sees what comes, and is not called away. `book` must hold the streams of `of_incident` with those of queued
    pages, which count as involved.
    """
    state = book.read(incident, incidents.Incident)
    if not is_told(book, incident):
        return
    in_vain = state.status is incidents.IncidentStatus.TRIGGERED
    if worse or (in_vain and (flaps or state.group_interval is not None)):
        last = _latest(book, incident).first_at or now
        stop(book, incident, "reannounced")
        book.write(incident, incidents.Reannounced("worse" if worse else "news"))
        first_at = max(now, last + timedelta(seconds=state.group_interval or 0))
        start(book, incident, state.runs + 1, policy_of(book.config, state), first_at)


def hasten(book: Book, incident: str, now: datetime) -> None:
    """Have the first step of an incident's escalation at `now` (UTC), if it is still waited for."""
    latest = _latest(book, incident)
    if latest.status is escalations.EscalationStatus.PENDING and latest.due_at and latest.due_at > now:
        book.ensure_due(ESCALATE, ids.escalation_stream(book.org, incident, latest.run), now)


def _latest(book: Book, incident: str) -> escalations.Escalation:
    """The latest escalation of an incident."""
    runs = book.read(incident, incidents.Incident).runs
    return book.read(ids.escalation_stream(book.org, incident, runs), escalations.Escalation)


def is_quiet(book: Book, incident: str) -> bool:
    """Whether an incident does not escalate because nothing was to be said of any of its alerts."""
    return _latest(book, incident).stopped == "suppressed"


def policy_of(config: Config, incident: incidents.Incident) -> str:
    """The incident's escalation policy; the root route's when it was removed since."""
    if incident.policy in config.policies or config.root is None:
        return incident.policy
    return config.root.policy or incident.policy


def run(book: Book, due: Due, now: datetime) -> None:
    """Decide what an escalation's deadline brings, into `book`.

    `book` must hold the escalation and its incident. Parameters: `due` is the claimed deadline, `now` is UTC.
    """
    escalation = due.key
    state = book.read(escalation, escalations.Escalation)
    cause = Cause(Actor("system", "pager"), "pager", f"due/{due.kind}/{due.key}", due.key, state.correlation_id)
    now = book.begin(cause, now, (escalation, state.incident))
    if state.status is escalations.EscalationStatus.EXHAUSTED:
        _repeat(book, state, due, now)
        return
    step = state.next_step
    notified = resolve(book, escalation, state, step) if step else ()
    decided = escalations.run_step(state, due.at, notified, now)
    book.write(escalation, *decided)
    for event in decided:
        if isinstance(event, escalations.StepNotified):
            _queue(book, escalation, state.incident, event, now)
    book.end()
    after = book.read(escalation, escalations.Escalation)
    is_over = after.status is escalations.EscalationStatus.EXHAUSTED
    at = repeats_at(book.read(state.incident, incidents.Incident), now) if is_over else after.due_at
    if at is None:
        book.drop_due(due.kind, due.key, due.rev)
    else:
        book.put_due(Due(due.kind, due.key, at, due.rev))


def repeats_at(incident: incidents.Incident, told_at: datetime) -> datetime | None:
    """When an incident is announced again of which everybody was told in vain by `told_at` (UTC); None: never."""
    if incident.repeat_interval is None:
        return None
    return told_at + timedelta(seconds=incident.repeat_interval)


def _repeat(book: Book, state: escalations.Escalation, due: Due, now: datetime) -> None:
    """Everybody was told and nobody answered: begin again."""
    incident = book.read(state.incident, incidents.Incident)
    book.drop_due(due.kind, due.key, due.rev)
    if incident.status is incidents.IncidentStatus.TRIGGERED and incident.runs == state.run:
        book.write(state.incident, incidents.Reannounced("repeat_interval"))
        start(book, state.incident, state.run + 1, policy_of(book.config, incident), now)
    book.end()


def resolve(book: Book, escalation: str, state: escalations.Escalation, step: Step) -> tuple[escalations.Notified, ...]:
    """Whom a step pages, by which methods, at this moment: each recipient and method once, in the targets' order."""
    found: dict[str, escalations.Notified] = {}
    for target in step.targets:
        for user in book.config.people(target):
            for method in methods(book.config, user):
                page = ids.page_stream(book.org, escalation, state.loop, state.step, user, method)
                found.setdefault(page, escalations.Notified(str(target), user, method, page))
    return tuple(found.values())


def methods(config: Config, recipient: str) -> tuple[str, ...]:
    """The contact methods of a user or of a team's channel, by channel name, each once."""
    return tuple(dict.fromkeys(contact.channel for contact in config.contacts(recipient)))


def _queue(book: Book, escalation: str, incident: str, event: escalations.StepNotified, now: datetime) -> None:
    for notified in event.notified:
        queued = pages.Queued(escalation, incident, event.loop, event.step, notified.user, notified.method)
        book.write(notified.page, queued)
        book.put_page(PageRow(notified.page, escalation, incident, notified.user, notified.method, now))
