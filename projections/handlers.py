"""Event -> rows: what each event changes in the read models.

Pure functions of (rows, event): no clock, no database, no order but that of positions. What a batch needs is loaded
before (`tables.load`), what it changed is written after, so neither the size of batches nor a second delivery can be
told from the rows.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from domain import answers, belonging, escalations, groups, incidents, pages
from domain.changes import ObjectPut, ObjectRemoved
from domain.erasing import PayloadErased
from domain.escalations import EscalationStatus
from domain.incidents import IncidentStatus
from domain.intake import AlertsLost
from domain.pages import PageStatus
from projections.rows import AlertRow, AttemptRow, EscalationRow, IncidentRow, PageRow, Rows, TimelineRow
from projections.sentences import First, sentence
from streams.store.base import Recorded

AlertEvent = (
    groups.AlertFired
    | groups.AlertRefired
    | groups.AlertResolved
    | groups.AlertExpired
    | groups.AlertSuppressed
    | groups.AlertReleased
    | groups.AlertSeverityChanged
    | groups.AlertFlapping
    | answers.AlertAcknowledged
    | answers.AlertUnacknowledged
    | answers.AlertClosed
    | belonging.AlertLeft
    | belonging.AlertJoined
)
NOT_TOLD = (groups.EpisodeOpened, belonging.Moved, ObjectPut, ObjectRemoved, AlertsLost, PayloadErased)
"""Events that concern no read model: an episode is its incident, which says itself what it gets, configuration is read
from the store, and which incident alerts belong to that were lost unread nobody knows.
"""


def project(rows: Rows, recorded: Recorded) -> None:
    """Bring `rows` to the state after one event. Raises KeyError for an event whose stream's first was never seen."""
    event = recorded.event
    if isinstance(event, incidents.IncidentEvent):
        _incident(rows, recorded, event)
    elif isinstance(event, escalations.EscalationEvent):
        _escalation(rows, recorded, event)
    elif isinstance(event, pages.PageEvent):
        _page(rows, recorded, event)
    elif not isinstance(event, NOT_TOLD):
        _alert(rows, recorded, event)


def _tell(rows: Rows, incident: str, recorded: Recorded, first: First = None) -> None:
    """Write an event into an incident's timeline."""
    cause = recorded.decision.cause
    rows.timeline.put(
        TimelineRow(
            incident=incident,
            position=recorded.position,
            at=recorded.decision.decided_at,
            type=recorded.type,
            text=sentence(recorded, first),
            actor=f"{cause.actor.kind}:{cause.actor.id}",
            origin=cause.origin,
            correlation_id=cause.correlation_id,
            words=recorded.event.text.ref if isinstance(recorded.event, incidents.Commented) else None,
            alert=getattr(recorded.event, "alert", None),
        )
    )


# -- incidents ---------------------------------------------------------------------------------------------------------


def _incident(rows: Rows, recorded: Recorded, event: incidents.IncidentEvent) -> None:
    if isinstance(event, incidents.Opened):
        row = _opened(recorded.stream, event)
    else:
        row = _changed(rows.incidents[recorded.stream], event, recorded)
    rows.incidents.put(replace(row, version=recorded.version, position=recorded.position))
    _tell(rows, recorded.stream, recorded)


def _opened(stream: str, event: incidents.Opened) -> IncidentRow:
    return IncidentRow(
        id=stream,
        number=event.number,
        title=event.title,
        status=IncidentStatus.TRIGGERED,
        severity=event.severity,
        service=event.service,
        team=event.team,
        policy=event.policy,
        started_at=event.started_at,
        opened_at=event.opened_at,
        first_paged_at=None,
        first_acknowledged_at=None,
        first_resolved_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
        resolved_at=None,
        resolved_by=None,
        assignees=(),
        words=event.words.ref if event.words else None,
        runbook=event.runbook,
        merged_into=None,
        merged_number=None,
        version=0,
        position=0,
    )


def _changed(row: IncidentRow, event: incidents.IncidentEvent, recorded: Recorded) -> IncidentRow:
    at, actor = recorded.decision.decided_at, recorded.decision.cause.actor
    by = f"{actor.kind}:{actor.id}"
    match event:
        case incidents.Opened() | incidents.Commented():
            return row
        case belonging.Merged(into=into, number=number):
            return replace(row, status=IncidentStatus.MERGED, merged_into=into, merged_number=number)
        case belonging.Unmerged(status=status):
            return replace(row, status=IncidentStatus(status), merged_into=None, merged_number=None)
        case belonging.GroupAttached() | belonging.GroupDetached() | belonging.AlertsSplit():
            return row
        case belonging.Absorbed() | belonging.Parted():
            return row
        case incidents.SeverityChanged():
            return replace(row, severity=event.after)
        case incidents.Acknowledged():
            return _taken(replace(row, status=IncidentStatus.ACKNOWLEDGED), at, by)
        case incidents.Started():
            return _taken(replace(row, status=IncidentStatus.IN_PROGRESS), at, by)
        case incidents.Resolved():
            first = row.first_resolved_at or at
            return replace(row, status=IncidentStatus.RESOLVED, resolved_at=at, resolved_by=by, first_resolved_at=first)
        case incidents.Unacknowledged() | incidents.Reopened() | incidents.Reannounced():
            return replace(
                row,
                status=IncidentStatus.TRIGGERED,
                acknowledged_at=None,
                acknowledged_by=None,
                resolved_at=None,
                resolved_by=None,
            )
        case incidents.Assigned():
            return replace(row, assignees=event.users)
        case _:
            assert_never(event)


def _taken(row: IncidentRow, at: datetime, by: str) -> IncidentRow:
    """Somebody has it. Who starts to work on an incident that nobody acknowledged has acknowledged it."""
    if row.acknowledged_at:
        return row
    first = row.first_acknowledged_at or at
    return replace(row, acknowledged_at=at, acknowledged_by=by, first_acknowledged_at=first)


# -- escalations and pages ---------------------------------------------------------------------------------------------


def _escalation(rows: Rows, recorded: Recorded, event: escalations.EscalationEvent) -> None:
    stream = recorded.stream
    if isinstance(event, escalations.Started):
        rows.escalations.put(_begun(recorded, event))
    else:
        row = rows.escalations[stream]
        state = escalations.evolve(row.state, event)
        moved = replace(row, status=state.status, loop=state.loop, step=state.step, position=recorded.position)
        rows.escalations.put(moved)
    row = rows.escalations[stream]
    _tell(rows, row.incident, recorded, row.first)


def _begun(recorded: Recorded, event: escalations.Started) -> EscalationRow:
    return EscalationRow(
        id=recorded.stream,
        incident=event.incident,
        run=event.run,
        policy=event.policy,
        first_at=event.first_at,
        correlation_id=event.correlation_id,
        status=EscalationStatus.PENDING,
        loop=1,
        step=1,
        position=recorded.position,
    )


def _page(rows: Rows, recorded: Recorded, event: pages.PageEvent) -> None:
    if isinstance(event, pages.Queued):
        rows.pages.put(_queued(recorded, event))
    else:
        before = rows.pages[recorded.stream]
        if isinstance(event, pages.Sent | pages.Failed | pages.Unknown):
            rows.attempts.put(_attempt(before, recorded, event))
        row = _settled(before, event, recorded.decision.decided_at)
        rows.pages.put(replace(row, position=recorded.position))
    row = rows.pages[recorded.stream]
    if isinstance(event, pages.Sent):
        _first_paged(rows, row.incident, recorded)
    _tell(rows, row.incident, recorded, row.first)


def _queued(recorded: Recorded, event: pages.Queued) -> PageRow:
    return PageRow(
        id=recorded.stream,
        incident=event.incident,
        escalation=event.escalation,
        loop=event.loop,
        step=event.step,
        user=event.user,
        method=event.method,
        status=PageStatus.QUEUED,
        queued_at=recorded.decision.decided_at,
        settled_at=None,
        delivery=None,
        reason=None,
        position=recorded.position,
    )


def _settled(row: PageRow, event: pages.PageEvent, at: datetime) -> PageRow:
    match event:
        case pages.Queued():
            return row
        case pages.Sent():
            return replace(row, status=PageStatus.SENT, settled_at=at, delivery=event.delivery, reason=None)
        case pages.Failed():
            return replace(row, status=PageStatus.FAILED, settled_at=at, delivery=event.delivery, reason=event.reason)
        case pages.Unknown():
            return replace(row, status=PageStatus.UNKNOWN, settled_at=at, delivery=event.delivery, reason=event.reason)
        case pages.Cancelled():
            return replace(row, status=PageStatus.CANCELLED, settled_at=at, reason=event.reason)
        case _:
            assert_never(event)


def _attempt(page: PageRow, recorded: Recorded, event: pages.Sent | pages.Failed | pages.Unknown) -> AttemptRow:
    """An attempt may repeat one that nobody knows the outcome of; only `Sent` says so itself."""
    return AttemptRow(
        page=page.id,
        position=recorded.position,
        incident=page.incident,
        delivery=event.delivery,
        number=event.attempt,
        at=recorded.decision.decided_at,
        outcome=_settled(page, event, recorded.decision.decided_at).status,
        possible_repeat=event.possible_repeat if isinstance(event, pages.Sent) else page.status is PageStatus.UNKNOWN,
        reason=None if isinstance(event, pages.Sent) else event.reason,
    )


def _first_paged(rows: Rows, incident: str, recorded: Recorded) -> None:
    """The first page that was sent is the moment from which people knew."""
    row = rows.incidents[incident]
    if row.first_paged_at is None:
        rows.incidents.put(replace(row, first_paged_at=recorded.decision.decided_at, position=recorded.position))


# -- alerts ------------------------------------------------------------------------------------------------------------


def _alert(rows: Rows, recorded: Recorded, event: AlertEvent) -> None:
    """One that waits in its group belongs to no incident, and its events to its own history alone."""
    match event:
        case groups.AlertFired() | groups.AlertRefired() | groups.AlertResolved():
            reported = event.received_at
        case groups.AlertExpired():
            reported = event.last_seen
        case _:
            reported = recorded.decision.decided_at
    if event.incident:
        rows.alerts.put(AlertRow(event.incident, event.alert, reported, recorded.position))
    _tell(rows, event.incident, recorded)
