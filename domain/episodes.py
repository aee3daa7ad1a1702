"""Episodes of a group: where an alert belongs in it, and what an alert that belongs nowhere yet opens."""

from dataclasses import dataclass
from datetime import datetime

from domain import groups, ids, incidents, routing, stepping
from domain.alerts import Alert, AlertRow, PriorAlert
from domain.book import Book
from domain.correlating import Joining
from domain.decision import PayloadRef
from domain.severity import Severity
from domain.suppression import QUIET, Suppression


@dataclass(frozen=True, slots=True)
class Place:
    """Where an alert belongs in its group. Episode 0, no incident: it waits there, suppressed.

    A new episode that `joins` an incident opens none.
    """

    episode: int
    incident: str | None
    is_new: bool = False
    reopens: bool = False
    joins: Joining | None = None


def place_in(book: Book, stream: str, opens: bool, reopens_after: datetime | None = None) -> Place:
    """Where an alert that begins to fire belongs in its group, which the book holds.

    The open episode, or one that ended in an incident that is still open because of other groups; else, if it `opens`
    any, the one before, whose incident is reopened, when that ended after `reopens_after` (UTC), or a new one; else
    nowhere.
    """
    group = book.read(stream, groups.Group)
    if group.incident:
        state = book.read(group.incident, incidents.Incident)
        if state.is_open and (group.is_open or len(state.groups) > 1):
            return Place(group.episode, group.incident)
    if not opens:
        return Place(0, None)
    if group.incident and group.ended_at and reopens_after and group.ended_at >= reopens_after:
        return Place(group.episode, group.incident, reopens=True)
    episode = group.episode + 1
    return Place(episode, ids.incident_stream(book.org, stream, episode), is_new=True)


def suppressed_by(
    why: Suppression, row: AlertRow, group_key: str, payload: PayloadRef, prior: PriorAlert | None = None
) -> groups.AlertSuppressed:
    """That nothing is said of an alert. `prior` is its row when it fired already."""
    return groups.AlertSuppressed(
        alert=row.id,
        integration=row.integration,
        fingerprint=row.fingerprint,
        episode=row.episode,
        incident=row.incident or "",
        reason=why.reason,
        rule=why.rule,
        until=why.until,
        by=why.by,
        by_group=why.by_group,
        group_key=group_key,
        payload=payload,
        prior=prior,
    )


def episode_of(routed: routing.Routing, place: Place) -> groups.EpisodeOpened:
    """That a group's next episode begins."""
    return groups.EpisodeOpened(
        episode=place.episode,
        incident=place.incident or "",
        group_key=routed.group_key,
        group_by=routed.group_by,
        route=routed.path,
        service=routed.service,
        team=routed.team,
        policy=routed.policy,
    )


REGARD = "regard"
"""The kind of deadline at which a group's suppressed alerts are looked at again, or a single alert that says something
else; its key is the group's stream, or the alert.
"""


def wait_for_quiet(book: Book, group: str, why: Suppression) -> None:
    """Have a group looked at again when something that suppresses for a time of its own has ended."""
    if why.reason in QUIET and why.until:
        book.wake(REGARD, group, why.until)


def open_incident(
    book: Book, alert: Alert, row: AlertRow, place: Place, routed: routing.Routing, started_at: datetime, now: datetime
) -> None:
    """Open the incident of a new episode because of an alert. `started_at` counts unless the alert itself says when."""
    title, began = routing.title(alert.labels, row.integration), alert.starts_at or started_at
    opened = opening(book, title, row.severity, routed, began, now, row.group or "", place.episode)
    book.write(place.incident or "", opened)


def reopen(book: Book, incident: str, first_at: datetime) -> None:
    """It was not over: its incident is open again, and escalates from the first step, from `first_at` (UTC) on."""
    state = book.read(incident, incidents.Incident)
    decided = incidents.decide(incidents.Reopen(), state)
    book.write(incident, *decided)
    if decided:
        stepping.start(book, incident, state.runs + 1, stepping.policy_of(book.config, state), first_at)


def opening(
    book: Book,
    title: str,
    severity: Severity,
    routed: routing.Routing,
    started_at: datetime,
    now: datetime,
    group: str,
    episode: int,
) -> incidents.Opened:
    return incidents.Opened(
        number=book.next_number(),
        title=title,
        severity=severity,
        service=routed.service,
        team=routed.team,
        policy=routed.policy,
        started_at=started_at,
        opened_at=now,
        group=group,
        episode=episode,
        ack=routed.ack,
        runbook=routed.runbook,
        repeat_interval=routed.repeat_interval,
        group_interval=routed.group_interval,
    )
