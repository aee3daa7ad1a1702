"""The fold: one reported alert becomes a change of its group, its incident and its escalation.

alert -> supersedes what we remember? -> group -> (episode) -> incident -> escalation. A repeat that changes nothing
writes no event. Routing runs at fire and re-fire only: an alert stays in its group until it resolves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import starmap
from typing import NamedTuple

from domain import expiry, groups, ids, incidents, joining, routing, stepping
from domain.alerts import AlertRow, AlertStatus, PriorAlert, Repeat, supersedes
from domain.book import Book, Held
from domain.decision import Actor, Cause, PayloadRef
from domain.episodes import REGARD, Place, episode_of, open_incident, place_in, reopen, suppressed_by, wait_for_quiet
from domain.reporting import Report, alert_id_of, facts_of, routes_of, sides_of, way_ids
from domain.severity import Severity
from domain.suppression import Past, begins_to_flap, changes, suppression, untold


@dataclass(frozen=True, slots=True)
class Way:
    """An alert on one of the routes that it takes; without one it stays on the route that it took when it began."""

    alert: str
    routed: routing.Routing | None = None


def fold(book: Book, report: Report) -> None:
    """Decide what one reported alert changes, into `book`: on each of its ways.

    `book` must hold the rows of the alert and of its ways if there are any, the streams of `groups_involved`, those of
    `incidents_involved` and the escalations of these incidents.
    """
    for way in ways_of(book, report):
        fold_way(book, report, way)


def ways_of(book: Book, report: Report) -> tuple[Way, ...]:
    """The ways of a reported alert: new ones when it begins to fire, else those that it has."""
    own = alert_id_of(book.org, report)
    row = book.alerts.get(own)
    source_time = report.alert.source_time or report.receipt.received_at
    goes_on = row is not None and (row.status is AlertStatus.FIRING or row.is_over(source_time))
    if report.alert.status is AlertStatus.RESOLVED or (row and goes_on and not row.ways):
        return (Way(own), *map(Way, row.ways if row else ()))
    found = zip(way_ids(book.org, book.config, report), routes_of(book.config, report), strict=True)
    if row is None or not goes_on:
        return tuple(starmap(Way, found))
    routed = dict(found)
    return tuple(Way(name, routed.get(name)) for name in (own, *row.ways) if name in routed or _fires(book, name))


def _fires(book: Book, alert: str) -> bool:
    return alert in book.alerts and book.alerts[alert].status is AlertStatus.FIRING


def fold_way(book: Book, report: Report, way: Way) -> None:
    """Decide what a report changes of the alert on one of its ways, into `book`."""
    book.end()
    alert, receipt = report.alert, report.receipt
    row = book.alerts.get(way.alert)
    source_time = alert.source_time or receipt.received_at
    if row and not supersedes(source_time, receipt, row):
        return
    fires = alert.status is AlertStatus.FIRING
    if row and row.status is AlertStatus.FIRING:
        if fires:
            _repeat(book, report, row, source_time)
        else:
            _resolve(book, report, row, source_time)
    elif fires and row and row.is_over(source_time):
        over = _row_of(way.alert, report, row, source_time, alert.severity)
        book.put_alert(replace(over, status=AlertStatus.RESOLVED, closed=row.closed))
    elif fires:
        _fire(book, report, row, source_time, way)
    else:
        book.put_alert(_row_of(way.alert, report, row, source_time, alert.severity))


class _Stands(NamedTuple):
    """What an alert's row says besides what was reported."""

    group: str | None = None
    episode: int = 0
    incident: str | None = None
    payload: str | None = None
    flips: tuple[datetime, ...] = ()
    ways: tuple[str, ...] = ()
    suppressed: str | None = None


def _stands(row: AlertRow, status: AlertStatus) -> _Stands:
    suppressed = row.suppressed if status is AlertStatus.FIRING else None
    return _Stands(row.group, row.episode, row.incident, row.payload, row.flips, row.ways, suppressed)


def _row_of(
    name: str,
    report: Report,
    row: AlertRow | None,
    source_time: datetime,
    severity: Severity,
    stands: _Stands | None = None,
) -> AlertRow:
    """The alert's row after this report, as it `stands` now, or still where it was."""
    alert, receipt = report.alert, report.receipt
    at = stands or (_stands(row, alert.status) if row else _Stands())
    return AlertRow(
        id=name,
        integration=receipt.integration,
        fingerprint=alert.fingerprint,
        status=alert.status,
        severity=severity,
        rev=row.rev + 1 if row else 1,
        source_time=source_time,
        received_at=receipt.received_at,
        receipt=receipt.id,
        first_seen=row.first_seen if row else receipt.received_at,
        last_seen=max(row.last_seen, receipt.received_at) if row else receipt.received_at,
        count=row.count + 1 if row else 1,
        group=at.group,
        episode=at.episode,
        incident=at.incident,
        payload=at.payload,
        flips=at.flips,
        ways=at.ways,
        suppressed=at.suppressed,
        acknowledged=row.acknowledged if row and alert.status is AlertStatus.FIRING else None,
        ends_at=_ends_at(report),
    )


def _ends_at(report: Report) -> datetime | None:
    """When a firing alert ends by its source's word. One that would have ended already is not taken at that word."""
    ends_at = report.alert.ends_at if report.alert.status is AlertStatus.FIRING else None
    return ends_at if ends_at and ends_at > report.receipt.received_at else None


def _cause(report: Report) -> Cause:
    receipt = report.receipt
    return report.cause or Cause(
        actor=Actor("integration", receipt.integration),
        origin="webhook",
        pointer=receipt.pointer,
        causation_id=f"{receipt.id}#{report.index}",
        correlation_id=receipt.id,
        catch_up=report.hold is not None,
    )


def _fire(book: Book, report: Report, row: AlertRow | None, source_time: datetime, way: Way) -> None:
    facts = facts_of(book.config, report)
    alert, routed = way.alert, way.routed or book.config.route(facts)
    own, fingerprint = way.alert == alert_id_of(book.org, report), report.alert.fingerprint
    stream = ids.group_stream(book.org, routed.group_key)
    now = book.begin(_cause(report), report.receipt.received_at, _looked_at(book, stream))
    group = book.read(stream, groups.Group)
    sides = sides_of(book.config, report)
    book.place(alert, stream, sides, now)
    flips = row.flipped(now) if row else (now,)
    past = Past(flips, group.ended_at)
    why = suppression(book.config, facts, routed, book.inhibitor(alert, sides), past, now)
    flaps = begins_to_flap(routed, flips)
    wait = 0.0 if flaps else routed.group_wait
    place = place_in(book, stream, why is None, _reopens_after(routed, now))
    if place.is_new and (joins := joining.join(book, facts, routed, report.receipt.integration, fingerprint, now)):
        place = replace(place, incident=joins.incident, joins=joins)
        now = book.involve(joining.involved(book, stream, joins))
        flips = row.flipped(now) if row else (now,)
    payload = _keep_payload(book, report)
    stands = _Stands(
        group=stream,
        episode=place.episode,
        incident=place.incident,
        payload=payload.ref,
        flips=untold(flips) if why and flaps else flips,
        ways=way_ids(book.org, book.config, report)[1:] if own else (),
        suppressed=str(why) if why else None,
    )
    new = _row_of(alert, report, row, source_time, routed.severity or report.alert.severity, stands)
    if place.is_new:
        book.write(stream, episode_of(routed, place))
    book.write(stream, _fired(book.config.recorded(facts), report, new, payload, row))
    if why:
        book.write(stream, suppressed_by(why, new, routed.group_key, payload))
        wait_for_quiet(book, stream, why)
    elif place.joins:
        joining.attach(book, new, place.joins, now)
    elif place.is_new:
        _open(book, report, new, place, routed, now, wait)
        joining.stand(book, facts, routed, new, now)
    elif place.reopens:
        reopen(book, place.incident or "", now + timedelta(seconds=wait))
        stepping.make_worse(book, place.incident or "", new.severity, new.id)
    else:
        worse = stepping.make_worse(book, place.incident or "", new.severity, new.id)
        if _may_announce(book, group):
            stepping.settle(book, place.incident, now)
        stepping.tell_news(book, place.incident or "", worse, now)
    if flaps and not why:
        book.write(stream, _flapping(new, routed, changes(routed, flips)))
        stepping.tell_news(book, place.incident or "", False, now, flaps=True)
        if not report.hold:
            stepping.hasten(book, place.incident or "", now)
    book.put_alert(new)
    expiry.watch(book, new)
    book.end()


def _reopens_after(routed: routing.Routing, now: datetime) -> datetime | None:
    return now - timedelta(seconds=routed.reopen_within) if routed.reopen_within else None


def _flapping(row: AlertRow, routed: routing.Routing, times: int) -> groups.AlertFlapping:
    return groups.AlertFlapping(
        alert=row.id,
        integration=row.integration,
        fingerprint=row.fingerprint,
        episode=row.episode,
        incident=row.incident or "",
        changes=times,
        within=routed.flap_window,
    )


def _looked_at(book: Book, stream: str) -> list[str]:
    """The streams whose times a firing alert may not precede: its group's, its incident's, and its escalation's if it
    may have to be announced again."""
    group = book.streams[stream].state
    if not isinstance(group, groups.Group) or not group.incident:
        return [stream]
    if _may_announce(book, group):
        return stepping.involved(book, stream, group.incident)
    if stepping.is_told(book, group.incident):
        return [stream, *stepping.of_incident(book, group.incident, stops=True)]
    return [stream, group.incident]


def _may_announce(book: Book, group: groups.Group) -> bool:
    """Whether the group's incident may have to be announced again when an alert begins: for all that is known of the
    group nobody hears of it, or nobody does although it has several groups.
    """
    if group.suppressed or not group.incident:
        return bool(group.suppressed)
    return len(book.read(group.incident, incidents.Incident).groups) > 1 and stepping.is_quiet(book, group.incident)


def _keep_payload(book: Book, report: Report) -> PayloadRef:
    ref = f"alert/{report.receipt.id}/{report.index}"
    return book.put_payload(ref, report.salt, report.body)


def _fired(
    labels: Mapping[str, str], report: Report, new: AlertRow, payload: PayloadRef, row: AlertRow | None
) -> groups.AlertFired | groups.AlertRefired:
    kind = groups.AlertRefired if row and row.group else groups.AlertFired
    return kind(
        alert=new.id,
        integration=new.integration,
        fingerprint=new.fingerprint,
        episode=new.episode,
        incident=new.incident or "",
        severity=new.severity,
        labels=labels,
        source_time=new.source_time,
        received_at=new.received_at,
        receipt=new.receipt,
        payload=payload,
        raw_digest=report.raw_digest,
        prior=PriorAlert.of(row) if row else None,  # type: ignore[arg-type]  # a re-fire has a row
    )


def _open(
    book: Book, report: Report, new: AlertRow, place: Place, routed: routing.Routing, now: datetime, wait: float
) -> None:
    ready_at = now + timedelta(seconds=wait)
    first_at = max(report.hold, ready_at) if report.hold else ready_at
    held = Held(report.receipt.partition, ready_at) if report.hold else None
    started_at = report.alert.source_time or report.receipt.received_at
    open_incident(book, report.alert, new, place, routed, started_at, now)
    stepping.start(book, place.incident or "", 1, routed.policy, first_at, held)


def _repeat(book: Book, report: Report, row: AlertRow, source_time: datetime) -> None:
    """The same alert still fires: counted, and no event unless it says another severity."""
    new = _row_of(row.id, report, row, source_time, _severity_now(book, report, row))
    if new.severity is not row.severity:
        new = _changed(book, report, row, new)
    book.put_alert(new)
    expiry.watch(book, new)


def _changed(book: Book, report: Report, row: AlertRow, new: AlertRow) -> AlertRow:
    """The `new` row of an alert that says another severity now: what matchers read of it is what it says from now on,
    whether it is spoken of is looked at again, and its incident is as severe at least.
    """
    group, receipt = row.group or "", report.receipt
    incident = book.read(group, groups.Group).incident_of(row.episode) or ""
    raises = bool(incident) and not row.suppressed and book.read(incident, incidents.Incident).is_open
    involved = stepping.of_incident(book, incident, stops=True) if raises else []
    now = book.begin(_cause(report), receipt.received_at, [group, *involved])
    payload = _keep_payload(book, report)
    changed = groups.AlertSeverityChanged(
        alert=row.id,
        integration=row.integration,
        fingerprint=row.fingerprint,
        episode=row.episode,
        incident=incident,
        severity=new.severity,
        source_time=new.source_time,
        received_at=new.received_at,
        receipt=new.receipt,
        payload=payload,
        raw_digest=report.raw_digest,
        prior=PriorAlert.of(row),
    )
    book.place(row.id, group, sides_of(book.config, report), now)
    book.wake(REGARD, row.id, now)
    book.write(group, changed)
    said = Repeat(new.source_time, new.received_at, new.receipt, payload, report.raw_digest, changed.prior)
    if raises and stepping.make_worse(book, incident, new.severity, new.id, said):
        stepping.tell_news(book, incident, True, now)
    book.end()
    return replace(new, payload=payload.ref)


def _severity_now(book: Book, report: Report, row: AlertRow) -> Severity:
    """How severe a repeated alert is: as before, or as its route or it says now."""
    said = report.alert.severity
    if said is row.severity:
        return said
    routed = dict(zip(way_ids(book.org, book.config, report), routes_of(book.config, report), strict=True))
    return (routed[row.id].severity if row.id in routed else None) or said


def _resolve(book: Book, report: Report, row: AlertRow, source_time: datetime) -> None:
    group = row.group or ""
    before = book.read(group, groups.Group)
    incident = before.incident_of(row.episode) or ""
    stops = stepping.would_stop(book, group, row.episode, [row.id])
    matters = stops or bool(before.suppressed)
    involved = stepping.involved(book, group, incident if matters else None, stops)
    now = book.begin(_cause(report), report.receipt.received_at, involved)
    book.place(row.id, group, (), now)
    new = replace(_row_of(row.id, report, row, source_time, report.alert.severity), flips=row.flipped(now))
    resolved = groups.AlertResolved(
        alert=row.id,
        integration=row.integration,
        fingerprint=row.fingerprint,
        episode=row.episode,
        incident=incident,
        source_time=new.source_time,
        received_at=new.received_at,
        receipt=new.receipt,
        payload=_keep_payload(book, report),
        raw_digest=report.raw_digest,
        prior=PriorAlert.of(row),
    )
    book.write(group, resolved)
    if matters:
        stepping.settle(book, incident, now)
    book.put_alert(new)
    book.end()
