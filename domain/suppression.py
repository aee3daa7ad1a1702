"""What decides that a firing alert is not spoken of, and when that may change by the passing of time alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, Protocol

from domain import intervals, windows
from domain.config import Config
from domain.inhibition import Inhibitor
from domain.routing import Routing

SuppressionReason = Literal[
    "silence", "maintenance_window", "inhibition", "time_interval", "suppression_window", "flapping"
]
QUIET: frozenset[SuppressionReason] = frozenset({"suppression_window", "flapping"})
"""Reasons that end at a time of the alert's or the group's own."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why an alert is not spoken of: by which rule, and `by` which alert of which group if it is inhibited.

    `until` (UTC) is when that ends at the latest, as far as it is known.
    """

    reason: SuppressionReason
    rule: str
    until: datetime | None = None
    by: str | None = None
    by_group: str | None = None

    def __str__(self) -> str:
        return f"{self.reason}/{self.rule}"


@dataclass(frozen=True, slots=True)
class Past:
    """What an alert and its group have been through: `flips` are the latest times at which the alert began or ended,
    the oldest first; `ended_at` is when the group's latest episode ended, if it did. UTC.
    """

    flips: tuple[datetime, ...] = ()
    ended_at: datetime | None = None


def suppression(
    config: Config,
    facts: Mapping[str, str],
    routed: Routing,
    inhibitor: Inhibitor | None,
    past: Past,
    now: datetime,
) -> Suppression | None:
    """Why nothing is to be said at `now` (UTC) of an alert; None: it is spoken of.

    Parameters:
        facts: its labels and facts (`Config.facts`).
        routed: where it goes.
        inhibitor: the firing alert that inhibits it, if one does.
        past: what it and its group have been through.
    """
    owned = {**facts, **whose(config, facts, routed)} if config.silences or config.windows else facts
    return (
        _silenced(config, owned, now)
        or _in_window(config, owned, now)
        or (Suppression("inhibition", inhibitor.rule, None, inhibitor.alert, inhibitor.group) if inhibitor else None)
        or _muted(config, routed, now)
        or _flaps(routed, past.flips, now)
        or _just_ended(routed, past.ended_at, now)
    )


def _silenced(config: Config, facts: Mapping[str, str], now: datetime) -> Suppression | None:
    """By the silence that lasts longest, of those that match."""
    active = [s for s in config.silences.values() if s.starts_at <= now < s.ends_at and s.silences(facts)]
    longest = max(active, key=lambda silence: (silence.ends_at, silence.id), default=None)
    return Suppression("silence", longest.id, longest.ends_at) if longest else None


class Owned(Protocol):
    """What says whose an alert is: the way it took, or the incident that it opened."""

    @property
    def service(self) -> str:
        """The service that it is about, if any."""

    @property
    def team(self) -> str:
        """The team that it goes to."""


def whose(config: Config, facts: Mapping[str, str], routed: Owned) -> dict[str, str]:
    """Whose it is by the route it took, which says more than its labels may."""
    service = config.services.get(routed.service)
    environment = facts.get("environment") or (service.environment if service else None) or ""
    return {"@service": routed.service, "@team": routed.team, "@environment": environment}


def _in_window(config: Config, facts: Mapping[str, str], now: datetime) -> Suppression | None:
    """By the maintenance window that lasts longest, of those that are open and cover it."""
    covering = [window for window in config.windows.values() if window.covers(facts)]
    found = [(open_.end, window.id) for window in covering if (open_ := windows.active_at(window, now))]
    until, name = max(found, default=(None, ""))
    return Suppression("maintenance_window", name, until) if until else None


def _muted(config: Config, routed: Routing, now: datetime) -> Suppression | None:
    """By a time interval of its route. Several active ones: one of them has to contain the time."""
    for name in routed.mute_time_intervals:
        if intervals.contains(config.intervals[name], now):
            return Suppression("time_interval", name, intervals.next_change(config.intervals[name], now))
    active = [config.intervals[name] for name in routed.active_time_intervals]
    if not active or any(intervals.contains(interval, now) for interval in active):
        return None
    begins = [at for interval in active if (at := intervals.next_change(interval, now))]
    return Suppression("time_interval", ",".join(routed.active_time_intervals), min(begins, default=None))


def changes(routed: Routing, flips: tuple[datetime, ...]) -> int:
    """How often an alert began or ended within its route's `flap_window` up to the last time it did, since it was
    steady for as long as `flap_quiet`, firing or not.
    """
    window, quiet = timedelta(seconds=routed.flap_window), timedelta(seconds=routed.flap_quiet)
    steady = [n for n, (before, at) in enumerate(pairwise(flips), 1) if at - before >= quiet]
    return sum(flips[-1] - at <= window for at in flips[steady[-1] if steady else 0 :])


def begins_to_flap(routed: Routing, flips: tuple[datetime, ...]) -> bool:
    """Whether an alert that begins to fire has now changed as often as its route puts up with, and had not before."""
    return _is_flapping(routed, flips) and not _is_flapping(routed, flips[:-2])


def untold(flips: tuple[datetime, ...]) -> tuple[datetime, ...]:
    """`flips` of an alert that has begun to flap while nothing was to be said of it: it begins again with its next
    change, so that people hear of it.
    """
    return flips[2:]


def _is_flapping(routed: Routing, flips: tuple[datetime, ...]) -> bool:
    return bool(flips) and 0 < routed.flap_threshold <= changes(routed, flips)


def _flaps(routed: Routing, flips: tuple[datetime, ...], now: datetime) -> Suppression | None:
    """By its flapping: it did already when it began before this time, and was not steady for long enough since.

    So the time at which it begins to flap is still spoken of: that is the notice.
    """
    if not _is_flapping(routed, flips[:-2]) or not _is_flapping(routed, flips):
        return None
    until = flips[-1] + timedelta(seconds=routed.flap_quiet)
    return Suppression("flapping", routed.path, until) if now < until else None


def _just_ended(routed: Routing, ended_at: datetime | None, now: datetime) -> Suppression | None:
    """By its route's suppression window: its group has only just ended."""
    until = ended_at + timedelta(seconds=routed.suppress_for) if ended_at else None
    return Suppression("suppression_window", routed.path, until) if until and now < until else None


def next_change(config: Config, after: datetime) -> datetime | None:
    """The first time after `after` (UTC) at which something that suppresses begins or ends; None: never."""
    return min((at for at in _changes(config, after) if at > after), default=None)


def _changes(config: Config, after: datetime) -> Iterator[datetime]:
    for silence in config.silences.values():
        yield from (silence.starts_at, silence.ends_at)
    times = [windows.next_boundary(window, after) for window in config.windows.values()]
    times += [intervals.next_change(interval, after) for interval in config.intervals.values()]
    yield from (at for at in times if at is not None)
