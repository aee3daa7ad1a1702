"""Time intervals against a second implementation that looks at every minute, and against Alertmanager's documentation.

`tests/unit/test_intervals_config.py` has how they are read.
"""

from calendar import monthrange
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.intervals import HORIZON, Interval, Range, Span, TimeRange, contains, next_change
from domain.zones import UnknownZone, zone, zone_names

MINUTE = timedelta(minutes=1)
SCANNED = timedelta(hours=36)

MOMENTS = {
    # a zone, and when something odd happens to its clocks or calendar (UTC)
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00", "2026-12-31T23:00"),
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00", "2028-02-29T05:00"),
    "Australia/Lord_Howe": ("2026-04-04T15:00", "2026-10-03T15:30"),  # half an hour
    "America/St_Johns": ("2010-03-14T03:31", "2010-11-07T02:31"),  # back over midnight: a date is shown twice
    "Asia/Beirut": ("2026-03-28T22:00", "2026-10-24T21:00"),  # a day that begins at one o'clock
    "Pacific/Apia": ("2011-12-30T10:00",),  # a day left out
    None: ("2024-02-29T00:00", "2026-03-01T00:00", "2100-03-01T00:00"),
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def plainly_contains(interval: Interval, instant: datetime) -> bool:
    """The second implementation: what the documentation says, a sentence at a time."""
    return any(plainly_holds(span, instant.astimezone(zone(span.location))) for span in interval.spans)


def plainly_holds(span: Span, local: datetime) -> bool:
    from_end = local.day - monthrange(local.year, local.month)[1] - 1
    clock, month, year, weekday = local.strftime("%H:%M"), local.month, local.year, int(local.strftime("%w"))
    if span.times and not any(written(t.start) <= clock < written(t.end) for t in span.times):
        return False
    if span.weekdays and not any(weekday in range(r.first, r.last + 1) for r in span.weekdays):
        return False
    if span.months and not any(month in range(r.first, r.last + 1) for r in span.months):
        return False
    if span.years and not any(year in range(r.first, r.last + 1) for r in span.years):
        return False
    if not span.days_of_month:
        return True
    return any(
        (from_end if r.first < 0 else local.day) >= r.first and (from_end if r.last < 0 else local.day) <= r.last
        for r in span.days_of_month
    )


def written(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def ranges(low: int, high: int) -> st.SearchStrategy[tuple[Range, ...]]:
    pairs = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda pair: Range(*sorted(pair)))
    return st.lists(pairs, max_size=2).map(tuple)


DAYS = st.tuples(st.integers(1, 16), st.integers(-12, -1)).map(lambda pair: Range(*pair))
NEAR_MIDNIGHT = st.sampled_from([0, 1, 15, 60, 90, 120, 150, 179, 180, 600, 1380, 1410, 1439, 1440])


@st.composite
def spans(draw: st.DrawFn, location: str | None) -> Span:
    edges = st.lists(NEAR_MIDNIGHT | st.integers(0, 1440), min_size=2, max_size=2, unique=True).map(sorted)
    return Span(
        times=tuple(TimeRange(*pair) for pair in draw(st.lists(edges, max_size=2))),
        weekdays=draw(st.just(()) | ranges(0, 6)),
        days_of_month=draw(st.just(()) | ranges(1, 31) | ranges(-31, -1) | st.tuples(DAYS)),
        months=draw(st.just(()) | ranges(1, 12)),
        years=draw(st.just(()) | ranges(2010, 2028)),
        location=draw(st.sampled_from([location, location, None, "Asia/Kolkata"])),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Interval, datetime]:
    """An interval, and an instant within about a day of something odd in its zone."""
    location = draw(st.sampled_from(list(MOMENTS)))
    odd = at(draw(st.sampled_from(MOMENTS[location])))
    found = draw(st.lists(spans(location), min_size=1, max_size=3))
    return Interval("drawn", tuple(found)), odd + timedelta(seconds=draw(st.integers(-100_000, 60_000)))


@settings(max_examples=80, deadline=None)
@given(cases())
def test_contains_is_what_the_documentation_says(case: tuple[Interval, datetime]) -> None:
    interval, instant = case
    for hour in range(-48, 48, 9):
        moved = instant + timedelta(hours=hour)
        assert contains(interval, moved) == plainly_contains(interval, moved)


@settings(max_examples=50, deadline=None)
@given(cases())
def test_the_next_change_is_the_first_minute_that_differs(case: tuple[Interval, datetime]) -> None:
    interval, instant = case
    now = plainly_contains(interval, instant)
    minute = instant.replace(second=0) + MINUTE
    while minute <= instant + SCANNED and plainly_contains(interval, minute) == now:
        minute += MINUTE
    change = next_change(interval, instant)
    if minute <= instant + SCANNED:
        assert change == minute
    else:
        assert change is None or change >= minute


@settings(max_examples=40, deadline=None)
@given(cases())
def test_far_changes_are_changes(case: tuple[Interval, datetime]) -> None:
    interval, instant = case
    change = next_change(interval, instant)
    if change is None:
        assert all(
            contains(interval, instant + timedelta(hours=h)) == contains(interval, instant) for h in range(0, 9600, 97)
        )
    else:
        assert instant < change <= instant + HORIZON
        assert contains(interval, change) != contains(interval, instant)
        assert contains(interval, change - timedelta(seconds=1)) == contains(interval, instant)


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        # office hours, and why a working week is one range: weeks begin on Sunday
        (
            Span(times=(TimeRange(540, 1020),), weekdays=(Range(1, 5),)),
            ["2026-11-20T09:00", "2026-11-20T16:59"],
            ["2026-11-20T08:59", "2026-11-20T17:00", "2026-11-21T12:00", "2026-11-22T12:00"],
        ),
        # the documented forms of days of the month: 1:5 and -3:-1
        (
            Span(days_of_month=(Range(1, 5), Range(-3, -1))),
            ["2026-02-01T00:00", "2026-02-05T23:59", "2026-02-26T00:00", "2026-02-28T23:59", "2028-02-29T12:00"],
            ["2026-02-06T00:00", "2026-02-25T23:59", "2028-02-26T12:00"],
        ),
        # "1:-1" and more days than a month has are the whole month
        (Span(days_of_month=(Range(1, -1),)), ["2026-02-01T00:00", "2026-02-28T23:59"], []),
        (Span(days_of_month=(Range(1, 31),)), ["2026-06-30T23:59", "2026-02-28T00:00"], []),
        (Span(days_of_month=(Range(-31, -1),)), ["2026-06-01T00:00", "2026-02-01T00:00"], []),
        # a range that begins after the end of a month holds nothing of it
        (Span(days_of_month=(Range(30, 31),)), ["2026-04-30T12:00"], ["2026-02-28T12:00", "2026-03-01T12:00"]),
        # months 1:3, may:august, december; years
        (
            Span(months=(Range(1, 3), Range(5, 8), Range(12, 12)), years=(Range(2020, 2022), Range(2030, 2030))),
            ["2021-03-31T23:59", "2022-05-01T00:00", "2030-12-31T23:59"],
            ["2021-04-01T00:00", "2023-01-01T00:00", "2029-12-31T23:59"],
        ),
        # a location's own day
        (
            Span(times=(TimeRange(540, 1020),), weekdays=(Range(1, 5),), location="Australia/Sydney"),
            ["2026-11-22T22:00", "2026-07-05T23:00"],
            ["2026-11-22T21:59", "2026-11-27T22:00", "2026-07-05T22:59"],
        ),
        # the last day of a month in which the clocks are put forward
        (Span(days_of_month=(Range(-1, -1),), location="Europe/Berlin"), ["2026-03-31T12:00"], ["2026-03-30T12:00"]),
        (Span(), ["2026-01-01T00:00"], []),
    ],
)
def test_documented_examples(span: Span, inside: list[str], outside: list[str]) -> None:
    interval = Interval("documented", (span,))
    assert [text for text in inside if not contains(interval, at(text))] == []
    assert [text for text in outside if contains(interval, at(text))] == []


def test_without_spans_nothing_is_inside() -> None:
    assert not contains(Interval("none", ()), at("2026-01-01T00:00"))
    assert next_change(Interval("none", ()), at("2026-01-01T00:00")) is None


@pytest.mark.parametrize(
    ("spans", "instant", "change"),
    [
        # the hour from two to three is left out: what would begin in it begins never
        ((Span(times=(TimeRange(135, 165),), location="Europe/Berlin"),), "2026-03-29T00:00", "2026-03-30T00:15"),
        # it is repeated: what is in it is there twice
        ((Span(times=(TimeRange(135, 165),), location="Europe/Berlin"),), "2026-10-25T00:45", "2026-10-25T01:15"),
        # what is going on when the clocks change may end there, at a time that is no edge of its
        ((Span(times=(TimeRange(60, 150),), location="Europe/Berlin"),), "2026-03-29T00:30", "2026-03-29T01:00"),
        ((Span(times=(TimeRange(150, 180),), location="Europe/Berlin"),), "2026-10-25T00:45", "2026-10-25T01:00"),
        # set back over midnight, Sunday has begun when it is Saturday again
        ((Span(weekdays=(Range(6, 6),), location="America/St_Johns"),), "2010-11-07T02:30", "2010-11-07T02:31"),
        # two spans that touch are one
        (
            (Span(times=(TimeRange(0, 600),)), Span(times=(TimeRange(600, 1200),))),
            "2026-01-01T01:00",
            "2026-01-01T20:00",
        ),
        # the whole week in two pieces never ends; a leap day is too far away
        ((Span(weekdays=(Range(0, 3),)), Span(weekdays=(Range(4, 6),))), "2026-01-01T01:00", None),
        ((Span(months=(Range(2, 2),), days_of_month=(Range(29, 29),)),), "2026-01-01T00:00", None),
        ((Span(months=(Range(2, 2),), days_of_month=(Range(29, 29),)),), "2027-03-01T00:00", "2028-02-29T00:00"),
    ],
)
def test_next_changes(spans: tuple[Span, ...], instant: str, change: str | None) -> None:
    assert next_change(Interval("x", spans), at(instant)) == (at(change) if change else None)


def test_zones_come_from_the_package_alone() -> None:
    assert {"Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires"} <= zone_names()
    assert zone("Europe/Berlin") is zone("Europe/Berlin")
    assert zone(None) is UTC
    for name in ("Europe/Nowhere", "../zones", "/etc/localtime", "", "europe/berlin", "Europe"):
        with pytest.raises(UnknownZone):
            zone(name)


def test_every_zone_of_the_package_can_be_read() -> None:
    assert all(zone(name).utcoffset(at("2026-07-01T00:00").replace(tzinfo=None)) is not None for name in zone_names())
