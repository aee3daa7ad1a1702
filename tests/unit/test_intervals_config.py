"""How time intervals are read from configuration files, refused with a sentence, and written back."""

import re
from itertools import product
from typing import Annotated

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from domain.intervals import Interval, Range, Span, TimeRange
from schemas.config_errors import ConfigError
from schemas.config_sentences import explain
from schemas.config_types import Name, Part
from schemas.config_yaml import read_yaml
from schemas.intervals import IntervalPart, interval_of, written_interval


class Sections(Part):
    """The one section."""

    time_intervals: Annotated[dict[Name, IntervalPart], Field(default_factory=dict)]


def read(text: str) -> dict[str, Interval]:
    root, errors = read_yaml(text, "t.yaml")
    assert root is not None
    assert not errors
    parts = Sections.model_validate(root.plain())
    return {name: interval_of(name, spans) for name, spans in parts.time_intervals.items()}


def refused(text: str) -> ConfigError:
    """The only error of a document."""
    root, errors = read_yaml(text, "t.yaml")
    assert root is not None
    assert not errors
    with pytest.raises(ValidationError) as found:
        Sections.model_validate(root.plain())
    (details,) = found.value.errors()
    return explain(details, root, "t.yaml")


def test_what_alertmanager_reads_is_read_the_same() -> None:
    """Every documented form, with and without the quotes that go-yaml does not need."""
    text = """
time_intervals:
  out-of-hours:
    - times:
        - {start_time: "00:00", end_time: 09:00}
        - start_time: 17:00
          end_time: 24:00
      weekdays: ["monday:wednesday", Saturday, 'SUNDAY']
      days_of_month: [1:5, "-3:-1", 15, "1:-1"]
      months: ['1:3', 'may:august', December, 4]
      years: ['2020:2022', 2030]
      location: Australia/Sydney
    - {}
"""
    assert read(text)["out-of-hours"].spans == (
        Span(
            times=(TimeRange(0, 540), TimeRange(1020, 1440)),
            weekdays=(Range(1, 3), Range(6, 6), Range(0, 0)),
            days_of_month=(Range(1, 5), Range(-3, -1), Range(15, 15), Range(1, -1)),
            months=(Range(1, 3), Range(5, 8), Range(12, 12), Range(4, 4)),
            years=(Range(2020, 2022), Range(2030, 2030)),
            location="Australia/Sydney",
        ),
        Span(),
    )


@pytest.mark.parametrize(
    ("span", "path", "problem", "remedy"),
    [
        ("times: [{start_time: '25:00', end_time: '24:00'}]", "times[0].start_time", "`25:00` is not a time", "HH:MM"),
        ("times: [{start_time: '9:00', end_time: '24:00'}]", "times[0].start_time", "`9:00` is not a time", "HH:MM"),
        ("times: [{start_time: '09:00', end_time: '24:01'}]", "times[0].end_time", "`24:01` is not a time", "24:00"),
        ("times: [{start_time: [], end_time: '24:00'}]", "times[0].start_time", "A time of day is wanted", "HH:MM"),
        ("times: [{start_time: '09:00'}]", "times[0].end_time", "`end_time` is missing", "Add a line"),
        (
            "times: [{start_time: '22:00', end_time: '06:00'}]",
            "times[0]", "It ends at 06:00, before it begins", "from 22:00 to 24:00 and one from 00:00 to 06:00",
        ),
        ("times: [{start_time: '22:00', end_time: '00:00'}]", "times[0]", "It ends at 00:00", "from 22:00 to 24:00"),
        ("times: [{start_time: '09:00', end_time: '09:00'}]", "times[0]", "begins and ends at 09:00", "00:00 to 24:00"),
        ("times: []", "times", "The list is empty", "at least 1"),
        ("weekdays: [monday:sunday]", "weekdays[0]", "weeks begin on sunday", "monday:saturday and sunday"),
        ("weekdays: [friday:Monday]", "weekdays[0]", "`friday:monday` ends", "friday:saturday and sunday:monday"),
        ("weekdays: [mon]", "weekdays[0]", "`mon` is not a weekday", "Did you mean `monday`?"),
        ("weekdays: [1:3]", "weekdays[0]", "`1` is not a weekday", "monday:friday"),
        ("weekdays: [a:b:c]", "weekdays[0]", "`a:b:c` is not a range", "monday:friday"),
        ("weekdays: [{}]", "weekdays[0]", "A range is wanted", "monday:friday"),
        ("days_of_month: [0]", "days_of_month[0]", "`0` is not a day of a month", "1 to 31"),
        ("days_of_month: ['1:32']", "days_of_month[0]", "`32` is not a day of a month", "-1 to -31"),
        ("days_of_month: ['-32:-1']", "days_of_month[0]", "`-32` is not a day of a month", "-1 to -31"),
        ("days_of_month: [first]", "days_of_month[0]", "`first` is not a number", "1 to 31"),
        ("days_of_month: ['-1:1']", "days_of_month[0]", "`-1:1` passes the end", "Write two ranges: -1 and 1"),
        ("days_of_month: ['-15:5']", "days_of_month[0]", "`-15:5` passes the end", "-15:-1 and 1:5"),
        ("days_of_month: ['20:10']", "days_of_month[0]", "`20:10` ends before", "20:31 and 1:10"),
        ("days_of_month: ['-1:-3']", "days_of_month[0]", "`-1:-3` ends before", "-3:-1"),
        ("days_of_month: ['10:-25']", "days_of_month[0]", "`10:-25` ends before", "10:-1"),
        ("days_of_month: ['31:-1']", "days_of_month[0]", "`31:-1` ends before", "Write e.g. -1"),
        ("days_of_month: ['29:-1']", "days_of_month[0]", "`29:-1` ends before", "Write e.g. -3:-1"),
        ("days_of_month: ['28:-2']", "days_of_month[0]", "`28:-2` ends before", "Write e.g. -4:-2"),
        ("months: [13]", "months[0]", "`13` is not a month", "1 to 12"),
        ("months: [januar]", "months[0]", "`januar` is not a month", "Did you mean `january`?"),
        ("months: ['november:february']", "months[0]", "ends before", "november:december and january:february"),
        ("years: ['2022:2020']", "years[0]", "`2022:2020` ends before", "Write 2020:2022"),
        ("years: [0]", "years[0]", "`0` is not a year", "2026:2028"),
        ("location: Europe/Berlim", "location", "There is no time zone `Europe/Berlim`", "`Europe/Berlin`?"),
        ("location: berlin", "location", "There is no time zone `berlin`", "`Europe/Berlin`?"),
        ("location: Local", "location", "whatever zone a machine", "Europe/Berlin"),
        ("location: []", "location", "name of a time zone is wanted", "UTC"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_remedy(span: str, path: str, problem: str, remedy: str) -> None:
    error = refused(f"time_intervals:\n  odd:\n    - {span}\n")
    assert str(error).startswith(f"t.yaml:3:{error.column}: time_intervals.odd[0].{path}: ")
    assert problem in error.problem
    assert remedy in error.remedy


def days(first: int, last: int) -> str:
    return f"time_intervals: {{odd: [{{days_of_month: ['{first}:{last}']}}]}}"


SUGGESTED = re.compile(r"(-?[0-9]+)(?::(-?[0-9]+))?")


def test_every_range_of_days_that_a_remedy_names_is_taken() -> None:
    named = 0
    for first, last in product((*range(-31, 0), *range(1, 32)), repeat=2):
        try:
            read(days(first, last))
        except ValidationError as found:
            suggested = SUGGESTED.findall(found.errors()[0]["ctx"]["remedy"])
            assert suggested, (first, last)
            named += len(suggested)
            for start, end in suggested:
                read(days(int(start), int(end or start)))
    assert named > 1_000


def test_an_interval_without_spans_is_refused() -> None:
    assert refused("time_intervals:\n  odd: []\n").problem == "The list is empty"


def pairs(low: int, high: int) -> st.SearchStrategy[tuple[Range, ...]]:
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda two: Range(*sorted(two)))
    return st.lists(pair, max_size=3).map(tuple)


edges = st.lists(st.integers(0, 1440), min_size=2, max_size=2, unique=True).map(lambda two: TimeRange(*sorted(two)))
spans = st.builds(
    Span,
    times=st.lists(edges, max_size=3).map(tuple),
    weekdays=pairs(0, 6),
    days_of_month=pairs(1, 31) | pairs(-31, -1) | st.just((Range(5, -5),)),
    months=pairs(1, 12),
    years=pairs(1, 9999),
    location=st.sampled_from([None, "UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(spans, min_size=1, max_size=3))
def test_an_interval_written_is_read_back(found: list[Span]) -> None:
    interval = Interval("drawn", tuple(found))
    text = yaml.safe_dump({"time_intervals": {"drawn": written_interval(interval)}})
    assert read(text) == {"drawn": interval}
