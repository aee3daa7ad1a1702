"""How maintenance windows are read from configuration files, refused with a sentence, and written back."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from domain.matching import Matcher, MatchOperator
from domain.windows import Window, begins_at_start
from schemas.config_errors import ConfigError
from schemas.config_sentences import explain
from schemas.config_types import Name, Part
from schemas.config_yaml import read_yaml
from schemas.recurrences import BadRecurrence, parse_recurrence
from schemas.windows import WindowPart, window_of, written_window


class Sections(Part):
    """The one section."""

    maintenance_windows: Annotated[dict[Name, WindowPart], Field(default_factory=dict)]


GOOD = {
    "services": "[payments]",
    "location": "Europe/Berlin",
    "start": "2026-12-01T02:00",
    "duration": "2h",
    "rrule": "FREQ=MONTHLY;BYDAY=1TU",
}


def document(**changes: str | None) -> str:
    """A good window with some lines changed or removed."""
    lines = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return "maintenance_windows:\n  upgrade:\n" + "".join(f"    {name}: {value}\n" for name, value in lines.items())


def read(text: str) -> Window:
    root, errors = read_yaml(text, "t.yaml")
    assert root is not None
    assert not errors
    (part,) = Sections.model_validate(root.plain()).maintenance_windows.items()
    return window_of(*part)


def refused(text: str) -> ConfigError:
    """The only error of a document."""
    root, errors = read_yaml(text, "t.yaml")
    assert root is not None
    assert not errors
    with pytest.raises(ValidationError) as found:
        Sections.model_validate(root.plain())
    (details,) = found.value.errors()
    return explain(details, root, "t.yaml")


def test_a_window_is_read() -> None:
    begins = datetime(2026, 12, 1, 1, tzinfo=UTC)
    window = Window(
        "upgrade", begins, 7200.0, services=("payments",), rrule="FREQ=MONTHLY;BYDAY=1TU", location="Europe/Berlin"
    )
    assert read(document()) == window
    assert read(document(duration=None, end="2026-12-01T04:00")) == window
    assert read(document(start="2026-12-01 02:00:00+01:00", rrule="freq=monthly;byday=1tu")) == window
    assert read(document(start='"2026-12-01T01:00:00Z"')) == window
    more = read(document(services=None, teams="[platform]", environments="[production]", matchers="['disk=~\"sd.\"']"))
    assert (more.teams, more.environments) == (("platform",), ("production",))
    assert more.matchers == (Matcher("disk", MatchOperator.MATCHES, "sd."),)


@pytest.mark.parametrize(
    ("changes", "path", "problem", "remedy"),
    [
        ({"start": "tomorrow"}, ".start", "`tomorrow` is not a time", "2026-12-01T02:00:00Z"),
        ({"start": "[]"}, ".start", "A time is wanted", "2026-12-01T02:00:00Z"),
        ({"start": "2026-02-30T02:00"}, ".start", "no such day", "2026-12-01"),
        ({"start": "1926-12-01T02:00"}, ".start", "in the year 1926", "2000"),
        ({"start": None}, ".start", "`start` is missing", "Add a line"),
        ({"location": None}, ".start", "has no offset", "add `location:`"),
        ({"start": "2026-03-29T02:30"}, ".start", "never show 2026-03-29T02:30", "before or after"),
        ({"start": "2026-10-25T02:30"}, ".start", "show 2026-10-25T02:30 twice", "+02:00 or +01:00"),
        ({"location": "Europe/Berlim"}, ".location", "no time zone", "`Europe/Berlin`?"),
        ({"duration": None, "end": "2026-12-01T02:00"}, ".end", "ends before it begins", "after `start`"),
        ({"duration": None, "end": "2028-12-01T02:00"}, ".end", "longer than a year", "earlier"),
        ({"duration": "0s"}, ".duration", "at least a second", "1s"),
        ({"duration": None}, "", "either a `duration` or an `end`", "duration: 2h"),
        ({"end": "2026-12-01T04:00"}, "", "either a `duration` or an `end`", "Write one"),
        ({"duration": "32d"}, "", "31 days at most", "Shorten"),
        ({"services": None}, "", "what it is about", "alertname"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=MO"}, ".rrule", "does not recur at the window's start", "first time"),
        ({"rrule": "FREQ=MONTHLY;BYDAY=1TU;UNTIL=20260101T000000Z"}, ".rrule", "before the window's start", "later"),
        ({"rrule": "FREQ=HOURLY"}, ".rrule", "FREQ=HOURLY recurs too often", "BYHOUR=2,14"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(
    changes: dict[str, str | None], path: str, problem: str, remedy: str
) -> None:
    error = refused(document(**changes))
    assert f" maintenance_windows.upgrade{path}: " in str(error)
    assert problem in error.problem
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("rule", "problem", "remedy"),
    [
        ("", "`` is not a part of a rule", "NAME=VALUE"),
        ("RRULE:FREQ=DAILY", "`RRULE:` in front is no part of a rule here", "Remove the prefix `RRULE:`"),
        ("rrule:freq=daily", "`RRULE:` in front is no part of a rule here", "Remove the prefix `RRULE:`"),
        ("FREQ=DAILY;", "`` is not a part", "NAME=VALUE"),
        ("BYDAY=MO", "no FREQ", "FREQ=DAILY"),
        ("FREQ=SECONDLY", "recurs too often", "FREQ=DAILY"),
        ("FREQ=MINUTELY;INTERVAL=600", "recurs too often", "FREQ=DAILY"),
        ("FREQ=FORTNIGHTLY", "is not a frequency", "WEEKLY"),
        ("FREQ=DAILY;FREQ=WEEKLY", "`FREQ` is there twice", "one"),
        ("FREQ=DAILY;BYSECOND=1", "`BYSECOND` is not used", "BYHOUR"),
        ("FREQ=YEARLY;BYEASTER=1", "`BYEASTER` is not used", "BYHOUR"),
        ("FREQ=DAILY;INTERVAL=0", "`INTERVAL=0` is out of range", "from 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=-1", "`INTERVAL=-1` is out of range", "from 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=1,2", "more than one value", "Write one"),
        ("FREQ=DAILY;COUNT=1001", "`COUNT=1001` is out of range", "1000"),
        ("FREQ=DAILY;COUNT=x", "`COUNT=X` is not a number", "1000"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "out of range", "from the end"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "out of range", "1 to 31"),
        ("FREQ=DAILY;BYMONTH=13", "out of range", "1 to 12"),
        ("FREQ=DAILY;BYHOUR=24", "out of range", "0 to 23"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY does not go with FREQ=WEEKLY", "MONTHLY"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO does not go with FREQ=MONTHLY", "YEARLY"),
        ("FREQ=DAILY;BYYEARDAY=1", "BYYEARDAY does not go with FREQ=DAILY", "YEARLY"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=1", "BYSETPOS does not go with FREQ=WEEKLY", "MONTHLY"),
        ("FREQ=MONTHLY;BYSETPOS=1", "nothing to choose from", "BYDAY"),
        ("FREQ=WEEKLY;BYDAY=MONDAY", "`BYDAY=MONDAY` is not a day", "MO, TU"),
        ("FREQ=WEEKLY;BYDAY=1MO", "counts days", "FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYDAY=6MO", "out of range", "1 to 5"),
        ("FREQ=WEEKLY;WKST=XX", "`WKST=XX` is not a day", "WKST=MO"),
        ("FREQ=DAILY;UNTIL=20261231", "`UNTIL=20261231` is not a time in UTC", "UNTIL=20261231T235959Z"),
        ("FREQ=DAILY;UNTIL=20261231T000000", "is not a time in UTC", "UNTIL=20261231T235959Z"),
        ("FREQ=DAILY;UNTIL=20261332T000000Z", "is not a time in UTC", "UNTIL=20261231T235959Z"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20261231T000000Z", "exclude each other", "Remove"),
        ("FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=0,10,20,30,40", "recurs 25 times a day", "at most 24"),
        ("FREQ=DAILY;BYMINUTE=" + ",".join(map(str, range(25))), "recurs 25 times a day", "at most 24"),
        ("FREQ=DAILY;BYHOUR=" + "1," * 300 + "1", "too long", "at most 500"),
    ],
)
def test_rules_that_are_refused(rule: str, problem: str, remedy: str) -> None:
    with pytest.raises(BadRecurrence) as error:
        parse_recurrence(rule)
    assert problem in error.value.problem
    assert remedy in error.value.remedy


windows = st.builds(
    Window,
    id=st.just("drawn"),
    start=st.integers(0, 199 * 365 * 86_400).map(
        lambda seconds: datetime(2000, 1, 2, tzinfo=UTC) + timedelta(0, seconds)
    ),
    duration=st.integers(1000, 31 * 86_400_000).map(lambda milliseconds: milliseconds / 1000),
    matchers=st.lists(
        st.builds(Matcher, st.just("disk"), st.just(MatchOperator.EQUAL), st.text('a"\\ ,{', max_size=4))
    ).map(tuple),
    services=st.just(("payments",)),
    teams=st.lists(st.just("platform"), max_size=1).map(tuple),
    environments=st.lists(st.just("Production EU"), max_size=1).map(tuple),
    location=st.sampled_from([None, "UTC", "Europe/Berlin", "America/New_York"]),
    rrule=st.sampled_from([None, "FREQ=DAILY", "FREQ=WEEKLY;COUNT=3", "FREQ=MONTHLY;INTERVAL=2", "FREQ=YEARLY"]),
    author=st.sampled_from(["", "ada"]),
    comment=st.sampled_from(["", "a new disk: 'sda'"]),
)


@settings(max_examples=60, deadline=None)
@given(windows.filter(begins_at_start))
def test_a_window_written_is_read_back(window: Window) -> None:
    text = yaml.safe_dump({"maintenance_windows": {"drawn": written_window(window)}})
    assert read(text) == window


def test_no_rule_takes_long_to_be_refused() -> None:
    began = datetime.now(UTC)
    for rule in (
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYMONTHDAY=2",
    ):
        assert "does not recur" in refused(document(rrule=rule)).problem
    assert datetime.now(UTC) - began < timedelta(seconds=20)
