"""What somebody wants explained: a webhook of any source, an alert, or labels; as JSON, or as people write labels.

Whatever it is, it goes through the parser of its source, as it would if it was posted.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from domain.alerts import Alert
from domain.config import Config, FieldMapping
from domain.matching import MatchOperator
from schemas.matchers import BadMatcher, parse_matchers
from schemas.sources import SOURCES, generic
from schemas.sources.bodies import Json, read_json, write_json
from schemas.sources.parsed import DEFAULT_LIMITS, BadBody, Parsed

MOST = 100
"""Alerts of one webhook that are explained."""
ONE_OF = "Give an alert or a webhook as JSON, or labels such as alertname=Down service=payments."
NAMING = frozenset({*generic.COMMON["title"], *generic.COMMON["fingerprint"]})
"""What identifies an alert of no known source."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The alerts that are asked about, at most `MOST`, and the integration that is taken to report them."""

    integration: str
    alerts: tuple[Alert, ...]
    notes: tuple[str, ...] = ()


def read_text(text: str) -> Json:
    """What was pasted or typed, as JSON: JSON itself, `{service="payments"}`, or `service=payments severity=critical`.

    Raises BadBody.
    """
    written = text.strip()
    if not written:
        raise BadBody(422, "", "There is nothing to explain.", ONE_OF)
    if written[0] in "[{" and _is_json(written):
        return read_json(written.encode(), DEFAULT_LIMITS)
    return {"labels": _labels(written)}


def _is_json(text: str) -> bool:
    """Whether it is meant to be JSON: its first name is in quotes and followed by a colon, or it is a list."""
    inner = text[1:].lstrip()
    return text[0] == "[" or inner[:1] == "}" or (inner[:1] == '"' and inner[1:].partition('"')[2].lstrip()[:1] == ":")


def _labels(text: str) -> dict[str, Json]:
    if text.startswith("{") or "," in text:
        return _of_matchers(text)
    try:
        words = [word.partition("=") for word in shlex.split(text)]
    except ValueError:
        raise BadBody(422, "labels", "A quote in the labels does not end.", ONE_OF) from None
    if any(not (name and equals) or name[-1] in "!~" or value[:1] == "~" for name, equals, value in words):
        raise BadBody(422, "labels", "A label is not written name=value.", ONE_OF)
    return {name: value for name, _, value in words}


def _of_matchers(text: str) -> dict[str, Json]:
    try:
        matchers = parse_matchers(text)
    except BadMatcher as error:
        raise BadBody(422, "labels", f"{error.problem}.", ONE_OF) from None
    if any(matcher.operator is not MatchOperator.EQUAL for matcher in matchers):
        raise BadBody(422, "labels", "An alert has labels with values, not conditions.", "Write name=value.")
    return {matcher.label: matcher.value for matcher in matchers}


def read_subject(body: Json, config: Config, source: str | None = None, integration: str | None = None) -> Subject:
    """The alerts in a body.

    Parameters:
        source: the format that it is in; None: that of `integration`, else what it looks like.
        integration: who is taken to report it; None: the first of that source by name, else the source's own name.

    Raises BadBody.
    """
    named = config.integrations.get(integration or "")
    if integration and named is None:
        raise BadBody(422, "integration", "There is no such integration.", "Name one of the configuration, or none.")
    found = source or (named.source if named else None) or _source_of(body)
    if found not in SOURCES:
        raise BadBody(422, "source", "There is no such source.", f"Name one of {', '.join(SOURCES)}.")
    reports = [one for name, one in sorted(config.integrations.items()) if one.source == found]
    owner = named or (reports[0] if reports else None)
    parsed = _parsed(body, found, (owner.mapping if owner else None) or FieldMapping())
    if not parsed.alerts:
        first = parsed.rejected[0] if parsed.rejected else None
        problem = f"{first.field or 'It'} {first.problem}." if first else "There is no alert in it."
        raise BadBody(422, first.field if first else "alerts", problem, ONE_OF)
    notes = tuple(parsed.warnings)
    if len(parsed.alerts) > MOST:
        notes = (f"Only the first {MOST} of {len(parsed.alerts)} alerts are explained.", *notes)
    return Subject(owner.id if owner else found, parsed.alerts[:MOST], notes)


def _parsed(body: Json, source: str, mapping: FieldMapping) -> Parsed:
    if source == "alertmanager":
        body = _webhook(body)
    raw = write_json(body).encode()
    return generic.parse(raw, DEFAULT_LIMITS, mapping) if source == "generic" else SOURCES[source](raw, DEFAULT_LIMITS)


def _source_of(body: Json) -> str:
    match body:
        case list() | {"alerts": list()} | {"labels": dict()}:
            return "alertmanager"
        case {"alert_id": _, "state": _}:
            return "elastic"
        case dict() if "alertname" in body or (_are_labels(body) and not body.keys() & NAMING):
            return "alertmanager"
        case dict():
            return "generic"
    raise BadBody(422, "", "This is neither an alert nor labels.", ONE_OF)


def _are_labels(body: Mapping[str, Json]) -> bool:
    return all(isinstance(value, str) for value in body.values())


def _webhook(body: Json) -> Json:
    """A webhook of Alertmanager's, an alert or a list of them as its API has it, or labels: as a webhook."""
    match body:
        case {"version": _, "alerts": list()}:
            return body
        case {"alerts": list(members)}:
            return _webhook(members)
        case list():
            return {"version": "4", "alerts": [{"status": "firing", **member} for member in map(_member, body)]}
        case _:
            return _webhook([body])


def _member(body: Json) -> dict[str, Json]:
    if not isinstance(body, dict):
        raise BadBody(422, "alerts", "An alert is not an object.", ONE_OF)
    if not isinstance(body.get("labels"), dict):
        return {"labels": body}
    # Alertmanager's own API has an object there, with another meaning.
    return body if isinstance(body.get("status"), str) else {k: v for k, v in body.items() if k != "status"}
