"""The fold: one reported alert becomes a change of its group, its incident and its escalation.

alert -> supersedes what we remember? -> group -> (episode) -> incident -> escalation. A repeat that changes nothing
writes no event. Routing runs at fire and re-fire only: an alert stays in its group until it resolves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import starmap

from domain import expiry, groups, ids, incidents, inhibition, joining, routing, stepping
from domain.alerts import Alert, AlertRow, AlertStatus, PriorAlert, Receipt, Repeat, supersedes
from domain.book import Book, Held
from domain.config import Config
from domain.correlating import Spot
from domain.decision import Actor, Cause, PayloadRef
from domain.episodes import REGARD, Place, episode_of, open_incident, place_in, reopen, suppressed_by, wait_for_quiet
from domain.severity import Severity
from domain.suppression import Past, begins_to_flap, changes, suppression


@dataclass(slots=True)
class _Sorted:
    """What an organisation and its configuration make of a report: found out once, looked at often."""

    config: Config | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[routing.Routing, ...] | None = None
    sides: tuple[inhibition.Side, ...] | None = None
    ways: tuple[str, ...] | None = None
    own: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One alert of a receipt, as it came off the `alerts` topic or the inbox.

    `body` is the alert as bytes, which are kept when it leads to an event. `salt` and `raw_digest` are the receipt's:
    what its texts are digested with, and the digest of its redacted body.
    `hold` is when, at the earliest, an incident opened by it may page: None means after the route's group_wait. A held
    page is brought forward when the partition it came from has caught up. `cause` is what it was read for, unless that
    is a webhook.
    """

    alert: Alert
    index: int
    receipt: Receipt
    body: bytes = b""
    salt: bytes = b""
    raw_digest: str = ""
    hold: datetime | None = None
    cause: Cause | None = None
    _sorted: _Sorted = field(default_factory=_Sorted, init=False, repr=False, compare=False)


def facts_of(config: Config, report: Report) -> Mapping[str, str]:
    """What matchers read of a reported alert."""
    return _sorted(config, report).facts


def _sorted(config: Config, report: Report) -> _Sorted:
    known, alert = report._sorted, report.alert
    if known.config is not config:
        known.config, known.routes, known.sides, known.ways = config, None, None, None
        known.facts = config.facts(alert.labels, alert.annotations, alert.severity.value, report.receipt.integration)
    return known


def routes_of(config: Config, report: Report) -> tuple[routing.Routing, ...]:
    """Where the configuration sends an alert. Raises ValueError when no usable routing tree is configured."""
    known = _sorted(config, report)
    if known.routes is None:
        known.routes = config.routes(known.facts)
    return known.routes


def sides_of(config: Config, report: Report) -> tuple[inhibition.Side, ...]:
    """Where a reported alert stands in inhibition."""
    known = _sorted(config, report)
    if known.sides is None:
        known.sides = inhibition.sides(config.inhibition_rules.values(), known.facts)
    return known.sides


def way_ids(org: str, config: Config, report: Report) -> tuple[str, ...]:
    """The identities of an alert for each route that it takes: its own first. An organisation has one configuration."""
    known = _sorted(config, report)
    if known.ways is None:
        own = alert_id_of(org, report)
        known.ways = (own, *(ids.alert_way(own, routed.path) for routed in routes_of(config, report)[1:]))
    return known.ways


def places_involved(config: Config, reports: Iterable[Report]) -> frozenset[inhibition.Place]:
    """The places of inhibition rules at which folding `reports` may look for sources."""
    if not config.inhibition_rules:
        return frozenset()
    firing = (report for report in reports if report.alert.status is AlertStatus.FIRING)
    return frozenset(side.place for report in firing for side in sides_of(config, report))


def spots_involved(
    org: str, config: Config, reports: Iterable[Report], rows: Mapping[str, AlertRow]
) -> dict[Spot, datetime]:
    """Where folding `reports` may look for an incident to join, and since when (UTC) that was opened at the earliest.

    What fires already and goes on does not look, unless one of its ways may begin.
    """
    found: dict[Spot, datetime] = {}
    if not config.correlation_rules:
        return found
    reported = [(alert_id_of(org, report), report) for report in reports]
    ends = {name for name, report in reported if report.alert.status is AlertStatus.RESOLVED}
    for name, report in reported:
        row = rows.get(name)
        goes_on = row and row.status is AlertStatus.FIRING and not row.ways and name not in ends
        if report.alert.status is AlertStatus.FIRING and not goes_on:
            for routed in routes_of(config, report):
                for look in joining.looks(config, facts_of(config, report), routed):
                    since = report.receipt.received_at - look.within
                    found[look.spot] = min(since, found.get(look.spot, since))
    return found


def groups_involved(
    org: str, config: Config, reports: Iterable[Report], rows: Mapping[str, AlertRow]
) -> frozenset[str]:
    """The group streams that folding `reports` may look at: load these, then what `incidents_involved` says."""
    streams: set[str] = set()
    for report in reports:
        row = rows.get(alert_id_of(org, report))
        known = (row, *(rows.get(name) for name in row.ways)) if row else ()
        streams |= {each.group for each in known if each and each.group}
        if report.alert.status is AlertStatus.FIRING:
            streams |= {ids.group_stream(org, routed.group_key) for routed in routes_of(config, report)}
    return frozenset(streams)


def ways_involved(org: str, config: Config, reports: Iterable[Report], rows: Mapping[str, AlertRow]) -> frozenset[str]:
    """The alerts that folding `reports` may look at besides their own, whose `rows` are there."""
    found: set[str] = set()
    for report in reports:
        row = rows.get(alert_id_of(org, report))
        found |= {*row.ways} if row else set()
        if report.alert.status is AlertStatus.FIRING:
            found |= {*way_ids(org, config, report)[1:]}
    return frozenset(found)


def incidents_involved(org: str, found: Iterable[groups.Group], rows: Iterable[AlertRow]) -> frozenset[str]:
    """The incident streams that folding may look at, given the groups and the rows of its alerts."""
    belonging = {incident for group in found for incident in (group.incident, *group.earlier.values())}
    return frozenset(stream for stream in belonging | {row.incident for row in rows} if stream)


def alert_id_of(org: str, report: Report) -> str:
    """The identity of a report's alert."""
    known = report._sorted
    if not known.own:
        known.own = ids.alert_id(org, report.receipt.integration, report.alert.fingerprint)
    return known.own


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
    routed = dict(zip(way_ids(book.org, book.config, report), routes_of(book.config, report), strict=True))
    if row is None or not goes_on:
        return tuple(starmap(Way, routed.items()))
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


def _row_of(name: str, report: Report, row: AlertRow | None, source_time: datetime, severity: Severity) -> AlertRow:
    """The alert's row after this report, still where it was."""
    alert, receipt = report.alert, report.receipt
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
        group=row.group if row else None,
        episode=row.episode if row else 0,
        incident=row.incident if row else None,
        payload=row.payload if row else None,
        flips=row.flips if row else (),
        ways=row.ways if row else (),
        suppressed=row.suppressed if row and alert.status is AlertStatus.FIRING else None,
        acknowledged=row.acknowledged if row and alert.status is AlertStatus.FIRING else None,
        ends_at=alert.ends_at if alert.status is AlertStatus.FIRING else None,
    )


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
    place = place_in(book, stream, why is None, _reopens_after(routed, now))
    if place.is_new and (joins := joining.join(book, facts, routed, report.receipt.integration, fingerprint, now)):
        place = replace(place, incident=joins.incident, joins=joins)
        now = book.involve(joining.involved(book, stream, joins))
        flips = row.flipped(now) if row else (now,)
    payload = _keep_payload(book, report)
    new = replace(
        _row_of(alert, report, row, source_time, routed.severity or report.alert.severity),
        ways=way_ids(book.org, book.config, report)[1:] if own else (),
        group=stream,
        episode=place.episode,
        incident=place.incident,
        payload=payload.ref,
        suppressed=str(why) if why else None,
        flips=flips,
    )
    if place.is_new:
        book.write(stream, episode_of(routed, place))
    book.write(stream, _fired(book.config.recorded(facts), report, new, payload, row))
    if why:
        book.write(stream, suppressed_by(why, new, routed.group_key, payload))
        wait_for_quiet(book, stream, why)
    elif place.joins:
        joining.attach(book, new, place.joins, now)
    elif place.is_new:
        _open(book, report, new, place, routed, now)
        joining.stand(book, facts, routed, new, now)
    elif place.reopens:
        reopen(book, place.incident or "", now + timedelta(seconds=routed.group_wait))
        _raise(book, place.incident or "", new)
    else:
        worse = _raise(book, place.incident or "", new)
        if _may_announce(book, group):
            stepping.settle(book, place.incident, now)
        stepping.tell_news(book, place.incident or "", worse, now)
    if not why and begins_to_flap(routed, flips):
        book.write(stream, _flapping(new, routed, changes(routed, flips)))
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
        return [stream, *stepping.of_incident(book, group.incident, stops=False)]
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


def _open(book: Book, report: Report, new: AlertRow, place: Place, routed: routing.Routing, now: datetime) -> None:
    ready_at = now + timedelta(seconds=routed.group_wait)
    first_at = max(report.hold, ready_at) if report.hold else ready_at
    held = Held(report.receipt.partition, ready_at) if report.hold else None
    started_at = report.alert.source_time or report.receipt.received_at
    open_incident(book, report.alert, new, place, routed, started_at, now)
    stepping.start(book, place.incident or "", 1, routed.policy, first_at, held)


def _raise(book: Book, incident: str, new: AlertRow, repeat: Repeat | None = None) -> bool:
    """An alert of a worse severity makes its incident as severe; returns whether it did."""
    decided = incidents.decide(incidents.Raise(new.severity, new.id, repeat), book.read(incident, incidents.Incident))
    book.write(incident, *decided)
    return bool(decided)


def _repeat(book: Book, report: Report, row: AlertRow, source_time: datetime) -> None:
    """The same alert still fires: counted, and no event unless it became more severe."""
    new = _row_of(row.id, report, row, source_time, _severity_now(book, report, row))
    if new.severity is not row.severity:
        new = _said_anew(book, report, new)
    if new.severity.worse_than(row.severity) and not row.suppressed:
        incident = book.read(row.group or "", groups.Group).incident_of(row.episode) or ""
        state = book.read(incident, incidents.Incident)
        if state.is_open and new.severity.worse_than(state.severity):
            involved = stepping.of_incident(book, incident, stops=False)
            now = book.begin(_cause(report), report.receipt.received_at, involved)
            worse = _raise(book, incident, new, _repeated(book, report, row, source_time))
            stepping.tell_news(book, incident, worse, now)
            book.end()
    book.put_alert(new)
    expiry.watch(book, new)


def _said_anew(book: Book, report: Report, row: AlertRow) -> AlertRow:
    """The row of an alert that says another severity now: what matchers read of it from now on is what it says, and
    whether it is spoken of is looked at again.
    """
    now = report.receipt.received_at
    book.place(row.id, row.group or "", sides_of(book.config, report), now)
    book.wake(REGARD, row.id, now)
    return replace(row, payload=_keep_payload(book, report).ref)


def _severity_now(book: Book, report: Report, row: AlertRow) -> Severity:
    """How severe a repeated alert is: as before, or as its route or it says now."""
    said = report.alert.severity
    if said is row.severity:
        return said
    routed = dict(zip(way_ids(book.org, book.config, report), routes_of(book.config, report), strict=True))
    return (routed[row.id].severity if row.id in routed else None) or said


def _repeated(book: Book, report: Report, row: AlertRow, source_time: datetime) -> Repeat:
    receipt, payload = report.receipt, _keep_payload(book, report)
    return Repeat(source_time, receipt.received_at, receipt.id, payload, report.raw_digest, PriorAlert.of(row))


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
