"""The formats that monitoring systems speak: a registry of parsers, one file each.

A parser is a function `(raw body, limits) -> Parsed` that raises `BadBody` and nothing else. Adding a source is
adding its file, its line in `SOURCES` and its tests. Read next: `parsed` (the words), `bodies` (safe JSON),
`alertmanager` (the first source).
"""

from collections.abc import Mapping
from types import MappingProxyType

from schemas.sources import alertmanager, elastic, generic
from schemas.sources.bodies import read_json, write_json
from schemas.sources.parsed import DEFAULT_LIMITS, BadBody, Limits, Parsed, Parser, Rejected
from schemas.sources.redaction import redact_json

__all__ = [
    "DEFAULT_LIMITS",
    "REPEATING",
    "SOURCES",
    "BadBody",
    "Limits",
    "Parsed",
    "Parser",
    "Rejected",
    "rejected_whole",
]

SOURCES: Mapping[str, Parser] = MappingProxyType(
    {"alertmanager": alertmanager.parse, "elastic": elastic.parse, "generic": generic.parse}
)
REPEATING = frozenset({"alertmanager"})
"""Sources that send again and again what is refused with 4xx, so that a refusal cures nothing: see ADR 0009."""


def rejected_whole(raw: bytes, limits: Limits, error: BadBody) -> Parsed:
    """A body that is JSON and no more, as one member (index -1) that cannot be an alert: `error` says why.

    Raises BadBody (400, 413) when it is not even JSON.
    """
    redacted = write_json(redact_json(read_json(raw, limits)))
    rejected = Rejected(-1, error.field or "body", error.problem)
    return Parsed((), redacted, (rejected,), (f"{error.problem} {error.remedy}",))
