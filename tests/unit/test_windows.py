"""Maintenance windows against the examples of RFC 5545 and a second implementation that tries every day.

`tests/unit/test_windows_config.py` has how they are read.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.matching import Matcher, MatchOperator
from domain.windows import Occurrence, Window, active_at, begins_at_start, next_boundary, next_start
from domain.zones import zone

HOUR = timedelta(hours=1)
WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, location: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone(location)).astimezone(UTC)


def starts(window: Window, most: int) -> list[datetime]:
    """The first starts, one after the other."""
    found = [window.start]
    while len(found) < most and (following := next_start(window, found[-1])) is not None:
        found.append(following)
    return found


NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("start", "rule", "expected"),
    [
        ("1997-09-02", "FREQ=DAILY;UNTIL=19970905T130000Z", "1997-09-02 1997-09-03 1997-09-04 1997-09-05"),
        ("1997-09-02", "FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02 1997-09-12 1997-09-22 1997-10-02 1997-10-12"),
        ("1997-09-02", "FREQ=WEEKLY;COUNT=3", "1997-09-02 1997-09-09 1997-09-16"),
        (
            "1997-09-02",
            "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
            "1997-09-02 1997-09-04 1997-09-16 1997-09-18 1997-09-30 1997-10-02 1997-10-14 1997-10-16",
        ),
        ("1997-09-05", "FREQ=MONTHLY;COUNT=4;BYDAY=1FR", "1997-09-05 1997-10-03 1997-11-07 1997-12-05"),
        (
            "1997-09-07",
            "FREQ=MONTHLY;INTERVAL=2;COUNT=6;BYDAY=1SU,-1SU",
            "1997-09-07 1997-09-28 1997-11-02 1997-11-30 1998-01-04 1998-01-25",
        ),
        ("1997-09-22", "FREQ=MONTHLY;COUNT=3;BYDAY=-2MO", "1997-09-22 1997-10-20 1997-11-17"),
        (
            "1997-09-28",
            "FREQ=MONTHLY;BYMONTHDAY=-3",
            "1997-09-28 1997-10-29 1997-11-28 1997-12-29 1998-01-29 1998-02-26",
        ),
        ("1997-06-10", "FREQ=YEARLY;COUNT=4;BYMONTH=6,7", "1997-06-10 1997-07-10 1998-06-10 1998-07-10"),
        (
            "1997-01-01",
            "FREQ=YEARLY;INTERVAL=3;COUNT=5;BYYEARDAY=1,100,200",
            "1997-01-01 1997-04-10 1997-07-19 2000-01-01 2000-04-09",
        ),
        ("1997-05-19", "FREQ=YEARLY;BYDAY=20MO", "1997-05-19 1998-05-18 1999-05-17"),
        ("1997-05-12", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-05-12 1998-05-11 1999-05-17"),
        ("1998-02-13", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1998-02-13 1998-03-13 1998-11-13 1999-08-13 2000-10-13"),
        (
            "1996-11-05",
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
            "1996-11-05 2000-11-07 2004-11-02",
        ),
        ("1997-09-04", "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04 1997-10-07 1997-11-06"),
        ("1997-09-29", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "1997-09-29 1997-10-30 1997-11-27 1997-12-30"),
        # what the first day of the week changes
        (
            "1997-08-05",
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
            "1997-08-05 1997-08-10 1997-08-19 1997-08-24",
        ),
        (
            "1997-08-05",
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
            "1997-08-05 1997-08-17 1997-08-19 1997-08-31",
        ),
        # days that do not exist are passed over
        (
            "2007-01-15",
            "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
            "2007-01-15 2007-01-30 2007-02-15 2007-03-15 2007-03-30",
        ),
        ("2026-01-31", "FREQ=MONTHLY", "2026-01-31 2026-03-31 2026-05-31 2026-07-31"),
        ("2024-02-29", "FREQ=YEARLY", "2024-02-29 2028-02-29 2032-02-29"),
    ],
)
def test_examples_of_rfc_5545(start: str, rule: str, expected: str) -> None:
    """At 09:00 in New York, as there, in summer and winter."""
    window = Window("w", local(f"{start}T09:00", NEW_YORK), 3600.0, rrule=rule, location=NEW_YORK)
    days = expected.split()
    found = starts(window, len(days) + ("COUNT" in rule and len(days) > 5))
    assert found == [local(f"{day}T09:00", NEW_YORK) for day in days]
    assert begins_at_start(window)
    if "COUNT" in rule and rule.split("COUNT=")[1].split(";")[0] == str(len(days)):
        assert next_start(window, found[-1]) is None


@pytest.mark.parametrize(
    ("location", "start", "rule", "expected"),
    [
        # two o'clock stays two o'clock in winter and summer
        ("Europe/Berlin", "2026-03-28T03:30", "FREQ=DAILY", "2026-03-28T02:30 2026-03-29T01:30 2026-03-30T01:30"),
        # half past two is left out that night: it begins when the clocks have changed
        ("Europe/Berlin", "2026-03-28T02:30", "FREQ=DAILY", "2026-03-28T01:30 2026-03-29T01:00 2026-03-30T00:30"),
        # and is there twice that night: it begins once, the first time
        ("Europe/Berlin", "2026-10-24T02:30", "FREQ=DAILY", "2026-10-24T00:30 2026-10-25T00:30 2026-10-26T01:30"),
        # an UNTIL between the two
        (
            "Europe/Berlin",
            "2026-10-24T02:30",
            "FREQ=DAILY;UNTIL=20261025T011500Z",
            "2026-10-24T00:30 2026-10-25T00:30",
        ),
        (None, "2026-03-28T02:30", "FREQ=DAILY;BYHOUR=2,14", "2026-03-28T02:30 2026-03-28T14:30 2026-03-29T02:30"),
        # a day that was left out altogether
        ("Pacific/Apia", "2011-12-29T12:00", "FREQ=DAILY", "2011-12-29T22:00 2011-12-30T10:00 2011-12-30T22:00"),
    ],
)
def test_clocks_that_change(location: str | None, start: str, rule: str, expected: str) -> None:
    begins = datetime.fromisoformat(start).replace(tzinfo=zone(location)).astimezone(UTC)
    window = Window("w", begins, 7200.0, rrule=rule, location=location)
    wanted = [utc(text) for text in expected.split()]
    assert starts(window, len(wanted) + ("UNTIL" in rule)) == wanted


def test_a_window_that_is_open_once() -> None:
    begins = datetime.fromisoformat("2026-12-01T02:00:00+01:00")
    window = Window("w", begins, 5400.0, services=("payments",))
    opened, closed = utc("2026-12-01T01:00"), utc("2026-12-01T02:30")
    moment = timedelta(microseconds=1)
    assert active_at(window, opened - moment) is None
    assert active_at(window, opened) == active_at(window, closed - moment) == Occurrence(opened, closed)
    assert active_at(window, closed) is None
    assert next_start(window, opened - moment) == next_boundary(window, opened - moment) == opened
    assert next_start(window, opened) is None
    assert next_boundary(window, opened) == closed
    assert next_boundary(window, closed) is None
    assert begins_at_start(window)


def test_of_occurrences_that_overlap_the_last_one_counts_and_each_end_is_a_boundary() -> None:
    window = Window("w", utc("2026-12-01T00:00"), 36 * 3600.0, rrule="FREQ=DAILY;COUNT=2")
    assert active_at(window, utc("2026-12-02T06:00")) == Occurrence(utc("2026-12-02T00:00"), utc("2026-12-03T12:00"))
    assert next_boundary(window, utc("2026-12-02T00:00")) == utc("2026-12-02T12:00")
    assert next_boundary(window, utc("2026-12-02T12:00")) == utc("2026-12-03T12:00")
    assert active_at(window, utc("2026-12-03T12:00")) is None


@pytest.mark.parametrize(
    ("rule", "location"),
    [
        ("FREQ=DAILY;BYDAY=MO", None),  # the start is a Tuesday
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", None),  # a rule that never comes true
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", None),
        ("FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1", None),
        ("FREQ=WEEKLY;BYDAY=TU;BYHOUR=3", None),  # it is two o'clock
        ("FREQ=DAILY;BYHOUR=2", "Europe/Berlin"),  # and three there
    ],
)
def test_a_rule_that_does_not_begin_at_the_start_is_noticed_quickly(rule: str, location: str | None) -> None:
    assert not begins_at_start(Window("w", utc("2026-12-01T02:00"), 60.0, rrule=rule, location=location))


def test_the_second_time_of_a_repeated_hour_is_not_where_a_rule_begins() -> None:
    window = Window("w", utc("2026-10-25T01:30"), 60.0, rrule="FREQ=DAILY", location="Europe/Berlin")
    assert not begins_at_start(window)


def test_whom_it_is_about() -> None:
    begins = utc("2026-12-01T00:00")
    facts = {"@service": "payments", "@team": "platform", "@environment": "production", "disk": "sda"}
    disk = Matcher("disk", MatchOperator.MATCHES, "sd.")
    assert Window("w", begins, 60.0, services=("search", "payments")).covers(facts)
    assert Window("w", begins, 60.0, (disk,), ("payments",), ("platform",), ("production",)).covers(facts)
    assert not Window("w", begins, 60.0, (disk,), ("search",)).covers(facts)
    assert not Window("w", begins, 60.0, teams=("search",)).covers(facts)
    assert not Window("w", begins, 60.0, environments=("test",)).covers(facts)
    assert not Window("w", begins, 60.0, (disk,), services=("payments",)).covers({**facts, "disk": "nvme"})
    assert not Window("w", begins, 60.0, services=("payments",)).covers({})
    assert Window("w", begins, 60.0, (disk,), teams=("platform",)).reads == {"disk", "@team"}


# The second implementation: tries every day, and looks for the first quarter of an hour at which clocks show a time.


def plain_starts(window: Window, parts: dict[str, str], until: datetime) -> list[datetime]:
    clocks = zone(window.location)
    first = window.start.astimezone(clocks).replace(tzinfo=None)
    hours = sorted(map(int, parts.get("BYHOUR", str(first.hour)).split(",")))
    found: list[datetime] = []
    day = first.date()
    while day <= until.date() + timedelta(days=1):
        for hour in hours if plainly_on(day, parts, first.date()) else ():
            wall = datetime.combine(day, time(hour, first.minute))
            if wall >= first and len(found) < int(parts.get("COUNT", "1000000")):
                found.append(plain_instant(wall, window.location))
        day += timedelta(days=1)
    end = parts.get("UNTIL")
    return [at for at in found if end is None or at.strftime("%Y%m%dT%H%M%SZ") <= end]


def plain_instant(wall: datetime, location: str | None) -> datetime:
    """The first quarter of an hour at which clocks show `wall` or later."""
    at = wall.replace(tzinfo=UTC) - 15 * HOUR
    while at.astimezone(zone(location)).replace(tzinfo=None) < wall - HOUR * 3:
        at += HOUR
    while at.astimezone(zone(location)).replace(tzinfo=None) < wall:
        at += HOUR / 4
    return at


def plainly_on(day: date, parts: dict[str, str], first: date) -> bool:
    months = (day.year - first.year) * 12 + day.month - first.month
    monday, began = (d - timedelta(days=d.weekday()) for d in (day, first))
    periods = {
        "DAILY": (day - first).days,
        "WEEKLY": (monday - began).days // 7,
        "MONTHLY": months,
        "YEARLY": day.year - first.year,
    }[parts["FREQ"]]
    if periods % int(parts.get("INTERVAL", "1")):
        return False
    if "BYMONTH" in parts and str(day.month) not in parts["BYMONTH"].split(","):
        return False
    if "BYMONTHDAY" in parts:
        from_end = day.day - ((day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day - 1
        if not {str(day.day), str(from_end)} & set(parts["BYMONTHDAY"].split(",")):
            return False
    if "BYDAY" in parts and not set(plain_names(day)) & set(parts["BYDAY"].split(",")):
        return False
    if parts.keys() & {"BYDAY", "BYMONTHDAY"} or parts["FREQ"] == "DAILY":
        return True
    if parts["FREQ"] == "WEEKLY":
        return day.weekday() == first.weekday()
    return day.day == first.day and (parts["FREQ"] == "MONTHLY" or "BYMONTH" in parts or day.month == first.month)


def plain_names(day: date) -> Iterator[str]:
    """What BYDAY may call a day: MO, and its number in the month, from both ends."""
    name = WEEKDAYS[day.weekday()]
    length = ((day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
    yield from (name, f"{(day.day + 6) // 7}{name}", f"-{(length - day.day) // 7 + 1}{name}")


def numbers(low: int, high: int, most: int = 3) -> st.SearchStrategy[str]:
    several = st.lists(st.integers(low, high).filter(bool), min_size=1, max_size=most, unique=True)
    return several.map(lambda found: ",".join(map(str, found)))


@st.composite
def rules(draw: st.DrawFn) -> dict[str, str]:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = {"FREQ": frequency}
    days = st.sampled_from(WEEKDAYS)
    if frequency == "MONTHLY":
        days = days | st.tuples(st.sampled_from(["1", "2", "-1"]), days).map("".join)
    optional = {
        "INTERVAL": st.integers(1, 5).map(str),
        "BYMONTH": numbers(1, 12, 6),
        "BYDAY": st.lists(days, min_size=1, max_size=3, unique=True).map(",".join),
        "BYHOUR": numbers(1, 23),
        "COUNT": st.integers(1, 30).map(str),
    }
    if frequency != "WEEKLY":
        optional["BYMONTHDAY"] = numbers(1, 31, 6) | numbers(-31, -1, 6)
    for name in draw(st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True)):
        parts[name] = draw(optional[name])
    return parts


@st.composite
def recurring(draw: st.DrawFn) -> tuple[Window, list[datetime]]:
    """A window that begins when its rule does, and when it opens in two and a half years."""
    parts = draw(rules())
    location = draw(st.sampled_from(["Europe/Berlin", NEW_YORK, "Australia/Lord_Howe", None]))
    clock = time(draw(st.integers(0, 23)), draw(st.sampled_from([0, 30])))
    if "BYHOUR" in parts:
        clock = clock.replace(hour=min(map(int, parts["BYHOUR"].split(","))))
    day = date(2024, 1, 1) + timedelta(days=draw(st.integers(0, 400)))
    while not plainly_on(day, parts, day):
        day += timedelta(days=1)
        assume(day.year < 2027)
    start = plain_instant(datetime.combine(day, clock), location)
    assume(start.astimezone(zone(location)).time() == clock)
    duration = draw(st.sampled_from([900.0, 7200.0, 90_000.0, 1_000_000.0]))
    if "COUNT" not in parts and draw(st.booleans()):
        parts["UNTIL"] = (start + timedelta(days=draw(st.integers(1, 600)))).strftime("%Y%m%dT%H%M%SZ")
    rule = ";".join(f"{name}={value}" for name, value in parts.items())
    window = Window("w", start, duration, rrule=rule, location=location)
    return window, plain_starts(window, parts, start + timedelta(days=900))


@settings(max_examples=60, deadline=None)
@given(recurring(), st.data())
def test_occurrences_are_those_that_trying_every_day_finds(
    drawn: tuple[Window, list[datetime]], data: st.DataObject
) -> None:
    window, found = drawn
    length = timedelta(seconds=window.duration)
    assert begins_at_start(window)
    for _ in range(6):
        near = data.draw(st.sampled_from([window.start + timedelta(days=500), *found]))
        at = near + data.draw(
            st.sampled_from([timedelta(0), -timedelta(seconds=1), length, timedelta(hours=5), -3 * HOUR])
        )
        if at > window.start + timedelta(days=450):
            continue
        running = [start for start in found if start <= at < start + length]
        assert active_at(window, at) == (Occurrence(running[-1], running[-1] + length) if running else None)
        later = [start for start in found if start > at]
        if later:
            assert next_start(window, at) == later[0]
        else:
            assert (next_start(window, at) or utc("2100-01-01T00:00")) > window.start + timedelta(days=900)
        boundaries = [edge for start in found for edge in (start, start + length) if edge > at]
        if boundaries:
            assert next_boundary(window, at) == min(boundaries)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU", "FREQ=MONTHLY;BYDAY=1MO,-1MO;INTERVAL=5",
        "FREQ=YEARLY;BYMONTH=1,12;BYMONTHDAY=1,31", "FREQ=YEARLY;INTERVAL=2;BYDAY=MO",
    ],
)  # fmt: skip
def test_an_old_window_counts_as_from_its_start(rule: str) -> None:
    start = local("2001-01-01T01:00", NEW_YORK)
    window = Window("w", start, 3600.0, rrule=rule, location=NEW_YORK)
    parts = dict(part.split("=") for part in rule.split(";"))
    found = [at for at in plain_starts(window, parts, utc("2027-06-01T00:00")) if at > utc("2026-01-01T00:00")]
    at: datetime | None = utc("2026-01-01T00:00")
    for expected in found[:40]:
        assert at and (at := next_start(window, at)) == expected
