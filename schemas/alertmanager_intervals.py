"""The time intervals of an alertmanager.yml. Our format is the same, but stricter about what never comes to pass.

Alertmanager takes a month 13, a year 0 and an empty list, which no instant is in. Source: Alertmanager's configuration
documentation, <time_interval>, and its package timeinterval. Read next: `intervals`, for ours.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from domain.config import ConfigObject
from domain.intervals import Interval, Range, Span
from schemas.alertmanager_keys import SPAN, TIME_INTERVAL, TIMES, closed
from schemas.config_sentences import explain
from schemas.config_yaml import Node
from schemas.imported import Import, Names, Path
from schemas.intervals import SpanPart, interval_of
from schemas.ranges import LAST_YEAR, MONTHS

MOST = 100
"""Spans that an interval of our files has at most."""

NEVER = Span(years=(Range(1, 1),))
"""Stands where an interval contains no time, which our format has no other words for: the year 1 is over."""

_NUMBER = re.compile("[+-]?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The months or years that there are, and what the first of them are called."""

    least: int
    most: int
    names: tuple[str, ...] = ()

    def cut(self, node: Node) -> tuple[int, int] | None:
        """The part of a range that there is, its end before its beginning for none; None for what is no range."""
        pieces = str(node.value).lower().split(":")
        found = [self._number(piece) for piece in pieces]
        first, last = found[0], found[-1]
        if node.kind != "scalar" or len(pieces) > 2 or first is None or last is None or first > last:
            return None
        return max(first, self.least), min(last, self.most)

    def _number(self, text: str) -> int | None:
        if text in self.names:
            return self.names.index(text) + 1
        return int(text) if _NUMBER.fullmatch(text) else None


NUMBERS: Mapping[str | int, Numbers] = {"months": Numbers(1, 12, MONTHS), "years": Numbers(1, LAST_YEAR)}


def read_intervals(file: Import, node: Node | None, path: Path, names: Names) -> Iterator[ConfigObject]:
    """The intervals of one of the two sections that have them. `names` become our names for theirs."""
    for where, item in file.items(node, path):
        if item.empty:
            continue  # Alertmanager takes it for an interval without a name, which no route can mean.
        said = closed(file, item, where, TIME_INTERVAL)
        name = file.text(said.get("name"), (*where, "name"))
        if not name or name in names.given:
            file.refuse(item, where, "Every time interval has a name of its own", "Correct the name")
            continue
        within = (*where, "time_intervals")
        spans = tuple(_spans(file, said.get("time_intervals"), within))
        if len(spans) > MOST:
            file.refuse(item, within, f"There are more than {MOST} entries", "Split it into several intervals")
        if not spans:
            problem = f"`{name}` contains no time, as in Alertmanager"
            file.leave(
                said.get("time_intervals", item), within, problem, "Add entries to `time_intervals` if it should"
            )
        yield Interval(names.of(name), spans or (NEVER,))


def _spans(file: Import, node: Node | None, path: Path) -> Iterator[Span]:
    """The spans that contain any time."""
    for where, item in file.items(node, path):
        said = closed(file, item, where, SPAN)
        plain = {key: _plain(file, child, (*where, key)) for key, child in said.items()}
        try:
            part = SpanPart.model_validate({key: value for key, value in plain.items() if value not in (None, [])})
        except ValidationError as error:
            for details in error.errors(include_url=False):
                found = explain(details, item, file.file)
                file.refuse(Node(found.line, found.column), (*where, *found.path), found.problem, found.remedy)
            continue
        (span,) = interval_of("", [part]).spans
        span = replace(
            span,
            months=_existing(said.get("months"), NUMBERS["months"], span.months),
            years=_existing(said.get("years"), NUMBERS["years"], span.years),
        )
        empty = next((key for key, child in said.items() if child.kind == "list" and not getattr(span, key)), None)
        if empty is None:
            yield span
        else:
            problem = f"No time is in this entry: `{empty}` names none that there is"
            file.leave(said[empty], (*where, empty), problem, f"Correct `{empty}` if there should be")


def _plain(file: Import, node: Node, path: Path) -> Any:
    """What stands in a field of a span, for our own reader."""
    key = path[-1]
    if key == "location" and node.value == "Local":
        problem = "`Local` is the time zone of the machine that Alertmanager runs on"
        file.leave(node, path, problem, "It is UTC now: write the zone's name, e.g. Europe/Berlin")
        return None
    if key == "location" and node.value == "":
        return None  # UTC, in Go
    if key == "times":
        for where, child in file.items(node, path):
            closed(file, child, where, TIMES)
    if key in NUMBERS and node.kind == "list":
        return [_written(child, NUMBERS[key]) for child in node.children.values()]
    return node.plain()


def _written(node: Node, numbers: Numbers) -> Any:
    """A range of numbers, cut to those that there are; the least one for one that is beyond them altogether.

    What is no range stays as it is, to be refused.
    """
    found = numbers.cut(node)
    if found is None:
        return node.plain()
    first, last = found
    return f"{first}:{last}" if first <= last else str(numbers.least)


def _existing(node: Node | None, numbers: Numbers, ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """Those of the `ranges` that `node` lists which are not beyond the numbers that there are."""
    if node is None:
        return ranges
    found = (numbers.cut(child) for child in node.children.values())
    return tuple(one for one, cut in zip(ranges, found, strict=True) if cut is None or cut[0] <= cut[1])
