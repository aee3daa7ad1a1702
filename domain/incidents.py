"""An incident: one thing that people work on, from triggered over acknowledged and in progress to resolved.

Alert counts never touch it, or every acknowledgement under load would conflict with the alerts that arrive. What
belongs to it, and how that changes, is in `belonging`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal, assert_never

from domain import belonging
from domain.alerts import Repeat
from domain.belonging import Part
from domain.decision import PayloadRef, Refused
from domain.routing import Ack
from domain.severity import Severity


class IncidentStatus(StrEnum):
    """Where an incident stands."""

    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    MERGED = "merged"
    """It was the same as another, which is worked on instead."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident begins. `opened_at` is when we opened it, `started_at` when the trouble began by the source's word
    (their difference is the time to detect). A person's own words for a title are in the payload `words`, where they
    can be erased; `title` then says nothing of them (ADR 10).

    What its route says is kept: whether it may be acknowledged, where its runbook is, and after how many seconds
    without an answer it is announced again.
    """

    type: ClassVar[str] = "incident.opened.v1"
    number: int
    title: str
    severity: Severity
    service: str
    team: str
    policy: str
    started_at: datetime
    opened_at: datetime
    group: str | None = None
    episode: int = 0
    words: PayloadRef | None = None
    ack: Ack = "allowed"
    runbook: str | None = None
    repeat_interval: float | None = None
    group_interval: float | None = None


@dataclass(frozen=True, slots=True)
class SeverityChanged:
    """The incident became more (or, by a person, less) severe; `alert` is the one that made it so, if any.

    `repeat` is that alert's report when it fired already; one that fires now has an event of its own.
    """

    type: ClassVar[str] = "incident.severity_changed.v1"
    before: Severity
    after: Severity
    alert: str | None = None
    repeat: Repeat | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody took it."""

    type: ClassVar[str] = "incident.acknowledged.v1"


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """Whoever took it gave it back: it escalates again from the first step."""

    type: ClassVar[str] = "incident.unacknowledged.v1"


@dataclass(frozen=True, slots=True)
class Started:
    """Somebody works on it."""

    type: ClassVar[str] = "incident.started.v1"


@dataclass(frozen=True, slots=True)
class Resolved:
    """It is over: its last alert ended, or a person said so."""

    type: ClassVar[str] = "incident.resolved.v1"
    reason: Literal["alerts_ended", "person"]


@dataclass(frozen=True, slots=True)
class Reopened:
    """It was not over."""

    type: ClassVar[str] = "incident.reopened.v1"


@dataclass(frozen=True, slots=True)
class Reannounced:
    """It is not over and nobody has it: it escalates from the first step.

    Because what kept it from being spoken of has ended (`released`); because everybody was told, and nobody answered,
    so long ago that its route says to begin again (`repeat_interval`); because it is an incident of its own again
    (`unmerged`); because an alert has made it worse since somebody acknowledged it, who took something lesser, or since
    everybody was told in vain (`worse`); because another alert of it has begun since then (`news`).
    """

    type: ClassVar[str] = "incident.reannounced.v1"
    reason: Literal["released", "repeat_interval", "unmerged", "worse", "news"]


@dataclass(frozen=True, slots=True)
class Assigned:
    """Whose it is now; an empty list takes it from everyone."""

    type: ClassVar[str] = "incident.assigned.v1"
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Commented:
    """Somebody wrote something down; the words are in the payload, where they can be erased."""

    type: ClassVar[str] = "incident.commented.v1"
    text: PayloadRef


IncidentEvent = (
    Opened
    | SeverityChanged
    | Acknowledged
    | Unacknowledged
    | Started
    | Resolved
    | Reopened
    | Reannounced
    | Assigned
    | Commented
    | belonging.BelongingEvent
)


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as its events left it. `runs` counts the escalations it has had.

    `groups` are the episodes that belong to it or did: a merged one keeps its own, so that it can be undone. One opened
    `by_hand` is over when a person says so, and not when alerts that were attached to it end. A merged one is `into`
    another, INC-`into_number`, and was `before` that what it will be again if that is undone.
    """

    number: int = 0
    status: IncidentStatus = IncidentStatus.TRIGGERED
    severity: Severity = Severity.MEDIUM
    title: str = ""
    service: str = ""
    team: str = ""
    policy: str = ""
    opened_at: datetime | None = None
    runs: int = 0
    assignees: tuple[str, ...] = ()
    ack: Ack = "allowed"
    runbook: str | None = None
    repeat_interval: float | None = None
    group_interval: float | None = None
    groups: tuple[Part, ...] = ()
    by_hand: bool = False
    into: str | None = None
    into_number: int = 0
    before: IncidentStatus | None = None

    @property
    def is_open(self) -> bool:
        """Whether anybody still has to do something."""
        return self.status not in (IncidentStatus.RESOLVED, IncidentStatus.MERGED)

    @property
    def is_over(self) -> bool:
        """Whether its alerts have ended or a person said so; one that is merged goes on as another."""
        return self.status is IncidentStatus.RESOLVED

    @property
    def name(self) -> str:
        """What people call it: INC-7."""
        return f"INC-{self.number}"


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """I have it: stop paging."""


@dataclass(frozen=True, slots=True)
class Unacknowledge:
    """I do not have it after all: page again."""


@dataclass(frozen=True, slots=True)
class Start:
    """I am working on it."""


@dataclass(frozen=True, slots=True)
class Resolve:
    """It is over."""

    reason: Literal["alerts_ended", "person"] = "person"


@dataclass(frozen=True, slots=True)
class Reopen:
    """It is not over."""


@dataclass(frozen=True, slots=True)
class Raise:
    """An alert of this severity joined: the incident is at least as severe."""

    severity: Severity
    alert: str
    repeat: Repeat | None = None


@dataclass(frozen=True, slots=True)
class SetSeverity:
    """It is as severe as this, more or less than it was thought to be."""

    severity: Severity


@dataclass(frozen=True, slots=True)
class Assign:
    """Give it to these users."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comment:
    """Write this down."""

    text: PayloadRef


IncidentCommand = Acknowledge | Unacknowledge | Start | Resolve | Reopen | Raise | SetSeverity | Assign | Comment


def decide(command: IncidentCommand, incident: Incident) -> tuple[IncidentEvent, ...]:
    """The events that `command` makes of `incident`; none when it already is so.

    Raises Refused when the incident's status does not allow it.
    """
    status = incident.status
    match command, status:
        case Comment(text=text), _:
            return (Commented(text),)
        case _, IncidentStatus.MERGED:
            raise merged(incident)
        case Reopen(), IncidentStatus.RESOLVED:
            return (Reopened(),)
        case Reopen(), _:
            return ()
        case Resolve(), IncidentStatus.RESOLVED:
            return ()
        case _, IncidentStatus.RESOLVED:
            raise resolved(incident)
        case Acknowledge() | Start(), _ if incident.ack == "refused":
            raise Refused(
                "ack_not_allowed",
                f"{incident.name} is of a kind that cannot be acknowledged: it escalates until it is resolved.",
                "Assign it, comment on it, or resolve it.",
            )
        case Acknowledge(), IncidentStatus.TRIGGERED:
            return (Acknowledged(),)
        case Acknowledge(), _:
            return ()
        case Unacknowledge(), IncidentStatus.TRIGGERED:
            return ()
        case Unacknowledge(), _:
            return (Unacknowledged(),)
        case Start(), IncidentStatus.IN_PROGRESS:
            return ()
        case Start(), _:
            return (Started(),)
        case Resolve(reason=reason), _:
            return (Resolved(reason),)
        case Raise(severity=severity), _:
            raised = severity.worse_than(incident.severity)
            return (SeverityChanged(incident.severity, severity, command.alert, command.repeat),) if raised else ()
        case SetSeverity(severity=severity), _:
            return () if severity is incident.severity else (SeverityChanged(incident.severity, severity),)
        case Assign(users=users), _:
            return () if users == incident.assignees else (Assigned(users),)
        case _:
            raise AssertionError(f"undecided: {command} on {status}")


def resolved(incident: Incident) -> Refused:
    """It is over: a refusal that says what to do if it is not."""
    remedy = "Reopen it if it is not over; the next alert opens another in any case."
    return Refused("incident_resolved", f"{incident.name} is resolved.", remedy)


def merged(incident: Incident) -> Refused:
    """Nothing is done about an incident that is merged: a refusal that names the one to act on."""
    winner = f"INC-{incident.into_number}"
    return Refused(
        "incident_merged",
        f"{incident.name} is merged into {winner}.",
        f"Do it to {winner}; unmerge {incident.name} first if it is something else after all.",
    )


def evolve(incident: Incident, event: IncidentEvent) -> Incident:
    """The incident after `event`."""
    match event:
        case Opened():
            return replace(
                incident,
                number=event.number,
                title=event.title,
                severity=event.severity,
                service=event.service,
                team=event.team,
                policy=event.policy,
                opened_at=event.opened_at,
                runs=1,
                ack=event.ack,
                runbook=event.runbook,
                repeat_interval=event.repeat_interval,
                group_interval=event.group_interval,
                groups=(Part(event.group, event.episode),) if event.group else (),
                by_hand=event.group is None,
            )
        case SeverityChanged():
            return replace(incident, severity=event.after)
        case Acknowledged():
            return replace(incident, status=IncidentStatus.ACKNOWLEDGED)
        case Unacknowledged() | Reopened() | Reannounced():
            return replace(incident, status=IncidentStatus.TRIGGERED, runs=incident.runs + 1)
        case Started():
            return replace(incident, status=IncidentStatus.IN_PROGRESS)
        case Resolved():
            return replace(incident, status=IncidentStatus.RESOLVED)
        case Assigned():
            return replace(incident, assignees=event.users)
        case Commented() | belonging.AlertsSplit():
            return incident
        case belonging.GroupAttached():
            return replace(incident, groups=belonging.joined(incident.groups, [Part(event.group, event.episode)]))
        case belonging.GroupDetached():
            return replace(incident, groups=belonging.without(incident.groups, [Part(event.group, event.episode)]))
        case belonging.Absorbed():
            return replace(incident, groups=belonging.joined(incident.groups, event.groups))
        case belonging.Parted():
            return replace(incident, groups=belonging.without(incident.groups, event.groups))
        case belonging.Merged():
            status, before = IncidentStatus.MERGED, incident.status
            return replace(incident, status=status, before=before, into=event.into, into_number=event.number)
        case belonging.Unmerged():
            status = IncidentStatus(event.status)
            return replace(incident, status=status, before=None, into=None, into_number=0, groups=event.groups)
        case _:
            assert_never(event)
