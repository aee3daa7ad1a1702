"""What a change of a configuration object changes, field by field, in the words of the files."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.config import ConfigObject
from schemas.config_dump import written_of


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field: its path (`steps[0].escalate_after`), what it was and what it is; None where it says nothing.

    Of tokens and keys it holds hashes, as the files do.
    """

    field: str
    before: str | None
    after: str | None


def differences(before: ConfigObject | None, after: ConfigObject | None) -> tuple[FieldChange, ...]:
    """The fields in which an object differs, in the order of the format; `None` stands for one that is not there."""
    old, new = _said(before), _said(after)
    paths = dict.fromkeys((*old, *new))
    return tuple(FieldChange(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path))


def _said(thing: ConfigObject | None) -> dict[str, str]:
    return dict(_flat("", written_of(thing)[1])) if thing is not None else {}


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(f"{path}[{index}]", inner)
    else:
        yield path, str(value)
