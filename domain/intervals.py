"""Time intervals: named stretches of the calendar such as office hours, in which routes speak or are mute.

Semantics are Alertmanager's: an interval is a list of spans, any of which may contain the instant; in a span every
field that says something has to contain it. Source: Alertmanager's configuration documentation, <time_interval>.
Unlike Alertmanager's code, the last day of a month in which the clocks change is the last day.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Literal

from domain.zones import change_between, instants, zone

MINUTES = 1440
"""Minutes of a day, as clocks count them."""

HORIZON = timedelta(days=400)
"""How far `next_change` looks: farther than a year and a leap day."""

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `start` to `end`, both in minutes since midnight; the end is exclusive and 1440 at most."""

    start: int
    end: int


WHOLE_DAY = (TimeRange(0, MINUTES),)


@dataclass(frozen=True, slots=True)
class Range:
    """From `first` to `last`, both inclusive; the same number for one alone."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Span:
    """What is contained: every field that is not empty has a range that fits.

    `weekdays` count from 0, Sunday; `months` from 1. `days_of_month` count from 1, or from the end, which is -1; a
    range is cut at the month's length, and holds nothing in a month that ends before it begins. `location` is the
    IANA name of the zone whose clocks are meant; None: UTC.
    """

    times: tuple[TimeRange, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A named interval: whatever one of its spans contains."""

    id: str
    spans: tuple[Span, ...]
    kind: Literal["time_interval"] = "time_interval"


def contains(interval: Interval, at: datetime) -> bool:
    """Whether the instant `at` (aware) is inside. Raises UnknownZone for a location that does not exist."""
    return any(_holds(span, at) for span in interval.spans)


def next_change(interval: Interval, at: datetime) -> datetime | None:
    """The first instant (UTC) after `at` (aware) at which `contains` answers otherwise than at `at`.

    None when there is none within `HORIZON`. Raises UnknownZone for a location that does not exist.
    """
    until = at + HORIZON
    if not contains(interval, at):
        begins = (_span_change(span, at, until) for span in interval.spans)
        return min((instant for instant in begins if instant is not None), default=None)
    reached = at
    while holding := [span for span in interval.spans if _holds(span, reached)]:
        ends = [_span_change(span, reached, until) for span in holding]
        known = [instant for instant in ends if instant is not None]
        if len(known) < len(ends):
            return None
        reached = max(known)
    return reached


def _holds(span: Span, at: datetime) -> bool:
    local = at.astimezone(zone(span.location))
    minute = local.hour * 60 + local.minute
    return any(times.start <= minute < times.end for times in _times(span, local.date()))


def _times(span: Span, day: date) -> tuple[TimeRange, ...]:
    """What a span contains of a day of its location."""
    inside = (
        _among(span.years, day.year)
        and _among(span.months, day.month)
        and _among(span.weekdays, day.isoweekday() % 7)
        and (not span.days_of_month or any(_on(days, day) for days in span.days_of_month))
    )
    return (span.times or WHOLE_DAY) if inside else ()


def _among(ranges: tuple[Range, ...], number: int) -> bool:
    if not ranges:
        return True
    return any(wanted.first <= number <= wanted.last for wanted in ranges)


def _on(days: Range, day: date) -> bool:
    length = monthrange(day.year, day.month)[1]
    first, last = (length + 1 + number if number < 0 else number for number in (days.first, days.last))
    return first <= day.day <= last


def _span_change(span: Span, at: datetime, until: datetime) -> datetime | None:
    """The first instant after `at` and not after `until` at which one span holds otherwise than at `at`.

    A day that holds as `at` does from midnight to midnight is passed over. The search begins a day early and ends a
    day late, because clocks that are set back over midnight show a date twice.
    """
    clocks = zone(span.location)
    held = _holds(span, at)
    same = WHOLE_DAY if held else ()
    day = at.astimezone(clocks).date() - ONE_DAY
    last = until.astimezone(clocks).date() + ONE_DAY
    while day <= last:
        times = _times(span, day)
        if times != same:
            for instant in _edges(times, day, clocks):
                if at < instant <= until and _holds(span, instant) is not held:
                    return instant
        day += ONE_DAY
    return None


def _edges(times: tuple[TimeRange, ...], day: date, clocks: tzinfo) -> Iterator[datetime]:
    """The instants, in order, at which something may change on a day: its ends, its times', a change of the clocks."""
    midnight = datetime.combine(day, time())
    minutes = {0, MINUTES, *(edge for times in times for edge in (times.start, times.end))}
    found = {instant for m in minutes for instant in instants(midnight + timedelta(minutes=m), clocks)}
    change = change_between(clocks, min(found), max(found))
    yield from sorted(found if change is None else found | {change})
