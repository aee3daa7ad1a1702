"""The words of time intervals as configuration files have them: times of day, ranges of days, months, years, zones.

What go-yaml reads as text and YAML 1.1 as something else (`1:5`, `17:00`, `2026`) is taken as it is written, so that
what stands in an existing alertmanager.yml means the same here. Source of the rules: Alertmanager's configuration
documentation, <time_interval>, and its package timeinterval.
"""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from domain.intervals import Range
from domain.zones import zone_names
from schemas.config_types import KnownNames, nearest, wrong

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
LAST_YEAR = 9999
SHORTEST_MONTH, LONGEST_MONTH = 28, 31

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,4}", re.ASCII)


def written(value: object) -> str | None:
    """A scalar as it stands in the file, whatever YAML makes of it; None for what is none."""
    if isinstance(value, str | int):
        return str(value)
    text = getattr(value, "text", None)
    return text if isinstance(text, str) else None


def _clock(value: object) -> int:
    text = written(value)
    if text is None or not _CLOCK.fullmatch(text):
        wrong(f"`{text}` is not a time of day" if text else "A time of day is wanted", "Write HH:MM, 00:00 to 24:00")
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _range(value: object, member: Callable[[str], int], example: str) -> Range:
    """The range in a text such as `first:last` or `one`, in any case."""
    text = written(value)
    pieces = (text or "").lower().split(":")
    if text is None or len(pieces) > 2:
        wrong(f"`{text}` is not a range" if text else "A range is wanted here", f"Write {example}")
    return Range(member(pieces[0]), member(pieces[-1]))


def _number(text: str, remedy: str) -> int:
    if not _NUMBER.fullmatch(text):
        wrong(f"`{text}` is not a number", remedy)
    return int(text)


def _named(text: str, names: tuple[str, ...], what: str, remedy: str) -> int:
    if text not in names:
        meant = next((name for name in names if len(text) > 2 and name.startswith(text[:3])), None)
        wrong(f"`{text}` is not a {what}", f"Did you mean `{meant}`?" if meant else remedy)
    return names.index(text)


def _weekdays(value: object) -> Range:
    remedy = "Write sunday to saturday, e.g. monday:friday"
    days = _range(value, lambda text: _named(text, WEEKDAYS, "weekday", remedy), "monday:friday")
    if days.first > days.last:
        early, late = weekdays_text(Range(0, days.last)), weekdays_text(Range(days.first, 6))
        wrong(
            f"`{weekdays_text(days)}` ends before it begins: weeks begin on sunday",
            f"Write two ranges: {late} and {early}",
        )
    return days


def _day(text: str) -> int:
    remedy = "Write 1 to 31, or -1 to -31 from the end of the month"
    day = _number(text, remedy)
    if not 1 <= abs(day) <= 31:
        wrong(f"`{text}` is not a day of a month", remedy)
    return day


def _days_of_month(value: object) -> Range:
    """Days in the order that the shortest month has them, as Alertmanager requires."""
    days = _range(value, _day, "1:7, or -3:-1 for the last three days")
    text = numbers_text(days)
    if days.first < 0 < days.last:
        late, early = numbers_text(Range(days.first, -1)), numbers_text(Range(1, days.last))
        wrong(f"`{text}` passes the end of the month", f"Write two ranges: {late} and {early}")
    first, last = (SHORTEST_MONTH + day if day < 0 else day for day in (days.first, days.last))
    if first > last and days.last > 0:
        late, early = numbers_text(Range(days.first, 31)), numbers_text(Range(1, days.last))
        wrong(f"`{text}` ends before it begins", f"Write two ranges: {late} and {early}")
    if first > last:
        better = _in_every_month(days)
        wrong(f"`{text}` ends before it begins in a short month", f"Write e.g. {numbers_text(better)}")
    return days


def _in_every_month(days: Range) -> Range:
    """What was probably meant by days up to one before the month's end that a short month has in no such order."""
    if days.first < 0:
        return Range(days.last, days.first)
    if days.first < SHORTEST_MONTH:
        return Range(days.first, -1)
    return Range(min(days.first - LONGEST_MONTH - 1, days.last), days.last)


def _month(text: str) -> int:
    remedy = "Write january to december, or 1 to 12"
    if not _NUMBER.fullmatch(text):
        return _named(text, MONTHS, "month", remedy) + 1
    if not 1 <= int(text) <= 12:
        wrong(f"`{text}` is not a month", remedy)
    return int(text)


def _months(value: object) -> Range:
    months = _range(value, _month, "january:march, or 1:3")
    if months.first > months.last:
        late, early = months_text(Range(months.first, 12)), months_text(Range(1, months.last))
        wrong(f"`{months_text(months)}` ends before it begins", f"Write two ranges: {late} and {early}")
    return months


def _year(text: str) -> int:
    remedy = f"Write 1 to {LAST_YEAR}, e.g. 2026:2028"
    year = _number(text, remedy)
    if not 1 <= year <= LAST_YEAR:
        wrong(f"`{text}` is not a year", remedy)
    return year


def _years(value: object) -> Range:
    years = _range(value, _year, "2026:2028")
    if years.first > years.last:
        wrong(f"`{numbers_text(years)}` ends before it begins", f"Write {years.last}:{years.first}")
    return years


def _location(value: object, info: ValidationInfo) -> str:
    text = written(value)
    if text is None:
        wrong("The name of a time zone is wanted here", "Write e.g. Europe/Berlin, or UTC")
    if text == "Local":
        wrong("`Local` would be whatever zone a machine happens to have", "Write the zone's name, e.g. Europe/Berlin")
    if text not in zone_names():
        close = _zone_meant(text, info)
        remedy = f"Did you mean `{close}`?" if close else "Write a name of the IANA database, e.g. Europe/Berlin"
        wrong(f"There is no time zone `{text}`", remedy)
    return text


def _zone_meant(text: str, info: ValidationInfo) -> str | None:
    """The zone that was probably meant; looking is slow, so only as often as the validation allows."""
    known = info.context
    if isinstance(known, KnownNames):
        if not known.suggestions:
            return None
        known.suggestions -= 1
    wanted = text.lower().replace(" ", "_")
    cities = (name for name in sorted(zone_names()) if wanted in (name.lower(), name.lower().rpartition("/")[2]))
    return next(cities, None) or nearest(text[:80], zone_names())


def _range_schema(*examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "integer"], "examples": list(examples)})


Clock = Annotated[int, PlainValidator(_clock), WithJsonSchema({"type": "string", "pattern": f"^({_CLOCK.pattern})$"})]
Weekdays = Annotated[Range, PlainValidator(_weekdays), _range_schema("monday:friday", "sunday")]
DaysOfMonth = Annotated[Range, PlainValidator(_days_of_month), _range_schema("1:7", "-1")]
Months = Annotated[Range, PlainValidator(_months), _range_schema("january:march", "12")]
Years = Annotated[Range, PlainValidator(_years), _range_schema("2026:2028", "2026")]
Location = Annotated[
    str, PlainValidator(_location), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", "UTC"]})
]


def clock_text(minutes: int) -> str:
    """Minutes since midnight as `Clock` reads them."""
    hours, rest = divmod(minutes, 60)
    return f"{hours:02}:{rest:02}"


def numbers_text(numbers: Range) -> str:
    """A range of days of the month or of years."""
    return str(numbers.first) if numbers.first == numbers.last else f"{numbers.first}:{numbers.last}"


def weekdays_text(days: Range) -> str:
    """A range of weekdays, 0 being Sunday."""
    return _names_text(WEEKDAYS[days.first], WEEKDAYS[days.last])


def months_text(months: Range) -> str:
    """A range of months, by their names."""
    return _names_text(MONTHS[months.first - 1], MONTHS[months.last - 1])


def _names_text(first: str, last: str) -> str:
    return first if first == last else f"{first}:{last}"
