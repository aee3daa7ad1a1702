"""The section `time_intervals` of a configuration file: Alertmanager's format, under the interval's name.

Read next: `ranges`, for what stands in its fields.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, model_validator

from domain.intervals import Interval, Span, TimeRange
from schemas.config_types import Part, wrong
from schemas.ranges import (
    Clock,
    DaysOfMonth,
    Location,
    Months,
    Weekdays,
    Years,
    clock_text,
    months_text,
    numbers_text,
    weekdays_text,
)


class TimesPart(Part):
    """A part of the day; the end is exclusive."""

    start_time: Clock
    end_time: Clock = Field(description="up to 24:00")

    @model_validator(mode="after")
    def _in_order(self) -> "TimesPart":
        start, end = clock_text(self.start_time), clock_text(self.end_time)
        if start == end:
            wrong(f"It begins and ends at {start}", "Write a later end_time; the whole day is 00:00 to 24:00")
        if start > end:
            rest = f" and one from 00:00 to {end}" if self.end_time else ""
            wrong(f"It ends at {end}, before it begins", f"Write one entry from {start} to 24:00{rest}")
        return self


def _some(description: str) -> Any:
    return Field(default_factory=list, min_length=1, max_length=100, description=description)


class SpanPart(Part):
    """What an interval contains: every field that is there has to fit, by one of its entries."""

    times: list[TimesPart] = _some("parts of the day")
    weekdays: list[Weekdays] = _some("names, or ranges of them; weeks begin on sunday")
    days_of_month: list[DaysOfMonth] = _some("1 to 31, or -1 to -31 from the end, or ranges of them")
    months: list[Months] = _some("names or numbers, or ranges of them")
    years: list[Years] = _some("numbers, or ranges of them")
    location: Location | None = Field(None, description="the time zone of the clocks that are meant; absent: UTC")


IntervalPart = Annotated[list[SpanPart], Field(min_length=1, max_length=100)]
"""The spans of a time interval, any of which may contain the instant."""


def interval_of(name: str, spans: Iterable[SpanPart]) -> Interval:
    """The domain's object of an entry of the section."""
    return Interval(name, tuple(map(_span, spans)))


def written_interval(interval: Interval) -> list[dict[str, Any]]:
    """What stands in the section under the interval's name."""
    return [_written_span(span) for span in interval.spans]


def _span(part: SpanPart) -> Span:
    return Span(
        tuple(TimeRange(times.start_time, times.end_time) for times in part.times),
        tuple(part.weekdays),
        tuple(part.days_of_month),
        tuple(part.months),
        tuple(part.years),
        part.location,
    )


def _written_span(span: Span) -> dict[str, Any]:
    times = [{"start_time": clock_text(t.start), "end_time": clock_text(t.end)} for t in span.times]
    said = {
        "times": times,
        "weekdays": list(map(weekdays_text, span.weekdays)),
        "days_of_month": list(map(numbers_text, span.days_of_month)),
        "months": list(map(months_text, span.months)),
        "years": list(map(numbers_text, span.years)),
        "location": span.location,
    }
    return {name: value for name, value in said.items() if value}
