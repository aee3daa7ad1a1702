"""The recurrence rules (RRULE, RFC 5545 3.3.10) that maintenance windows may have.

Rules are narrower than the RFC's in what would be expensive or ambiguous: no more often than `MOST_A_DAY` times a day,
nothing counted in hours, minutes or seconds, and an UNTIL in UTC. Read next: `domain/windows.py`, which follows them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

MOST_A_DAY = 24
LONGEST = 500
"""Characters of a rule."""
PREFIX = "RRULE:"
"""What a calendar file (RFC 5545) has in front of a rule."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,4}", re.ASCII)
_DAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class BadRecurrence(ValueError):
    """A rule that cannot be used: what is wrong, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}.")
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A part whose values are numbers from 1, or 0, to `most`, and as far from the end where `negative`."""

    most: int
    least: int = 1
    negative: bool = False
    several: bool = True


_NUMBERS: Mapping[str, _Numbers] = {
    "INTERVAL": _Numbers(1000, several=False),
    "COUNT": _Numbers(1000, several=False),
    "BYMONTH": _Numbers(12),
    "BYWEEKNO": _Numbers(53, negative=True),
    "BYYEARDAY": _Numbers(366, negative=True),
    "BYMONTHDAY": _Numbers(31, negative=True),
    "BYHOUR": _Numbers(23, least=0),
    "BYMINUTE": _Numbers(59, least=0),
    "BYSETPOS": _Numbers(366, negative=True),
}
_ALLOWED = ("FREQ", "UNTIL", "WKST", "BYDAY", *_NUMBERS)
_ONLY_WITH: Mapping[str, tuple[str, ...]] = {
    "BYWEEKNO": ("YEARLY",),
    "BYYEARDAY": ("YEARLY",),
    "BYMONTHDAY": ("YEARLY", "MONTHLY", "DAILY"),
    "BYSETPOS": ("YEARLY", "MONTHLY"),
}


def parse_recurrence(text: str) -> str:
    """The rule in capital letters, when it may be used. Raises BadRecurrence."""
    rule = text.strip().upper()
    if len(rule) > LONGEST:
        raise BadRecurrence("The rule is too long", f"Write at most {LONGEST} characters")
    if rule.startswith(PREFIX):
        raise BadRecurrence(f"`{PREFIX}` in front is no part of a rule here", f"Remove the prefix `{PREFIX}`")
    parts = _parts(rule)
    _frequency(parts)
    for name, value in parts.items():
        if name in _NUMBERS:
            _check_numbers(name, value, _NUMBERS[name])
    _check_days(parts)
    if parts.get("WKST", "MO") not in _DAYS:
        raise BadRecurrence(f"`WKST={parts['WKST']}` is not a day", "Write WKST=MO or WKST=SU")
    _check_end(parts)
    _check_together(parts)
    return rule


def _parts(rule: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for piece in rule.split(";"):
        name, equals, value = piece.partition("=")
        if not equals or not value:
            raise BadRecurrence(
                f"`{piece[:40]}` is not a part of a rule", "Write NAME=VALUE with ; between, e.g. FREQ=WEEKLY;BYDAY=SU"
            )
        if name not in _ALLOWED:
            raise BadRecurrence(f"`{name[:40]}` is not used in rules here", f"Use only {', '.join(_ALLOWED)}")
        if name in parts:
            raise BadRecurrence(f"`{name}` is there twice", "Write one, with commas between its values")
        parts[name] = value
    return parts


def _frequency(parts: Mapping[str, str]) -> None:
    frequency = parts.get("FREQ")
    if frequency is None:
        raise BadRecurrence("The rule has no FREQ", "Begin it with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
    if frequency in ("HOURLY", "MINUTELY", "SECONDLY"):
        raise BadRecurrence(
            f"FREQ={frequency} recurs too often", f"Write FREQ=DAILY and up to {MOST_A_DAY} hours, e.g. BYHOUR=2,14"
        )
    if frequency not in _FREQUENCIES:
        raise BadRecurrence(
            f"`FREQ={frequency[:40]}` is not a frequency", "Write FREQ=DAILY, WEEKLY, MONTHLY or YEARLY"
        )


def _check_numbers(name: str, text: str, allowed: _Numbers) -> None:
    values = text.split(",")
    sign = " or below zero from the end" if allowed.negative else ""
    remedy = f"Write whole numbers from {allowed.least} to {allowed.most}{sign}"
    for value in values:
        if not _NUMBER.fullmatch(value):
            raise BadRecurrence(f"`{name}={value[:40]}` is not a number", remedy)
        number = abs(int(value)) if allowed.negative else int(value)
        if not allowed.least <= number <= allowed.most:
            raise BadRecurrence(f"`{name}={value}` is out of range", remedy)
    if len(values) > 1 and not allowed.several:
        raise BadRecurrence(f"{name} has more than one value", "Write one")


def _check_days(parts: Mapping[str, str]) -> None:
    frequency = parts["FREQ"]
    most = 53 if frequency == "YEARLY" and "BYMONTH" not in parts else 5
    for value in parts["BYDAY"].split(",") if "BYDAY" in parts else ():
        found = _DAY.fullmatch(value)
        if found is None:
            raise BadRecurrence(
                f"`BYDAY={value[:40]}` is not a day", "Write MO, TU, WE, TH, FR, SA or SU, or 1MO, -1FR in a month"
            )
        if found[1] is None:
            continue
        if frequency not in ("MONTHLY", "YEARLY") or "BYWEEKNO" in parts:
            raise BadRecurrence(
                f"`BYDAY={value}` counts days where there is no month to count in",
                "Use FREQ=MONTHLY, or the day without a number",
            )
        if not 1 <= abs(int(found[1])) <= most:
            raise BadRecurrence(f"`BYDAY={value}` is out of range", f"Write a number from 1 to {most}, or below zero")


def _check_end(parts: Mapping[str, str]) -> None:
    if "UNTIL" not in parts:
        return
    if "COUNT" in parts:
        raise BadRecurrence("COUNT and UNTIL exclude each other", "Remove one of them")
    text = parts["UNTIL"]
    try:
        if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", text, re.ASCII):
            raise ValueError(text)
        datetime.strptime(text, "%Y%m%dT%H%M%S%z")
    except ValueError:
        raise BadRecurrence(
            f"`UNTIL={text[:40]}` is not a time in UTC", "Write it like UNTIL=20261231T235959Z"
        ) from None


def _check_together(parts: Mapping[str, str]) -> None:
    frequency = parts["FREQ"]
    for name, frequencies in _ONLY_WITH.items():
        if name in parts and frequency not in frequencies:
            raise BadRecurrence(f"{name} does not go with FREQ={frequency}", f"Use FREQ={_either(frequencies)}")
    if "BYSETPOS" in parts and not any(name.startswith("BY") and name != "BYSETPOS" for name in parts):
        raise BadRecurrence("BYSETPOS has nothing to choose from", "Add BYDAY, e.g. BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1")
    times = [len(set(map(int, parts[name].split(",")))) for name in ("BYHOUR", "BYMINUTE") if name in parts]
    if len(times) == 2 and times[0] * times[1] > MOST_A_DAY:
        raise BadRecurrence(
            f"The rule recurs {times[0] * times[1]} times a day", f"Write at most {MOST_A_DAY} hours and minutes"
        )
    if len(times) == 1 and times[0] > MOST_A_DAY:
        raise BadRecurrence(f"The rule recurs {times[0]} times a day", f"Write at most {MOST_A_DAY} minutes")


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)
