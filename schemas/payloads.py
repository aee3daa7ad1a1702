"""Erasable text kept beside the events: the normalised alert that an event points at."""

import orjson
from pydantic import TypeAdapter, ValidationError

from domain.alerts import Alert

ALERT = TypeAdapter(Alert)


def write_alert(alert: Alert) -> bytes:
    """An alert as its payload's bytes: JSON with sorted keys."""
    return orjson.dumps(alert, default=dict, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)


def read_alert(body: bytes) -> Alert:
    """The alert in a payload. Raises ValueError, which quotes nothing of it, when the bytes are not one."""
    try:
        return ALERT.validate_json(body)
    except ValidationError as error:
        fields = sorted({str(one["loc"][0]) for one in error.errors(include_input=False) if one["loc"]})
        raise ValueError(f"the payload is no alert: {', '.join(fields)}") from None
