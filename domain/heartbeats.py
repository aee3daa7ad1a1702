"""Heartbeats: what has to be heard of again and again, and is missed when it is not (a dead man's switch).

A heartbeat is configured, a ping is one word from it. A ping is no event: only that a heartbeat is missed, or heard of
again, is decided (`heartbeating`). What the roles of Tocsin leave as a sign of life is something else
(`streams/store/heartbeats.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from domain.matching import Matcher
from domain.severity import Severity


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Something that pings at least every `interval` seconds, or is missed after `grace` seconds more.

    Service, team, severity and labels (pairs, sorted) are those of the alert that it opens when it is missed.
    `token_hashes`: the sha256 (hex) of each token it may ping with (None in a file: those it has stay). It is expected
    from its first ping on; when `armed`, from when it is configured. Alerts that match `fed_by` ping it.
    """

    id: str
    interval: float
    grace: float = 0.0
    service: str | None = None
    team: str | None = None
    severity: Severity = Severity.HIGH
    labels: tuple[tuple[str, str], ...] = ()
    token_hashes: tuple[str, ...] | None = None
    armed: bool = False
    fed_by: tuple[Matcher, ...] = ()
    kind: Literal["heartbeat"] = "heartbeat"

    @property
    def patience(self) -> timedelta:
        """After how much silence it is missed."""
        return timedelta(seconds=self.interval + self.grace)


@dataclass(frozen=True, slots=True)
class Ping:
    """What is remembered of a heartbeat: its last ping, None before the first, and since when it is expected (UTC).

    `ended_at` is when an alert that feeds it was last reported as resolved.
    """

    since: datetime
    at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def last(self) -> datetime:
        """From when its silence counts."""
        return self.at or self.since


@dataclass(frozen=True, slots=True)
class Gap:
    """A time (UTC) in which no ping could be taken."""

    since: datetime
    until: datetime


def missed_at(heartbeat: Heartbeat, ping: Ping, gaps: Iterable[Gap] = ()) -> datetime:
    """When a heartbeat is missed unless it pings before (UTC).

    Nobody is missed who could not ping: a gap that began before that time gives whoever was silent since all the
    patience again, from its end. But gaps that come again and again hide nobody: never more than twice the patience,
    gaps not counted. An alert that fed it and has ended since the last ping is missed at once.

    Parameters:
        gaps: those since the last ping, in order; others do not matter.
    """
    patience, last = heartbeat.patience, ping.last
    if ping.ended_at and ping.ended_at >= last:
        return ping.ended_at
    at, latest = last + patience, last + 2 * patience
    for gap in gaps:
        if last < gap.until and gap.since < min(at, latest):
            at = max(at, gap.until + patience)
            latest += gap.until - max(gap.since, last)
    return min(at, latest)
