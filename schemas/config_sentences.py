"""From what pydantic says about a configuration file to what a person can act on: a sentence, a remedy, a place.

Values under `hash` and `token_hashes` are never quoted: somebody may have pasted the token itself.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from schemas import config_models as models
from schemas import config_types as types
from schemas.config_errors import ConfigError
from schemas.config_yaml import Node, Odd

Loc = tuple[str | int, ...]
Sentence = tuple[str, str]

SECRET_KEYS = frozenset({"hash", "token_hashes"})
UNKNOWN_REMEDY = "See schemas/config_schema.json for what is wanted here"

_PATTERNS: Mapping[str, Sentence] = {
    types.NAME_PATTERN: (
        "is not a name",
        "Use 1 to 63 of a-z 0-9 . _ - and begin with a letter or digit",
    ),
    types.LABEL_PATTERN: ("is not a label name", "Write 1 to 128 characters, without control characters"),
    types.HASH_PATTERN: (
        "is not sha256: and 64 hexadecimal digits",
        "Run `tocsin token`: it prints a token and the hash to write here",
    ),
    types.ONE_LINE_PATTERN: ("has a control character", "Write it in one line, without tabs"),
    types.PATH_PATTERN: ("is not a path of field names", "Write field names with dots between them, e.g. check.id"),
    types.URL_PATTERN: ("is not a web address", "Write https://host/path, without a user or password in it"),
    types.HTTPS_PATTERN: ("is not an https address", "Write https://host/path, without a user or password in it"),
    types.EMAIL_PATTERN: ("is not a mail address", "Write name@example.test"),
}
_CONTAINERS = {"list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping"}


def explain(details: ErrorDetails, root: Node, file: str) -> ConfigError:
    """One validation error of the document `root`, as an error of `file`."""
    loc: Loc = details["loc"]
    at_key = details["type"] == "extra_forbidden" or loc[-1:] == ("[key]",)
    path = loc[:-1] if loc[-1:] == ("[key]",) else loc
    missing = details["type"] == "missing"
    node = _find(root, path[:-1] if missing else path)
    at_key = at_key or (missing and node.key_line > 0)
    line, column = (node.key_line, node.key_column) if at_key else (node.line, node.column)
    return ConfigError(file, line, column, path, *_sentence(details, node, path))


def _find(root: Node, path: Loc) -> Node:
    """The node at `path`, or the nearest one above it that exists."""
    node = root
    for part in path:
        child = node.children.get(part)
        if child is None:
            return node
        node = child
    return node


def _sentence(details: ErrorDetails, node: Node, path: Loc) -> Sentence:
    """What is wrong and what to do."""
    context = details.get("ctx", {})
    name = path[-1] if path else "the file"
    match details["type"]:
        case "tocsin":
            return context["problem"], context["remedy"]
        case "missing":
            return f"`{name}` is missing", f"Add a line `{name}:` here"
        case "extra_forbidden":
            return _unknown_key(str(name), path)
        case "string_type":
            return _not_text(node, path)
        case "int_type":
            return f"{_shown(node, path)} is not a whole number", "Write digits only, e.g. 2"
        case "list_type" | "dict_type" | "model_type":
            return _not_a(_CONTAINERS[details["type"]], node, path)
        case "literal_error" if path == ("version",):
            return f"There is no version {_shown(node, path)} of this format", "Write `version: 1`"
        case "literal_error":
            return f"{_shown(node, path)} is not known here", f"Write {context['expected']}"
        case "string_pattern_mismatch":
            problem, remedy = _PATTERNS[context["pattern"]]
            shown = f"`{name}`" if details["loc"][-1] == "[key]" else _shown(node, path)
            return f"{shown} {problem}", remedy
        case "greater_than_equal":
            return f"{_shown(node, path)} is too small", f"Write {context['ge']} or more"
        case "less_than_equal":
            return f"{_shown(node, path)} is too large", f"Write {context['le']} or less"
        case "too_short":
            return "The list is empty", f"Write at least {context['min_length']} entry under `{name}`"
        case "string_too_short":
            return "The text is empty", "Write one, or remove it"
        case "too_long" | "string_too_long":
            what = f"An entry of `{path[-2]}`" if isinstance(name, int) else f"`{name}`"
            return f"{what} is too long", f"Write at most {context['max_length']}"
        case _:
            return details["msg"], UNKNOWN_REMEDY


def _unknown_key(name: str, path: Loc) -> Sentence:
    known = _keys(path[:-1])
    close = types.nearest(name, known)
    return f"There is no key `{name}` here", f"Did you mean `{close}`?" if close else f"Known: {', '.join(known)}"


def _not_text(node: Node, path: Loc) -> Sentence:
    if node.kind != "scalar":
        return _not_a("a text", node, path)
    if node.value is None:
        return "There is no value", "Write one, or remove the line"
    text = node.value.text if isinstance(node.value, Odd) else str(node.value)
    word = node.value.word if isinstance(node.value, Odd) else "a number"
    if _secret(path):
        return f"YAML reads this as {word}, not as text", "Put it in double quotes"
    return f"YAML reads `{text}` as {word}, not as text", f'Write "{text}" in quotes'


def _not_a(wanted: str, node: Node, path: Loc) -> Sentence:
    if node.empty:
        return f"There is no value; {wanted} is wanted", "Write it, or remove the line"
    found = {"map": "a mapping", "list": "a list"}.get(node.kind) or _shown(node, path)
    return f"{found[:1].upper()}{found[1:]} stands where {wanted} is wanted", _HOW[wanted]


_HOW = {
    "a list": "Write [one, two], or one entry per line that begins with -",
    "a mapping": "Write `key: value` lines below it, indented",
    "a text": "Write a single text",
}


def _shown(node: Node, path: Loc) -> str:
    """The value as it stands in the file."""
    if _secret(path):
        return "The value"
    if node.kind != "scalar":
        return {"map": "A mapping", "list": "A list"}[node.kind]
    if node.value is None:
        return "Nothing"
    text = node.value.text if isinstance(node.value, Odd) else str(node.value)
    return f"`{text}`" if text.isprintable() else "The value"


def _secret(path: Loc) -> bool:
    return any(part in SECRET_KEYS for part in path[-2:])


@cache
def _schema() -> dict[str, Any]:
    return models.config_schema()


def _keys(path: Loc) -> tuple[str, ...]:
    """The keys that the format knows at `path`."""
    schema = _schema()
    for part in path:
        schema = _step(schema, part)
    return tuple(_resolved(schema).get("properties", {}))


def _step(schema: dict[str, Any], part: str | int) -> dict[str, Any]:
    """The schema of a member of what `schema` describes."""
    here = _resolved(schema)
    if isinstance(part, int):
        found: dict[str, Any] = here.get("items", {})
        return found
    below = here.get("properties", {}).get(part)
    others = here.get("patternProperties", {}).values()
    return below or next(iter(others), {})


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, behind references and "or null"."""
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return _resolved(choice)
    name = schema.get("$ref", "").rpartition("/")[2]
    return _resolved(_schema()["$defs"][name]) if name else schema
