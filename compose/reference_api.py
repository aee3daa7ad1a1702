"""The page about the HTTP API: every path, what it takes and answers, and every shape; from the OpenAPI document."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

Json = Mapping[str, Any]

API = """\
What a running gateway shows at `/docs` and serves as OpenAPI at `/openapi.json`. Bodies are JSON, times RFC 3339 in
UTC, and refusals [problem documents](problems.md). `?` marks what may be left out or be null. A key is presented as
`Authorization: Bearer …`.

Sources: `gateway/`, `schemas/api.py`, `schemas/api_reads.py`, `schemas/api_receipts.py`, `schemas/alertmanager_api.py`,
`schemas/api_heartbeats.py`."""

WHO = {
    "api_key": "an API key",
    "webhook_token": "an integration's token",
    "ping_token": "a token of the heartbeat, which may also be a parameter",
}


def api_page(document: Json) -> Iterator[str]:
    """A section per tag, an entry per operation, and at the end the shapes that they answer."""
    yield from ("# HTTP API", "", API)
    operations = [(verb, path, it) for path, item in document["paths"].items() for verb, it in item.items()]
    for tag in dict.fromkeys(it["tags"][0] for _, _, it in operations):
        yield from ("", f"## {tag.capitalize()}")
        for verb, path, it in operations:
            if it["tags"][0] == tag:
                yield from _operation(verb, path, it)
    yield from ("", "## Shapes")
    for name, shape in sorted(document["components"]["schemas"].items()):
        yield from ("", f"### {name}", "", *_paragraph(shape), "| member | type | |", "|---|---|---|")
        yield from _members(shape)


def _operation(verb: str, path: str, it: Json) -> Iterator[str]:
    keys = [WHO[name] for one in it.get("security", ()) for name in one]
    yield from ("", f"### {verb.upper()} {path}", "", f"{it['summary']}. Takes {' or '.join(keys) or 'no key'}.", "")
    yield from _paragraph(it)
    body = it.get("requestBody", {}).get("content", {})
    parameters = [*it.get("parameters", ())]
    if parameters or body:
        yield from ("| takes | in | type | |", "|---|---|---|---|")
    for one in parameters:
        name = f"`{one['name']}`{'' if one['required'] else '?'}"
        yield row(name, one["in"], _type(one["schema"]), one.get("description", ""))
    for media, content in body.items():
        shape = content["schema"]
        known = shape.get("properties", {})
        for name, member in known.items():
            mark = "" if name in shape.get("required", ()) else "?"
            yield row(f"`{name}`{mark}", "body", _type(member), member.get("description", ""))
        if not known:
            yield row("body", media, _type(shape), shape.get("description", ""))
    yield from (
        "",
        "Answers: " + "; ".join(_answer(status, one) for status, one in sorted(it["responses"].items())) + ".",
    )


def _answer(status: str, one: Json) -> str:
    if status >= "400" and "application/problem+json" in one.get("content", {}):
        return status
    media, shape = next(((name, it.get("schema", {})) for name, it in one.get("content", {}).items()), ("", {}))
    what = _type(shape) if "$ref" in shape or "items" in shape else media or HTTPStatus(int(status)).phrase
    headers = "".join(f", `{name}`" for name in one.get("headers", {}))
    return f"**{status}** {what}{headers}"


def _members(shape: Json) -> Iterator[str]:
    required = shape.get("required", ())
    for name, member in shape.get("properties", {}).items():
        mark = "" if name in required and not _is_optional(member) else "?"
        yield row(f"`{name}`{mark}", _type(member), member.get("description", ""))


def _is_optional(shape: Json) -> bool:
    return any(one.get("type") == "null" for one in shape.get("anyOf", ()))


def _type(shape: Json) -> str:
    """A type in a word or two, linked when it is one of the shapes."""
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in shape:
        return " or ".join(_type(one) for one in shape["anyOf"] if one.get("type") != "null")
    if "enum" in shape:
        return ", ".join(f"`{word}`" for word in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_type(shape['items'])}" if shape.get("items") else "list"
    return {"date-time": "time", "uuid": "uuid"}.get(shape.get("format", ""), str(shape.get("type", "any")))


def _paragraph(thing: Json) -> Iterator[str]:
    text = str(thing.get("description", "")).strip()
    if text:
        yield from (text, "")


def row(*cells: str) -> str:
    """A row of a table, each cell on one line."""
    return f"| {' | '.join(' '.join(cell.replace('|', chr(92) + '|').split()) for cell in cells)} |"
