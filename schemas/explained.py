"""What somebody wants explained: a webhook of any source, an alert, or labels; as JSON, or as people write labels.

Whatever it is, it goes through the parser of its source, as it would if it was posted.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from domain.alerts import Alert
from domain.config import Config, FieldMapping
from domain.facts import ANNOTATION
from domain.heartbeating import HEARTBEAT
from domain.matching import MatchOperator, shown
from schemas.matchers import BadMatcher, parse_matchers
from schemas.sources import SOURCES, generic
from schemas.sources.bodies import Json, read_json, write_json
from schemas.sources.parsed import DEFAULT_LIMITS, BadBody, Parsed

MOST = 100
"""Alerts of one webhook that are explained."""
ONE_OF = "Give an alert or a webhook as JSON, or labels such as alertname=Down service=payments."
QUOTING = 'Write name=value or name="value", and \\" for a quote inside.'
SAID_BY = {
    "@source": "Name the `source` beside the labels (`--source`).",
    "@integration": "Name the `integration` beside the labels (`--integration`).",
}
"""What to do instead of giving a fact as a label, where no label of that name says it."""
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
NAMING = frozenset({*generic.COMMON["title"], *generic.COMMON["fingerprint"]})
"""What identifies an alert of no known source."""

_PIECE = re.compile(rf"{QUOTED.pattern}|'[^']*'|[^\s\"']+", re.DOTALL)
_WORD = re.compile(rf"\s*((?:{_PIECE.pattern})+)(?:\s+|$)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TWICE = re.compile(r"([^\s,{=]*)\s*=\s*=")


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
    if written.startswith("{") or "," in QUOTED.sub("", written):
        return {"labels": _labels(_of_matchers(written))}
    return read_words(_words(written))


def _is_json(text: str) -> bool:
    """Whether it is meant to be JSON: its first name is in quotes and followed by a colon, or it is a list."""
    inner = text[1:].lstrip()
    return text[0] == "[" or inner[:1] == "}" or (inner[:1] == '"' and inner[1:].partition('"')[2].lstrip()[:1] == ":")


def read_words(words: Iterable[str]) -> Json:
    """Labels, one to a word: `service=payments`, `summary="disk full"`. Raises BadBody."""
    return {"labels": _labels(map(_pair, words))}


def _pair(word: str) -> tuple[str, str]:
    """A label and its value; double quotes stand around the whole value, or nowhere in it."""
    name, equals, value = word.partition("=")
    if not (name and equals) or name[-1] in "!~" or value[:1] == "~":
        raise _wrong("A label is not written name=value.", ONE_OF)
    if value[:1] == "=":
        raise _twice_equal(name)
    if '"' not in value:
        return name, value
    if not QUOTED.fullmatch(value):
        raise _wrong(f"The value of the label `{shown(name)}` has a quote that is not one of two around it.", QUOTING)
    return name, _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], value[1:-1])


def _words(text: str) -> Iterator[str]:
    """What stands between white space that is in no quotes. Single ones are a shell's, and not part of the word."""
    place = 0
    while place < len(text):
        found = _WORD.match(text, place)
        if found is None:
            raise _wrong("A quote in the labels does not end.", QUOTING)
        yield _PIECE.sub(lambda piece: piece[0][1:-1] if piece[0][0] == "'" else piece[0], found[1])
        place = found.end()


def _of_matchers(text: str) -> Iterator[tuple[str, str]]:
    twice = _TWICE.search(QUOTED.sub('""', text))
    if twice:
        raise _twice_equal(twice[1])
    try:
        matchers = parse_matchers(text)
    except BadMatcher as error:
        raise _wrong(f"{error.problem}.", ONE_OF) from None
    if any(matcher.operator is not MatchOperator.EQUAL for matcher in matchers):
        raise _wrong("An alert has labels with values, not conditions.", "Write name=value.")
    return ((matcher.label, matcher.value) for matcher in matchers)


def _labels(pairs: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """Labels of these names and values. Raises BadBody for a name that is there twice, or is no label's."""
    found: dict[str, Json] = {}
    for name, value in pairs:
        _check_name(name)
        if name in found:
            raise _wrong(f"The label `{shown(name)}` is given twice.", "Name each label once.")
        found[name] = value
    return found


def _check_name(name: str) -> None:
    """Raises BadBody for the name of a fact: it is read of the alert, and cannot be said of it."""
    if name.startswith("@"):
        remedy = SAID_BY.get(name, f"Write `{shown(name[1:])}=...`.")
        if name.startswith(ANNOTATION):
            remedy = "Give the alert as JSON, with `labels` and `annotations`."
        raise _wrong(f"`{shown(name)}` is not a label: facts are read of the alert.", remedy)


def _wrong(problem: str, remedy: str) -> BadBody:
    return BadBody(422, "labels", problem, remedy)


def _twice_equal(name: str) -> BadBody:
    return _wrong(f"There are two equals signs after the label `{shown(name)}`.", QUOTING)


def read_subject(body: Json, config: Config, source: str | None = None, integration: str | None = None) -> Subject:
    """The alerts in a body.

    Parameters:
        source: the format that it is in; None: that of `integration`, else what it looks like.
        integration: who is taken to report it, `heartbeat` for what a missed heartbeat is; None: the first of that
            source by name, else the source's own name.

    Raises BadBody.
    """
    named = config.integrations.get(integration or "")
    if integration and named is None and integration != HEARTBEAT:
        raise BadBody(422, "integration", "There is no such integration.", "Name one of the configuration, or none.")
    found = source or (named.source if named else None) or _source_of(body)
    if found not in SOURCES:
        raise BadBody(422, "source", "There is no such source.", f"Name one of {', '.join(SOURCES)}.")
    _check_label_sets(body)
    reports = [one for name, one in sorted(config.integrations.items()) if one.source == found]
    owner = named or (reports[0] if reports and not integration else None)
    parsed = _parsed(body, found, (owner.mapping if owner else None) or FieldMapping())
    if not parsed.alerts:
        first = parsed.rejected[0] if parsed.rejected else None
        problem = f"{first.field or 'It'} {first.problem}." if first else "There is no alert in it."
        raise BadBody(422, first.field if first else "alerts", problem, ONE_OF)
    notes = tuple(parsed.warnings)
    if len(parsed.alerts) > MOST:
        notes = (f"Only the first {MOST} of {len(parsed.alerts)} alerts are explained.", *notes)
    return Subject(owner.id if owner else integration or found, parsed.alerts[:MOST], notes)


def _check_label_sets(body: Json) -> None:
    """Raises BadBody for a fact among labels that are given alone; those of a whole alert are what somebody posts."""
    for one in body if isinstance(body, list) else [body]:
        match one:
            case {"labels": dict(labels), **rest} if not rest:
                for name in labels:
                    _check_name(name)


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
        for name in body:
            _check_name(name)
        return {"labels": body}
    # Alertmanager's own API has an object there, with another meaning.
    return body if isinstance(body.get("status"), str) else {k: v for k, v in body.items() if k != "status"}
