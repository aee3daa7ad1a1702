"""The fold: one reported alert becomes a change of its group, its incident and its escalation.

alert -> supersedes what we remember? -> group -> (episode) -> incident -> escalation. A repeat that changes nothing
writes no event. Routing runs at fire and re-fire only: an alert stays in its group until it resolves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain import expiry, groups, ids, incidents, routing, stepping
from domain.alerts import Alert, AlertRow, AlertStatus, PriorAlert, Receipt, Repeat, supersedes
from domain.book import Book, Held
from domain.config import Config
from domain.decision import Actor, Cause, PayloadRef
from domain.severity import Severity


@dataclass(frozen=True, slots=True)
class Report:
    """One alert of a receipt, as it came off the `alerts` topic or the inbox.

    `body` is the alert as bytes, which are kept when it leads to an event. `salt` and `raw_digest` are the receipt's:
    what its texts are digested with, and the digest of its redacted body.
    `hold` is when, at the earliest, an incident opened by it may page: None means after the route's group_wait. A held
    page is brought forward when the partition it came from has caught up.
    """

    alert: Alert
    index: int
    receipt: Receipt
    body: bytes = b""
    salt: bytes = b""
    raw_digest: str = ""
    hold: datetime | None = None


def route_of(config: Config, alert: Alert) -> routing.Routing:
    """Where the configuration sends an alert. Raises ValueError when no usable routing tree is configured."""
    return config.route(alert.labels)


def groups_involved(
    org: str, config: Config, reports: Iterable[Report], rows: Mapping[str, AlertRow]
) -> frozenset[str]:
    """The group streams that folding `reports` may look at: load these, then what `incidents_involved` says."""
    streams: set[str] = set()
    for report in reports:
        row = rows.get(alert_id_of(org, report))
        if row and row.group:
            streams.add(row.group)
        if report.alert.status is AlertStatus.FIRING:
            streams.add(ids.group_stream(org, route_of(config, report.alert).group_key))
    return frozenset(streams)


def incidents_involved(org: str, found: Iterable[groups.Group], rows: Iterable[AlertRow]) -> frozenset[str]:
    """The incident streams that folding may look at, given the groups and the rows of its alerts."""
    latest = {group.incident for group in found}
    return frozenset(stream for stream in latest | {row.incident for row in rows} if stream)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something about alerts that a person must look at. One incident per `key` is open at a time.

    `integration` is the one that it is about, if it is about one: its team is told.
    """

    key: str
    title: str
    integration: str = ""

    @classmethod
    def undecidable(cls, integration: str) -> "Trouble":
        """Some alert of an integration could not be decided: fail open."""
        whose = integration or "an unknown integration"
        return cls(f"undecidable:{integration}", f"Alerts from {whose} were not understood", integration)

    @classmethod
    def lost(cls, topic: str) -> "Trouble":
        """Alerts were deleted from a topic before they were folded."""
        return cls(f"lost:{topic}", f"Alerts were lost from topic {topic}")


def fallback_route(config: Config, trouble: Trouble) -> routing.Routing | None:
    """Where trouble goes; None when nobody is configured to be told."""
    root = config.root
    if root is None or not root.team or not root.policy:
        return None
    integration = config.integrations.get(trouble.integration)
    team = (integration.team if integration else None) or root.team
    return routing.Routing("fallback", "", team, root.policy, (), trouble.key, 0.0)


def fall_back(book: Book, trouble: Trouble, receipt: Receipt) -> None:
    """Fail open: open an incident for `trouble` unless one is open.

    `book` must hold the stream of `fallback_route`'s group key, its latest incident and that incident's escalation.
    """
    routed = fallback_route(book.config, trouble)
    if routed is None:
        return
    stream = ids.group_stream(book.org, routed.group_key)
    latest = book.streams[stream].state
    before = latest.incident if isinstance(latest, groups.Group) else None
    cause = Cause(Actor("system", "fold"), "fold", receipt.pointer, receipt.id, receipt.id)
    now = book.begin(cause, receipt.received_at, filter(None, (stream, before)))
    group = book.read(stream, groups.Group)
    if group.incident and book.read(group.incident, incidents.Incident).is_open:
        book.end()
        return
    episode = group.episode + 1
    incident = ids.incident_stream(book.org, stream, episode)
    book.write(stream, _episode(routed, episode, incident))
    opened = _opening(book, trouble.title, Severity.HIGH, routed, receipt.received_at, now, stream, episode)
    book.write(incident, opened)
    stepping.start(book, incident, 1, routed.policy, now)
    book.end()


def _opening(
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
    )


def alert_id_of(org: str, report: Report) -> str:
    """The identity of a report's alert."""
    return ids.alert_id(org, report.receipt.integration, report.alert.fingerprint)


def fold(book: Book, report: Report) -> None:
    """Decide what one reported alert changes, into `book`.

    `book` must hold the alert's row if there is one, the streams of `groups_involved`, those of
    `incidents_involved` and the escalations of these incidents.
    """
    book.end()
    alert, receipt = report.alert, report.receipt
    row = book.alerts.get(alert_id_of(book.org, report))
    source_time = alert.source_time or receipt.received_at
    if row and not supersedes(source_time, receipt, row):
        return
    fires = alert.status is AlertStatus.FIRING
    if row and row.status is AlertStatus.FIRING:
        if fires:
            _repeat(book, report, row, source_time)
        else:
            _resolve(book, report, row, source_time)
    elif fires:
        _fire(book, report, row, source_time)
    else:
        book.put_alert(_row_of(book, report, row, source_time))


def _row_of(book: Book, report: Report, row: AlertRow | None, source_time: datetime) -> AlertRow:
    """The alert's row after this report, still where it was."""
    alert, receipt = report.alert, report.receipt
    return AlertRow(
        id=row.id if row else alert_id_of(book.org, report),
        integration=receipt.integration,
        fingerprint=alert.fingerprint,
        status=alert.status,
        severity=alert.severity,
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
    )


def _cause(report: Report) -> Cause:
    receipt = report.receipt
    return Cause(
        actor=Actor("integration", receipt.integration),
        origin="webhook",
        pointer=receipt.pointer,
        causation_id=f"{receipt.id}#{report.index}",
        correlation_id=receipt.id,
        catch_up=report.hold is not None,
    )


def _fire(book: Book, report: Report, row: AlertRow | None, source_time: datetime) -> None:
    routed = route_of(book.config, report.alert)
    stream = ids.group_stream(book.org, routed.group_key)
    latest = book.streams[stream].state
    incident_stream = latest.incident if isinstance(latest, groups.Group) else None
    now = book.begin(_cause(report), report.receipt.received_at, filter(None, (stream, incident_stream)))
    group = book.read(stream, groups.Group)
    joins = group.is_open and group.incident and book.read(group.incident, incidents.Incident).is_open
    episode = group.episode if joins else group.episode + 1
    incident = group.incident if joins and group.incident else ids.incident_stream(book.org, stream, episode)
    payload = _keep_payload(book, report)
    new = replace(
        _row_of(book, report, row, source_time), group=stream, episode=episode, incident=incident, payload=payload.ref
    )
    if not joins:
        book.write(stream, _episode(routed, episode, incident))
    book.write(stream, _fired(book.config, report, new, payload, row))
    if joins:
        _raise(book, incident, report, new.id)
    else:
        _open(book, report, incident, stream, episode, routed, now)
    book.put_alert(new)
    expiry.watch(book, new)
    book.end()


def _keep_payload(book: Book, report: Report) -> PayloadRef:
    ref = f"alert/{report.receipt.id}/{report.index}"
    return book.put_payload(ref, report.salt, report.body)


def _episode(routed: routing.Routing, episode: int, incident: str) -> groups.EpisodeOpened:
    return groups.EpisodeOpened(
        episode=episode,
        incident=incident,
        group_key=routed.group_key,
        group_by=routed.group_by,
        route=routed.path,
        service=routed.service,
        team=routed.team,
        policy=routed.policy,
    )


def _fired(
    config: Config, report: Report, new: AlertRow, payload: PayloadRef, row: AlertRow | None
) -> groups.AlertFired | groups.AlertRefired:
    kind = groups.AlertRefired if row and row.group else groups.AlertFired
    return kind(
        alert=new.id,
        integration=new.integration,
        fingerprint=new.fingerprint,
        episode=new.episode,
        incident=new.incident or "",
        severity=new.severity,
        labels={name: value for name, value in sorted(report.alert.labels.items()) if name in config.labels_read},
        source_time=new.source_time,
        received_at=new.received_at,
        receipt=new.receipt,
        payload=payload,
        raw_digest=report.raw_digest,
        prior=PriorAlert.of(row) if row else None,  # type: ignore[arg-type]  # a re-fire has a row
    )


def _open(
    book: Book, report: Report, incident: str, group: str, episode: int, routed: routing.Routing, now: datetime
) -> None:
    alert = report.alert
    ready_at = now + timedelta(seconds=routed.group_wait)
    first_at = max(report.hold, ready_at) if report.hold else ready_at
    title = routing.title(alert.labels, report.receipt.integration)
    started_at = alert.starts_at or alert.source_time or report.receipt.received_at
    book.write(incident, _opening(book, title, alert.severity, routed, started_at, now, group, episode))
    held = Held(report.receipt.partition, ready_at) if report.hold else None
    stepping.start(book, incident, 1, routed.policy, first_at, held)


def _raise(book: Book, incident: str, report: Report, alert: str, repeat: Repeat | None = None) -> None:
    """An alert of a worse severity makes its incident as severe."""
    state = book.read(incident, incidents.Incident)
    book.write(incident, *incidents.decide(incidents.Raise(report.alert.severity, alert, repeat), state))


def _repeat(book: Book, report: Report, row: AlertRow, source_time: datetime) -> None:
    """The same alert still fires: counted, and no event unless it became more severe."""
    incident = row.incident or ""
    if report.alert.severity.worse_than(row.severity):
        state = book.read(incident, incidents.Incident)
        if state.is_open and report.alert.severity.worse_than(state.severity):
            book.begin(_cause(report), report.receipt.received_at, (incident,))
            _raise(book, incident, report, row.id, _repeated(book, report, row, source_time))
            book.end()
    new = _row_of(book, report, row, source_time)
    book.put_alert(new)
    expiry.watch(book, new)


def _repeated(book: Book, report: Report, row: AlertRow, source_time: datetime) -> Repeat:
    receipt, payload = report.receipt, _keep_payload(book, report)
    return Repeat(source_time, receipt.received_at, receipt.id, payload, report.raw_digest, PriorAlert.of(row))


def _resolve(book: Book, report: Report, row: AlertRow, source_time: datetime) -> None:
    group, incident = row.group or "", row.incident or ""
    is_last = book.read(group, groups.Group).firing_in(row.episode) == 1
    book.begin(
        _cause(report), report.receipt.received_at, stepping.involved(book, group, incident if is_last else None)
    )
    new = _row_of(book, report, row, source_time)
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
    stepping.end_episode(book, group, row.episode, incident)
    book.put_alert(new)
    book.end()
