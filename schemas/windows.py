"""The section `maintenance_windows` of a configuration file: what is worked on, when, how it recurs.

Times are RFC 3339, or what a clock in `location` shows. Read next: `recurrences`, for the rules that are allowed.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, field_validator, model_validator

from domain.windows import Window, active_at, begins_at_start
from domain.zones import instants, zone
from schemas.config_types import ONE_LINE_PATTERN, Delay, Matchers, Part, Said, ServiceRef, TeamRef, wrong
from schemas.durations import LONGEST, format_duration
from schemas.matchers import format_matcher
from schemas.ranges import Location, written
from schemas.recurrences import BadRecurrence, parse_recurrence

FIRST_YEAR, LAST_YEAR = 2000, 2199
LONGEST_RECURRING = 31 * 86_400.0
"""Seconds: bounds how many occurrences may be going on at once."""

_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(Z|z|[+-][0-9]{2}:[0-9]{2})?")
_EXAMPLE = "Write e.g. 2026-12-01T02:00:00Z, or 2026-12-01T02:00 and a `location`"


def _moment(value: object, info: ValidationInfo) -> datetime:
    """The instant (UTC) of a text, whose time is that of the part's `location` when it has no offset."""
    text = written(value)
    found = _MOMENT.fullmatch(text or "")
    if text is None or found is None:
        wrong(f"`{text}` is not a time" if text else "A time is wanted here", _EXAMPLE)
    try:
        clock = datetime.fromisoformat(f"{found[1]}T{found[2]}{(found[3] or '').upper()}")
    except ValueError:
        wrong(f"`{text}` is not a time: there is no such day, hour or offset", _EXAMPLE)
    if not FIRST_YEAR <= clock.year <= LAST_YEAR:
        wrong(f"`{text}` is in the year {clock.year}", f"Write a year from {FIRST_YEAR} to {LAST_YEAR}")
    if clock.tzinfo is not None:
        return clock.astimezone(UTC)
    location = info.data.get("location")
    if location is None and "location" in info.data:
        wrong(f"`{text}` has no offset, and the window has no `location`", "Append Z for UTC, or add `location:`")
    first, second = instants(clock, zone(location))
    if first > second:
        wrong(f"Clocks in {location} never show {text}: they pass over it", "Write a time before or after that hour")
    if first < second:
        offsets = " or ".join(at.astimezone(zone(location)).isoformat()[-6:] for at in (first, second))
        wrong(f"Clocks in {location} show {text} twice", f"Append the offset that is meant: {offsets}")
    return first


_MOMENT_SCHEMA = WithJsonSchema({"type": "string", "examples": ["2026-12-01T02:00:00Z", "2026-12-01T02:00"]})
Moment = Annotated[datetime, PlainValidator(_moment), _MOMENT_SCHEMA]
Environment = Annotated[str, Field(min_length=1, max_length=200, pattern=ONE_LINE_PATTERN)]


def _names(description: str) -> Any:
    return Field(default_factory=list, max_length=1000, description=description)


class WindowPart(Part):
    """A maintenance window; of services, teams, environments and matchers, all that are there have to fit."""

    services: list[ServiceRef] = _names("the services that are worked on")
    teams: list[TeamRef] = _names("the teams whose services are worked on")
    environments: list[Environment] = _names("where work is done, e.g. production")
    matchers: list[Matchers] = _names("all have to match; Alertmanager's syntax")
    location: Location | None = Field(
        None, description="the time zone of times without an offset, and of the rule; absent: UTC"
    )
    start: Moment = Field(description="when it begins, the first time")
    duration: Delay | None = Field(None, description="how long it lasts; either this or `end`")
    end: Moment | None = Field(None, description="when it ends, the first time; either this or `duration`")
    rrule: str | None = Field(
        None, description="how it recurs: an RRULE of RFC 5545, on the clocks of `location`, e.g. FREQ=WEEKLY;BYDAY=SU"
    )
    author: Said = Field("", description="who planned it")
    comment: Annotated[str, Field(max_length=1000, pattern=ONE_LINE_PATTERN)] = Field("", description="why")

    @field_validator("end")
    @classmethod
    def _after_start(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("start")
        if end is None or start is None:
            return end
        if end <= start:
            wrong("It ends before it begins", "Write an `end` after `start`")
        if (end - start).total_seconds() * 1000 > LONGEST:
            wrong("It lasts longer than a year", "Write an earlier `end`")
        return end

    @field_validator("rrule")
    @classmethod
    def _usable(cls, rrule: str | None, info: ValidationInfo) -> str | None:
        if rrule is None:
            return None
        try:
            rule = parse_recurrence(rrule)
        except BadRecurrence as error:
            wrong(error.problem, error.remedy)
        start, location = info.data.get("start"), info.data.get("location")
        if start is not None and "location" in info.data:
            _fits(Window("", start, 1.0, rrule=rule, location=location))
        return rule

    @model_validator(mode="after")
    def _whole(self) -> "WindowPart":
        if (self.duration is None) == (self.end is None):
            wrong("A window has either a `duration` or an `end`", "Write one of them, e.g. duration: 2h")
        if self.rrule is not None and _seconds(self) > LONGEST_RECURRING:
            wrong("A window that recurs lasts 31 days at most", "Shorten it, or remove `rrule`")
        if not (self.services or self.teams or self.environments or self.matchers):
            wrong(
                "The window does not say what it is about",
                "Add services, teams, environments or matchers; ['alertname=~\".+\"'] is every alert",
            )
        return self


def _fits(window: Window) -> None:
    """Refuse a rule that does not begin when its window does, or ends before that."""
    if not begins_at_start(window):
        wrong(
            "The rule does not recur at the window's start",
            "Let `start` be the first time that the rule means, on the clocks of `location`, or correct the rule",
        )
    if active_at(window, window.start) is None:
        wrong("The rule's UNTIL is before the window's start", "Write a later UNTIL")


def _seconds(part: WindowPart) -> float:
    return part.duration or ((part.end or part.start) - part.start).total_seconds()


def window_of(name: str, part: WindowPart) -> Window:
    """The domain's object of an entry of the section."""
    return Window(
        id=name,
        start=part.start,
        duration=_seconds(part),
        matchers=tuple(matcher for matchers in part.matchers for matcher in matchers),
        services=tuple(part.services),
        teams=tuple(part.teams),
        environments=tuple(part.environments),
        rrule=part.rrule,
        location=part.location,
        author=part.author,
        comment=part.comment,
    )


def written_window(window: Window) -> dict[str, Any]:
    """What stands in the section under the window's name. Raises ValueError for a duration of parts of milliseconds."""
    said = {
        "services": list(window.services),
        "teams": list(window.teams),
        "environments": list(window.environments),
        "matchers": list(map(format_matcher, window.matchers)),
        "location": window.location,
        "start": window.start.astimezone(zone(window.location)).isoformat().replace("+00:00", "Z"),
        "duration": format_duration(window.duration),
        "rrule": window.rrule,
        "author": window.author,
        "comment": window.comment,
    }
    return {name: value for name, value in said.items() if value}
