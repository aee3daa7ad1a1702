"""The formats that monitoring systems speak: a registry of parsers, one file each.

A parser is a function `(raw body, limits) -> Parsed` that raises `BadBody` and nothing else. Adding a source is
adding its file, its line in `SOURCES` and its tests. Read next: `parsed` (the words), `bodies` (safe JSON),
`alertmanager` (the first source).
"""

from collections.abc import Mapping
from types import MappingProxyType

from schemas.sources import alertmanager
from schemas.sources.parsed import DEFAULT_LIMITS, BadBody, Limits, Parsed, Parser, Rejected

__all__ = ["DEFAULT_LIMITS", "SOURCES", "BadBody", "Limits", "Parsed", "Parser", "Rejected"]

SOURCES: Mapping[str, Parser] = MappingProxyType({"alertmanager": alertmanager.parse})
