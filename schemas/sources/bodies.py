"""Reading a webhook's body as JSON without trusting it: size, encoding, nesting, duplicate keys, odd characters.

What comes out can be stored anywhere: Postgres's jsonb refuses the character U+0000 and lone surrogates, so both
are replaced by U+FFFD, in keys as well. Source: RFC 8259; PostgreSQL documentation, section "JSON Types".
"""

import json
import math
import re
from typing import TypeAlias

from schemas.sources.parsed import BadBody, Limits

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# Strings are skipped whole; a string without an end swallows the rest, so the scan stays linear.
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|([\[{])|([\]}])', re.DOTALL)


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
        text = raw.decode("utf-8")
        if _depth(text) > limits.max_depth:
            raise ValueError(f"it is nested deeper than {limits.max_depth} levels")
        value: Json = json.loads(text, object_pairs_hook=_object, parse_float=_float, parse_constant=_no_constant)
    except ValueError as error:
        raise BadBody(
            400,
            "",
            f"The body is not JSON that can be read: {_reason(error)}.",
            "Send one JSON document in UTF-8, as the sender's own webhook writes it.",
        ) from None
    return cleaned(value)


def cleaned(value: Json) -> Json:
    """`value` with every character that cannot be stored replaced by U+FFFD."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("�", value)
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {key: cleaned(item) for key, item in value.items()}
    return value


def write_json(value: Json) -> str:
    """`value` as compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _depth(text: str) -> int:
    """How deep lists and objects nest in `text`, found without parsing it."""
    depth = deepest = 0
    for token in _STRUCTURE.finditer(text):
        if token[1]:
            depth += 1
            deepest = max(deepest, depth)
        elif token[2]:
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        name = _UNSTORABLE.sub("�", key)
        if name in found:
            raise ValueError("an object has the same key twice")
        found[name] = value
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
