"""How people and programs point at things: an incident by number, name, uuid or stream; a place in a list by cursor."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Literal

_NUMBER = re.compile(r"(?:inc-)?([0-9]{1,18})", re.IGNORECASE)
_UUID = re.compile(r"(?:incident-)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_CURSOR = re.compile(r"before ([0-9]{1,18})")

Key = tuple[Literal["number"], int] | tuple[Literal["id"], str]
"""A column of the incidents table that identifies a row, and its value."""


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


def write_cursor(number: int) -> str:
    """The cursor of the page that begins after incident `number`. Opaque: only `read_cursor` knows what is in it."""
    return urlsafe_b64encode(f"before {number}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> int:
    """The incident number that a cursor follows. Raises BadCursor."""
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError as error:
        raise BadCursor("this cursor is not one of ours; begin again without one") from error
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise BadCursor("this cursor is not one of ours; begin again without one")
    return int(found[1])
