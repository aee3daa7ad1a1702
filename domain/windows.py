"""Maintenance windows: planned work, once or again and again, during which nobody is told of what it touches.

A window that recurs has a rule of RFC 5545 (RRULE), read by dateutil, on the clocks of its location: 02:00 stays 02:00
when they change. An occurrence that falls into an hour that is left out begins when the clocks have changed, in an
hour that is repeated the first time; it lasts as long as it always does. Which rules are allowed, and why they are
cheap: `schemas/recurrences.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import takewhile
from typing import Literal

from dateutil.rrule import rrule, rrulestr

from domain.matching import Matcher
from domain.zones import change_between, instants, wall_time, zone

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
BEYOND = 4_000_000
"""An interval, in periods of any kind, that ends after the last year a date can have."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a window is open: from `start` to `end` (UTC), the end exclusive."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """What is worked on, when, and why.

    Of `services`, `teams`, `environments` and `matchers`, each that is not empty has to fit an alert: one of the names,
    all of the matchers. `start` (aware) is the first occurrence, `duration` (seconds) how long each lasts, `rrule` how
    it recurs on the clocks of `location` (an IANA name; None: UTC); occurrences may overlap. Author and comment are a
    person's words: kept beside the events, erasable.
    """

    id: str
    start: datetime
    duration: float
    matchers: tuple[Matcher, ...] = ()
    services: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    rrule: str | None = None
    location: str | None = None
    author: str = ""
    comment: str = ""
    kind: Literal["window"] = "window"

    @property
    def reads(self) -> frozenset[str]:
        """The labels and facts that `covers` looks at."""
        names = {"@service": self.services, "@team": self.teams, "@environment": self.environments}
        return frozenset(fact for fact, wanted in names.items() if wanted) | {m.label for m in self.matchers}

    def covers(self, facts: Mapping[str, str]) -> bool:
        """Whether it is about an alert with these labels and facts."""
        return (
            (not self.services or facts.get("@service") in self.services)
            and (not self.teams or facts.get("@team") in self.teams)
            and (not self.environments or facts.get("@environment") in self.environments)
            and all(matcher.matches(facts) for matcher in self.matchers)
        )


def active_at(window: Window, at: datetime) -> Occurrence | None:
    """The occurrence that is going on at `at` (aware), of several the one that ends last; None: none is."""
    running = _running(window, at)
    return _occurrence(window, running[-1]) if running else None


def next_start(window: Window, at: datetime) -> datetime | None:
    """When the next occurrence begins (UTC), after `at` (aware); None: there is no more."""
    return next((start for start in _starts(window, at) if start > at), None)


def next_boundary(window: Window, at: datetime) -> datetime | None:
    """The first instant (UTC) after `at` (aware) at which an occurrence begins or ends; None: there is no more."""
    running = _running(window, at)
    known = (next_start(window, at), _occurrence(window, running[0]).end if running else None)
    return min((instant for instant in known if instant is not None), default=None)


def begins_at_start(window: Window) -> bool:
    """Whether the rule's first occurrence is the window's start; RFC 5545 leaves open what it means otherwise.

    Raises ValueError for a rule that is not one.
    """
    if window.rrule is None:
        return True
    clocks = zone(window.location)
    first = wall_time(window.start, clocks)
    try:
        period = _rule(window.rrule, first, first).replace(interval=BEYOND)
    except ValueError:
        return False
    return next(iter(period), None) == first and _instant(first, clocks) == window.start


def _running(window: Window, at: datetime) -> list[datetime]:
    """When the occurrences began that are going on at `at`, in order."""
    over = at - timedelta(seconds=window.duration)
    return [start for start in takewhile(lambda start: start <= at, _starts(window, over)) if start > over]


def _occurrence(window: Window, start: datetime) -> Occurrence:
    return Occurrence(start, start + timedelta(seconds=window.duration))


def _starts(window: Window, since: datetime) -> Iterator[datetime]:
    """When occurrences begin (UTC), in order: all from `since` on, and some before."""
    if window.rrule is None:
        yield window.start.astimezone(UTC)
        return
    clocks = zone(window.location)
    first = wall_time(window.start, clocks)
    parts = _parts(window.rrule)
    until = datetime.strptime(parts["UNTIL"], "%Y%m%dT%H%M%S%z") if "UNTIL" in parts else None
    for wall in _rule(window.rrule, first, _anchor(parts, first, wall_time(since, clocks))):
        start = _instant(wall, clocks)
        if until is not None and start > until:
            return
        yield start


def _instant(wall: datetime, clocks: tzinfo) -> datetime:
    """When clocks show `wall`: the first time of two; if never, when they have changed."""
    first, second = instants(wall, clocks)
    return (second < first and change_between(clocks, second, first)) or first


def _parts(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name: value for name, _, value in pairs}


@lru_cache(maxsize=1024)
def _rule(text: str, first: datetime, anchor: datetime) -> rrule:
    """The rule of a window whose first occurrence is at `first`, from `anchor` on; UNTIL is left to the caller.

    What a rule does not say, the first occurrence says (RFC 5545, 3.3.10).
    """
    parts = {"WKST": "MO", **_parts(text)}
    parts.pop("UNTIL", None)
    if parts["FREQ"] == "WEEKLY":
        parts.setdefault("BYDAY", DAYS[first.weekday()])
    elif parts["FREQ"] != "DAILY" and not parts.keys() & {"BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY"}:
        parts["BYMONTHDAY"] = str(first.day)
        if parts["FREQ"] == "YEARLY":
            parts.setdefault("BYMONTH", str(first.month))
    return rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=anchor)


def _anchor(parts: Mapping[str, str], first: datetime, near: datetime) -> datetime:
    """Where to begin counting so that nothing from `near` on is missed: a period of the rule earlier than it need be.

    Counting from the first occurrence would take the longer the older a window is; a rule with COUNT has to.
    """
    if "COUNT" in parts:
        return first
    size = int(parts.get("INTERVAL", "1"))
    match parts["FREQ"]:
        case "YEARLY":
            periods = max(0, (near.year - first.year) // size - 1)
            anchor = first.replace(year=first.year + periods * size, month=1, day=1)
        case "MONTHLY":
            months = (near.year - first.year) * 12 + near.month - first.month
            periods = max(0, months // size - 1)
            year, month = divmod(first.year * 12 + first.month - 1 + periods * size, 12)
            anchor = first.replace(year=year, month=month + 1, day=1)
        case frequency:
            length = timedelta(days=size * (7 if frequency == "WEEKLY" else 1))
            periods = max(0, (near - first) // length - 1)
            anchor = first + periods * length
    return max(first, anchor)
