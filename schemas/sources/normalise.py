"""What all sources need to make an alert of untrusted JSON: text maps within limits, times, links, fingerprints.

Whatever bends a value says so through `note`, which takes a sentence that names the field and never its value.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from schemas.sources.bodies import Json, write_json
from schemas.sources.parsed import Limits

Note = Callable[[str], None]

FIRST_LABELS = ("alertname", "severity", "service", "team", "namespace", "cluster", "instance", "job")
ELLIPSIS = "…"

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_URL = re.compile(r"https?://[^\s\"'<>\\^`\x00-\x20\x7f]+", re.IGNORECASE)
_FNV_OFFSET, _FNV_PRIME, _U64 = 14695981039346656037, 1099511628211, 0xFFFFFFFFFFFFFFFF


class Unusable(Exception):
    """A member of a body that cannot be an alert: which of its fields, and why."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def read_labels(value: Json, limits: Limits, note: Note) -> dict[str, str]:
    """An alert's labels. An empty value is the same as no label; too many keep the ones that routing knows.

    Raises Unusable when `value` is not an object.
    """
    if not isinstance(value, dict):
        raise Unusable("labels", "is not an object of names and texts")
    if len(value) > limits.max_labels:
        known = [name for name in FIRST_LABELS if name in value]
        value = {name: value[name] for name in (*known, *sorted(set(value) - set(known)))}
    return _texts("labels", value, limits.max_labels, limits.max_label_value, limits, note)


def read_annotations(value: Json, limits: Limits, note: Note) -> dict[str, str]:
    """An alert's annotations; none when they are absent or unreadable, because the alert stands without them."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        note("annotations is not an object and is left out")
        return {}
    return _texts("annotations", value, limits.max_annotations, limits.max_annotation_value, limits, note)


def _texts(
    field: str, values: Mapping[str, Json], most: int, longest: int, limits: Limits, note: Note
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        if value is None or value == "":
            continue
        if not name or len(name) > limits.max_name:
            note(f"{field} has a name of {len(name)} characters, which is left out")
            continue
        if len(found) == most:
            note(f"{field} has more than {most} names; the rest is left out")
            break
        if not isinstance(value, str):
            note(f"{field}.{name} is not text and is kept as JSON text")
            value = write_json(value)
        if len(value) > longest:
            note(f"{field}.{name} has {len(value)} characters and is cut to {longest}")
            value = value[: longest - 1] + ELLIPSIS
        found[name] = value
    return found


def first_text(values: Mapping[str, str], names: Iterable[str]) -> str:
    """The first of `names` that has something to say in `values`, "" when none has."""
    return next((text for name in names if (text := values.get(name, "").strip())), "")


def read_link(name: str, value: Json, field: str, limits: Limits, note: Note) -> tuple[tuple[str, str], ...]:
    """`((name, url),)` when `value` is an http or https address that is safe to show as a link, else `()`."""
    if value is None or value == "":
        return ()
    if isinstance(value, str) and len(value) <= limits.max_url and _URL.fullmatch(value.strip()):
        return ((name, value.strip()),)
    note(f"{field} is not an http or https address of at most {limits.max_url} characters and gives no link")
    return ()


def read_time(value: Json, field: str, note: Note) -> datetime | None:
    """A time in UTC; None when it is absent, Go's zero time, or unreadable (the receipt's time counts then)."""
    if value is None or value == "":
        return None
    try:
        return parse_time(value if isinstance(value, str) else "")
    except ValueError as error:
        note(f"{field} is {error} and is taken as unknown")
        return None


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time in UTC, cut to microseconds; None for Go's zero time. Raises ValueError.

    Source: RFC 3339; contract page 02 (0 to 9 fractional digits, any offset, 0001-01-01T00:00:00Z for no time).
    """
    if _TIME.fullmatch(text) is None:
        raise ValueError("not an RFC 3339 time")
    if text.startswith("0001-01-01"):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("not a time of any calendar") from None


def fnv_fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's identity of a label set: FNV-1a 64 over name 0xff value 0xff, names sorted, as 16 hex digits.

    Source: contract page 02; prometheus/common model/signature.go.
    """
    digest = _FNV_OFFSET
    for name in sorted(labels):
        for byte in b"".join((name.encode(), b"\xff", labels[name].encode(), b"\xff")):
            digest = ((digest ^ byte) * _FNV_PRIME) & _U64
    return f"{digest:016x}"
