"""What the rules decide against what the log says, field by field."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import orjson

from domain.book import Entry
from schemas.events import encode
from streams.store.base import Recorded

LONGEST = 80
"""Characters of a value that is shown."""


def compared(entry: Entry, recorded: Recorded) -> Iterator[tuple[str, str]]:
    """The fields in which an event is not what the rules decide, each with a sentence. Reads are not compared here."""
    same = replace(entry.decision, reads=recorded.decision.reads)
    if entry.event == recorded.event and same == recorded.decision:
        return
    decided = orjson.loads(encode(entry.event, same, b""))
    said = orjson.loads(encode(recorded.event, recorded.decision, b""))
    for field in differences(decided, said):
        yield field, f"the rules decide {_shown(decided, field)}, the log says {_shown(said, field)}"


def differences(one: object, other: object, path: str = "") -> Iterator[str]:
    """The paths at which two JSON values differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for name in sorted(one.keys() | other.keys()):
            inner = f"{path}.{name}" if path else str(name)
            if name not in one or name not in other:
                yield inner
            else:
                yield from differences(one[name], other[name], inner)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differences(a, b, f"{path}.{index}")
    elif one != other:
        yield path


def _shown(document: object, path: str) -> str:
    for part in path.split("."):
        if isinstance(document, dict):
            document = document.get(part, "nothing")
        elif isinstance(document, list):
            document = document[int(part)]
    text = orjson.dumps(document).decode()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
