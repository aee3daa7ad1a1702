"""Erasable text kept beside the events: the normalised alert that an event points at."""

import orjson
from pydantic import TypeAdapter

from domain.alerts import Alert

ALERT = TypeAdapter(Alert)


def write_alert(alert: Alert) -> bytes:
    """An alert as its payload's bytes: JSON with sorted keys."""
    return orjson.dumps(alert, default=dict, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)


def read_alert(body: bytes) -> Alert:
    """The alert in a payload. Raises pydantic's ValidationError when the bytes are not one."""
    return ALERT.validate_json(body)
