"""How people and programs point at things: an incident by number, name, uuid or stream; a place in a list by cursor."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Literal

_NUMBER = re.compile(r"(?:inc-)?([0-9]{1,18})", re.IGNORECASE)
_UUID = re.compile(r"(?:incident-)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)

Key = tuple[Literal["number"], int] | tuple[Literal["id"], str]
"""A column of the incidents table that identifies a row, and its value."""


NOT_OURS = "this cursor is not one of ours; begin again without one"


class BadCursor(ValueError):
    """A cursor that no list of ours has given out."""


def incident_key(ref: str) -> Key | None:
    """What `ref` points at: `INC-7` in any case, `7`, an incident's uuid or its stream; None for anything else."""
    ref = ref.strip()
    if found := _NUMBER.fullmatch(ref):
        return "number", int(found[1])
    if found := _UUID.fullmatch(ref):
        return "id", f"incident-{found[1].lower()}"
    return None


def incident_name(number: int) -> str:
    """What people call the incident of this number."""
    return f"INC-{number}"


def write_cursor(*place: str) -> str:
    """The cursor of the page that begins after a place in a list: words without spaces, the list's name first.

    Opaque: only `read_cursor` knows what is in it.
    """
    return urlsafe_b64encode(" ".join(place).encode()).decode().rstrip("=")


def read_cursor(cursor: str, place: re.Pattern[str]) -> tuple[str, ...]:
    """The groups of `place` in what the cursor holds. Raises BadCursor when it is not of that list."""
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError as error:
        raise BadCursor(NOT_OURS) from error
    found = place.fullmatch(text)
    if found is None or "\0" in text:
        raise BadCursor(NOT_OURS)
    return found.groups()


def cursor_time(text: str) -> datetime:
    """An aware time in a cursor, as `isoformat` writes it. Raises BadCursor."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadCursor(NOT_OURS) from error
    if at.tzinfo is None:
        raise BadCursor(NOT_OURS)
    return at
