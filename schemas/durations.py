"""Durations as Prometheus writes them: `1h30m`, `30s`, `500ms`, `1d`, `1w`.

Source: Prometheus documentation, configuration, `<duration>`; prometheus/common model/time.go. Units come in
falling order, each once; days have 24 hours, weeks 7 days, years 365 days.
"""

import re

UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
PATTERN = "^(0|" + "".join(f"([0-9]+{unit})?" for unit in UNITS) + ")$"
LONGEST = UNITS["y"]

_DURATION = re.compile("".join(f"(?:([0-9]{{1,20}}){unit})?" for unit in UNITS))


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError, with a sentence, for anything but a duration of at most a year."""
    milliseconds = parse_milliseconds(text)
    if milliseconds > LONGEST:
        raise ValueError("it is longer than a year")
    return milliseconds / 1000


def parse_milliseconds(text: str) -> int:
    """Milliseconds of a duration however long. Raises ValueError, with a sentence, for anything else."""
    found = _DURATION.fullmatch(text)
    if text == "0":
        return 0
    if not text or found is None:
        raise ValueError("it is not a duration such as 30s, 5m or 1h30m")
    return sum(int(count or 0) * size for count, size in zip(found.groups(), UNITS.values(), strict=True))


def format_duration(seconds: float) -> str:
    """The duration that `parse_duration` reads as `seconds`. Raises ValueError for parts of a millisecond."""
    rest = round(seconds * 1000)
    if rest / 1000 != seconds or not 0 <= rest <= LONGEST:
        raise ValueError(f"{seconds} seconds are no duration of whole milliseconds up to a year")
    pieces: list[str] = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, UNITS[unit])
        if count:
            pieces.append(f"{count}{unit}")
    return "".join(pieces) or "0s"
