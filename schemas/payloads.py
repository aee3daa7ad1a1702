"""Erasable text kept beside the events, read back: the normalised alert that an event points at."""

from pydantic import TypeAdapter

from domain.alerts import Alert

ALERT = TypeAdapter(Alert)


def read_alert(body: bytes) -> Alert:
    """The alert in a payload. Raises pydantic's ValidationError when the bytes are not one."""
    return ALERT.validate_json(body)
