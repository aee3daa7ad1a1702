"""The page of limits, from the numbers in the code: how much may come in, and what is said to more.

`tests/integration/test_stated_limits.py` asks for each of them exactly as much, and a little more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from gateway import filters
from gateway.bodies import BODY_TIMEOUT
from gateway.protocol import HEAD_LIMIT
from projections.queries import MAX_LIMIT
from schemas.api import ApplyRequest, AssignRequest, CommentRequest, CreateRequest
from schemas.config_yaml import MAX_BYTES, MAX_DEPTH
from schemas.problems import KINDS, ProblemName
from schemas.settings import Settings
from schemas.sources.parsed import DEFAULT_LIMITS

PAGE = f"""\
How much may come in, and what becomes of more. What is refused is refused whole, with a [problem](problems.md) that
says what to do; a page must not be lost because of a long text, so what is only too long in an alert is cut or left
out, and `warnings` of the answer says so.

Nothing is answered with 429: what cannot be taken now is 503 `unavailable` with Retry-After, and senders try again.
That is so when neither Kafka nor Postgres keeps a webhook, and when a body is not there within {BODY_TIMEOUT:g} s.
Bodies come uncompressed and as JSON (415 `unsupported_media_type`). An integration can have lower limits of its own
(`limits` in its configuration).

Sources: `schemas/sources/parsed.py`, `schemas/settings.py`, `schemas/api.py`, `gateway/`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A row: what is limited, to how much of what; the problem that answers more, or what is done with it instead."""

    what: str
    most: int
    unit: str
    beyond: ProblemName | None
    instead: str = ""
    remedy: str = ""


def _longest(model: type[BaseModel], field: str, name: str = "maxLength") -> int:
    found: dict[str, Any] = model.model_json_schema()["properties"][field]
    return int(found[name])


def _setting(name: str) -> int:
    return int(Settings.model_fields[name].default)


ANY = (
    Limit("request line and headers", HEAD_LIMIT, "bytes", "head_too_large"),
    Limit("a body", _setting("max_body_bytes"), "bytes (`TOCSIN_MAX_BODY_BYTES`)", "body_too_large"),
)
WEBHOOK = (
    Limit("levels of lists and objects", DEFAULT_LIMITS.max_depth, "levels", "bad_json", remedy="Make it flatter."),
    Limit(
        "alerts in a webhook",
        _setting("max_alerts"),
        "alerts (`TOCSIN_MAX_ALERTS`)",
        None,
        "202 and an incident for the integration's team: Alertmanager would send it again for ever",
        "Group by more labels, so that groups are smaller.",
    ),
    Limit("labels of an alert", DEFAULT_LIMITS.max_labels, "labels", None, "those that routing knows are kept"),
    Limit("annotations of an alert", DEFAULT_LIMITS.max_annotations, "annotations", None, "the first are kept"),
    Limit("the name of a label", DEFAULT_LIMITS.max_name, "characters", None, "it is left out"),
    Limit("the value of a label", DEFAULT_LIMITS.max_label_value, "characters", None, "it is cut"),
    Limit("the value of an annotation", DEFAULT_LIMITS.max_annotation_value, "characters", None, "it is cut"),
    Limit("a link", DEFAULT_LIMITS.max_url, "characters", None, "there is no link"),
)
COMMAND = (
    Limit("a comment", _longest(CommentRequest, "text"), "characters", "bad_request_fields"),
    Limit("a title", _longest(CreateRequest, "title"), "characters", "bad_request_fields"),
    Limit("users of an assignment", _longest(AssignRequest, "users", "maxItems"), "users", "bad_request_fields"),
    Limit("an Idempotency-Key", 255, "printable ASCII characters", "bad_request_fields"),
    Limit("an If-Match", 1000, "characters", "bad_request_fields"),
)
QUESTION = (
    Limit("one page of a list", MAX_LIMIT, "entries", "bad_request_fields"),
    Limit("words of a filter", filters.MOST, "words", "bad_request_fields"),
    Limit("a name in a filter", filters.LONGEST, "characters", "bad_request_fields"),
    Limit("a cursor", 500, "characters", "bad_request_fields"),
)
CONFIGURATION = (
    Limit(
        "documents of an apply", _longest(ApplyRequest, "documents", "maxProperties"), "documents", "bad_request_fields"
    ),
    Limit("a document", MAX_BYTES, "bytes", "bad_request_fields"),
    Limit("levels of a document", MAX_DEPTH, "levels", "bad_request_fields"),
)
SECTIONS = {
    "Any request": ANY,
    "A webhook": WEBHOOK,
    "A command": COMMAND,
    "A question": QUESTION,
    "The configuration": CONFIGURATION,
}


def limits_page() -> Iterator[str]:
    """A table per kind of request."""
    yield from ("# Limits", "", PAGE)
    for title, limits in SECTIONS.items():
        yield from ("", f"## {title}", "", "| what | at most | beyond that | what to do |", "|---|---|---|---|")
        yield from map(_row, limits)


def _row(limit: Limit) -> str:
    beyond, remedy = limit.instead, limit.remedy
    if limit.beyond:
        kind = KINDS[limit.beyond]
        beyond, remedy = f"{kind.status} `{kind.name}`", remedy or kind.remedy
    return f"| {limit.what} | {limit.most:,} {limit.unit} | {beyond} | {remedy or 'See `warnings` of the answer.'} |"
