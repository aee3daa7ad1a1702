"""Event -> rows: what each event changes in the read models.

Pure functions of (rows, event): no clock, no database, no order but that of positions. What a batch needs is loaded
before (`tables.load`), what it changed is written after, so neither the size of batches nor a second delivery can be
told from the rows.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from domain import escalations, groups, incidents, pages
from domain.changes import ObjectPut, ObjectRemoved
from domain.incidents import IncidentStatus
from domain.pages import PageStatus
from projections.rows import AlertRow, EscalationRow, IncidentRow, PageRow, Rows, TimelineRow
from projections.sentences import First, sentence
from streams.store.base import Recorded

NOT_TOLD = (groups.EpisodeOpened, ObjectPut, ObjectRemoved)
"""Events that concern no read model: an episode is its incident, and configuration is read from the store."""


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
        acknowledged_at=None,
        acknowledged_by=None,
        resolved_at=None,
        resolved_by=None,
        assignees=(),
        version=0,
        position=0,
    )


def _changed(row: IncidentRow, event: incidents.IncidentEvent, recorded: Recorded) -> IncidentRow:
    at, actor = recorded.decision.decided_at, recorded.decision.cause.actor
    by = f"{actor.kind}:{actor.id}"
    match event:
        case incidents.Opened() | incidents.Commented():
            return row
        case incidents.SeverityChanged():
            return replace(row, severity=event.after)
        case incidents.Acknowledged():
            return _taken(replace(row, status=IncidentStatus.ACKNOWLEDGED), at, by)
        case incidents.Started():
            return _taken(replace(row, status=IncidentStatus.IN_PROGRESS), at, by)
        case incidents.Resolved():
            return replace(row, status=IncidentStatus.RESOLVED, resolved_at=at, resolved_by=by)
        case incidents.Unacknowledged() | incidents.Reopened():
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
    return row if row.acknowledged_at else replace(row, acknowledged_at=at, acknowledged_by=by)


# -- escalations and pages ---------------------------------------------------------------------------------------------


def _escalation(rows: Rows, recorded: Recorded, event: escalations.EscalationEvent) -> None:
    stream = recorded.stream
    if isinstance(event, escalations.Started):
        rows.escalations.put(
            EscalationRow(
                id=stream,
                incident=event.incident,
                run=event.run,
                policy=event.policy,
                first_at=event.first_at,
                correlation_id=event.correlation_id,
                position=recorded.position,
            )
        )
    row = rows.escalations[stream]
    _tell(rows, row.incident, recorded, row.first)


def _page(rows: Rows, recorded: Recorded, event: pages.PageEvent) -> None:
    if isinstance(event, pages.Queued):
        rows.pages.put(_queued(recorded, event))
    else:
        row = _settled(rows.pages[recorded.stream], event, recorded.decision.decided_at)
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
        case pages.Withheld():
            return replace(row, status=PageStatus.WITHHELD, settled_at=at, reason=event.reason)
        case _:
            assert_never(event)


def _first_paged(rows: Rows, incident: str, recorded: Recorded) -> None:
    """The first page that was sent is the moment from which people knew."""
    row = rows.incidents[incident]
    if row.first_paged_at is None:
        rows.incidents.put(replace(row, first_paged_at=recorded.decision.decided_at, position=recorded.position))


# -- alerts ------------------------------------------------------------------------------------------------------------


def _alert(
    rows: Rows,
    recorded: Recorded,
    event: groups.AlertFired | groups.AlertRefired | groups.AlertResolved | groups.AlertExpired,
) -> None:
    reported = event.last_seen if isinstance(event, groups.AlertExpired) else event.received_at
    rows.alerts.put(AlertRow(event.incident, event.alert, reported, recorded.position))
    _tell(rows, event.incident, recorded)
