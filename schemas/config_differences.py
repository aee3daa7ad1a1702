"""What a change of a configuration object changes, field by field, in the words of the files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from domain.config import Standing
from domain.silences import Silence
from schemas.config_dump import written_of
from schemas.matchers import format_matcher


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: its path (`steps[0].escalate_after`), what it was and what it is; None where it says nothing.

    Of tokens and keys it holds hashes, as the files do.
    """

    field: str
    before: str | None
    after: str | None


def differences(before: Standing | None, after: Standing | None) -> tuple[FieldChange, ...]:
    """The fields in which an object differs, in the order of the format; `None` stands for one that is not there."""
    old, new = _said(before), _said(after)
    paths = dict.fromkeys((*old, *new))
    return tuple(FieldChange(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path))


def _said(thing: Standing | None) -> dict[str, str]:
    return dict(_flat("", _written(thing))) if thing is not None else {}


def _written(thing: Standing) -> Any:
    """An object in the words of the files; silences, which stand in none, in those of their API."""
    if isinstance(thing, Silence):
        matchers = [format_matcher(matcher) for matcher in thing.matchers]
        return {"matchers": matchers, "startsAt": thing.starts_at.isoformat(), "endsAt": thing.ends_at.isoformat()}
    return written_of(thing)[1]


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(f"{path}[{index}]", inner)
    else:
        yield path, str(value)
