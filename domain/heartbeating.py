"""A look at a heartbeat: it is missed, which is an alert like any other, or it is heard of again, and the alert ends.

The alert goes the way of every other one (`folding`), so that routes, groups, silences and escalations apply. Its
source time is the last ping; what the look was decided on stands in its annotations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain import folding, ids, reporting
from domain.alerts import Alert, AlertStatus, Receipt
from domain.book import Book, Due
from domain.decision import Actor, Cause
from domain.heartbeats import Heartbeat, Ping, missed_at

HEARTBEAT = "heartbeat"
"""The kind of deadline at which a heartbeat is looked at; its key is the heartbeat's name. Also the integration of the
alerts that missed heartbeats are."""
ALERT = "HeartbeatMissed"
LAST_PING, MISSED_AT = "last_ping", "missed_at"
"""Annotations of the alert: when it pinged last, and from when on it is missed."""
AGAIN = timedelta(seconds=2)
"""When to look again at what nobody can tell."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a heartbeat that may be missed: its last ping, and when it is missed (UTC).

    Before `heard_until` every ping that was sent was taken, or could not be; afterwards nobody can tell yet.
    """

    ping: Ping
    missed_at: datetime
    heard_until: datetime


Write = Callable[[Alert], bytes]
"""An alert as its payload's bytes."""


def alert_of(org: str, name: str) -> str:
    """The id of the alert that a missed heartbeat is."""
    return ids.alert_id(org, HEARTBEAT, name)


def report_of(
    heartbeat: Heartbeat | None, name: str, known: Known | None, now: datetime, write: Write, salt: bytes
) -> reporting.Report | None:
    """What a look at a heartbeat reports of its alert: that it is missed, or is not; None when nobody can tell yet.

    The look stands for a receipt. Parameters: `known` is None when the heartbeat is not expected; `salt` is for the
    digest of what `write` makes of the alert.
    """
    if heartbeat is None or known is None or known.missed_at > now:
        status = AlertStatus.RESOLVED
    elif known.missed_at <= known.heard_until:
        status = AlertStatus.FIRING
    else:
        return None
    alert = _alert(heartbeat or Heartbeat(name, 0.0), status, known, now)
    pointer = f"due/{HEARTBEAT}/{name}"
    receipt = Receipt(f"{HEARTBEAT}/{name}/{now.isoformat()}", HEARTBEAT, now, pointer)
    cause = Cause(Actor("system", "pager"), "pager", pointer, name, receipt.id)
    return reporting.Report(alert, 0, receipt, write(alert), salt, cause=cause)


def look(book: Book, due: Due, report: reporting.Report | None, known: Known | None, now: datetime) -> None:
    """Decide what a heartbeat's deadline brings, into `book`, and when to look again; never, unless it pings.

    `book` must hold what folding `report` takes, which is what `report_of` makes of `known`. `due` is the claimed
    deadline.
    """
    if report is None:
        book.put_due(Due(due.kind, due.key, now + AGAIN, due.rev))
        return
    row, status = book.alerts.get(alert_of(book.org, due.key)), report.alert.status
    fired = row is not None and row.status is AlertStatus.FIRING
    if fired != (status is AlertStatus.FIRING):
        folding.fold(book, report)
    if known is None or status is AlertStatus.FIRING:
        book.drop_due(due.kind, due.key, due.rev)
    else:
        book.put_due(Due(due.kind, due.key, known.missed_at, due.rev))


def _alert(heartbeat: Heartbeat, status: AlertStatus, known: Known | None, now: datetime) -> Alert:
    missed = status is AlertStatus.FIRING
    last = known.ping.last if known else now
    named = {"alertname": ALERT, "heartbeat": heartbeat.id, "severity": heartbeat.severity.value}
    owned = {"service": heartbeat.service, "team": heartbeat.team}
    return Alert(
        fingerprint=heartbeat.id,
        status=status,
        severity=heartbeat.severity,
        labels={**dict(heartbeat.labels), **{key: value for key, value in owned.items() if value}, **named},
        annotations=_noted(known) if known else {},
        source_time=last,
        starts_at=known.missed_at if known and missed else None,
        ends_at=None if missed else last,
        summary=_said(heartbeat, known) if known and missed else f"Heartbeat {heartbeat.id} is not missed any more",
    )


def _noted(known: Known) -> dict[str, str]:
    pinged = {LAST_PING: known.ping.at.isoformat()} if known.ping.at else {}
    return {**pinged, MISSED_AT: known.missed_at.isoformat()}


def _said(heartbeat: Heartbeat, known: Known) -> str:
    ping = known.ping
    heard = f"was last heard of at {ping.at:%Y-%m-%d %H:%M:%S} UTC" if ping.at else "has never been heard of"
    return f"Heartbeat {heartbeat.id} {heard}; it is expected every {heartbeat.interval:g} s"


def known_of(heartbeat: Heartbeat | None, alert: Alert, now: datetime) -> Known | None:
    """What was known of a heartbeat when its alert was decided at `now` (UTC), by what stands in the alert.

    Raises ValueError for a time at which the heartbeat cannot have been missed yet.
    """
    said = alert.annotations.get(MISSED_AT)
    if said is None or alert.source_time is None:
        return None
    ping = Ping(alert.source_time, alert.source_time if LAST_PING in alert.annotations else None)
    at = datetime.fromisoformat(said)
    if heartbeat and at < missed_at(heartbeat, ping) and not heartbeat.fed_by:
        raise ValueError(f"heartbeat {heartbeat.id} cannot be missed before its time")
    return Known(ping, at, now)
