"""Expiry: an alert that its source has stopped speaking of ends by itself, and so does one that has outlived its word.

A group has one deadline, set at the latest when its first alert could expire, and looked at again only then: repeats
move what is remembered of an alert, never the deadline. A time-out that is new or shorter sets it anew.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from domain import groups, stepping
from domain.alerts import AlertRow, AlertStatus, PriorAlert
from domain.book import Book, Due
from domain.decision import Actor, Cause

EXPIRE = "expire"
"""The kind of deadline at which a group's alerts may have expired; its key is the group's stream."""
AT_ONCE = 100
"""Alerts that one decision lets expire at most; the others follow at once."""


def watch(book: Book, row: AlertRow) -> None:
    """Have the group of a firing alert looked at when the alert would expire, if it ever does."""
    at = expires_at(book, row)
    if at is not None and row.group:
        book.ensure_due(EXPIRE, row.group, at)


def watch_again(book: Book, heard: Mapping[str, datetime], expires_after: float) -> None:
    """Have groups looked at when an alert in them would expire by a time-out that is new, or shorter than it was.

    Parameters: `heard` is when the alert of each group that has been silent for longest was reported last (UTC);
    `expires_after` is the time-out, in seconds. Who looks meanwhile by the configuration as it was has looked in vain.
    """
    for group, last_seen in heard.items():
        book.wake(EXPIRE, group, last_seen + timedelta(seconds=expires_after))


def expires_at(book: Book, row: AlertRow) -> datetime | None:
    """When an alert ends by itself unless it is reported again: when its source has said that it does, or has been
    silent for as long as its integration says, whichever is earlier; None: never.
    """
    integration = book.config.integrations.get(row.integration)
    if integration is None or integration.expires_after is None:
        return row.ends_at
    silent = row.last_seen + timedelta(seconds=integration.expires_after)
    return min(silent, row.ends_at) if row.ends_at else silent


def expire(book: Book, due: Due, heard_until: datetime) -> None:
    """Decide which alerts of a group have expired, into `book`.

    `book` must hold the group, the rows of its firing alerts, their incidents and these incidents' escalations and
    pending pages. Parameters: `due` is the claimed deadline; everything that was accepted before `heard_until` (UTC)
    has been folded.
    """
    group = due.key
    firing = sorted(book.read(group, groups.Group).firing)
    deadlines = {alert: at for alert in firing if (at := expires_at(book, book.alerts[alert]))}
    over = [alert for alert, at in deadlines.items() if at <= heard_until][:AT_ONCE]
    if over:
        streams = _looked_at(book, group, [book.alerts[alert] for alert in over])
        cause = Cause(Actor("system", "fold"), "fold", f"due/{EXPIRE}/{group}", group, group)
        now = book.begin(cause, heard_until, sorted(streams))
        for alert in over:
            _expire(book, book.alerts[alert], heard_until, now)
        book.end()
    later = [at for alert, at in deadlines.items() if alert not in over]
    if later:
        book.put_due(Due(EXPIRE, group, min(later), due.rev))
    else:
        book.drop_due(EXPIRE, group, due.rev)


def _looked_at(book: Book, group: str, over: Collection[AlertRow]) -> set[str]:
    state, names = book.read(group, groups.Group), [row.id for row in over]
    stops = {row.episode: stepping.would_stop(book, group, row.episode, names) for row in over}
    return {
        stream
        for episode, stop in stops.items()
        for stream in stepping.involved(book, group, state.incident_of(episode), stop)
    }


def _expire(book: Book, row: AlertRow, heard_until: datetime, now: datetime) -> None:
    group = row.group or ""
    incident = book.read(group, groups.Group).incident_of(row.episode) or ""
    expired = groups.AlertExpired(
        alert=row.id,
        integration=row.integration,
        fingerprint=row.fingerprint,
        episode=row.episode,
        incident=incident,
        last_seen=row.last_seen,
        count=row.count,
        heard_until=heard_until,
        prior=PriorAlert.of(row),
        ends_at=row.ends_at,
    )
    book.place(row.id, group, (), now)
    book.write(group, expired)
    ended = replace(
        row,
        rev=row.rev + 1,
        status=AlertStatus.RESOLVED,
        suppressed=None,
        acknowledged=None,
        ends_at=None,
        flips=row.flipped(now),
    )
    book.put_alert(ended)
    stepping.settle(book, incident, now)
