"""Reading a webhook's body as JSON without trusting it: size, encoding, nesting, duplicate keys, odd characters.

What comes out can be stored anywhere: Postgres's jsonb refuses the character U+0000 and lone surrogates, so both
are replaced by U+FFFD, in keys as well. Source: RFC 8259; PostgreSQL documentation, section "JSON Types".
"""

import json
import math
import re
from typing import TypeAlias

import orjson

from schemas.sources.parsed import BadBody, Limits

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
"""How a body must write a character that cannot be stored, or half of one that can: JSON and UTF-8 allow them no
other way, so that a body without is not searched any further."""
_DEEPER = "it is nested deeper than {} levels"


def read_json(raw: bytes, limits: Limits) -> Json:
    """The JSON value in `raw`, cleaned. Raises BadBody (413 too large, 400 not JSON) and nothing else."""
    if len(raw) > limits.max_body_bytes:
        raise BadBody(
            413,
            "",
            f"The body has {len(raw)} bytes; at most {limits.max_body_bytes} are taken.",
            "Send fewer alerts at once, or raise TOCSIN_MAX_BODY_BYTES.",
        )
    try:
        return _read(raw.decode("utf-8"), limits.max_depth)
    except ValueError as error:
        raise BadBody(
            400,
            "",
            f"The body is not JSON that can be read: {_reason(error)}.",
            "Send one JSON document in UTF-8, as the sender's own webhook writes it.",
        ) from None


def _read(text: str, deepest: int) -> Json:
    """Raises ValueError. What nests a thousand levels deep is more than the decoder itself takes."""
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte order mark (BOM)")
    try:
        value: Json = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(_DEEPER.format(deepest)) from None
    if text.count("[") + text.count("{") > deepest and _is_deeper(value, deepest):
        raise ValueError(_DEEPER.format(deepest))
    return _cleaned(value) if _ESCAPED.search(text) else value


def _is_deeper(value: Json, levels: int) -> bool:
    """Whether lists and objects nest deeper in `value`."""
    level: list[Json] = [value]
    for _ in range(levels + 1):
        holders = [one for one in level if isinstance(one, dict | list)]
        if not holders:
            return False
        level = [inner for one in holders for inner in (one.values() if isinstance(one, dict) else one)]
    return True


def _cleaned(value: Json) -> Json:
    """`value` with every character that cannot be stored replaced by U+FFFD. Raises ValueError, see `_object`."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("�", value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return _object([(_UNSTORABLE.sub("�", key), _cleaned(item)) for key, item in value.items()])
    return value


def write_json(value: Json) -> str:
    """`value` as compact JSON text."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a whole number of more than 64 bits
        return _ENCODER.encode(value)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _reason(error: ValueError) -> str:
    """What is wrong, without quoting the body."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:]} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return str(error)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
