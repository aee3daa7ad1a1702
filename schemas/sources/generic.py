"""Whatever posts JSON: one alert per body, its fields found by a mapping or under their common names.

Source: contract page 13, section E. A status that is absent or unknown fires: an alert too many is better than one that
nobody hears of. Without a field for its identity, an alert is identified by its title, service and labels.
"""

from collections.abc import Iterable
from hashlib import sha256

from domain.alerts import Alert, AlertStatus
from domain.config import FieldMapping
from domain.severity import Severity, parse_severity
from schemas.sources.bodies import Json, read_json, write_json
from schemas.sources.elastic import identity, text
from schemas.sources.normalise import Note, read_annotations, read_labels, read_time
from schemas.sources.parsed import DEFAULT_LIMITS, BadBody, Limits, Parsed, bounded
from schemas.sources.redaction import redact_json

COMMON = {
    "fingerprint": ("fingerprint", "dedup_key", "alert_id", "id", "key"),
    "status": ("status", "state"),
    "severity": ("severity", "priority", "level"),
    "title": ("title", "alertname", "alert_name", "name", "subject"),
    "service": ("service", "service.name"),
    "summary": ("summary", "message", "description", "text"),
    "time": ("time", "timestamp", "@timestamp", "date"),
    "labels": ("labels", "tags"),
}
"""Where a field is looked for when the mapping does not say."""

FIRING = frozenset({"firing", "fire", "active", "alert", "alerting", "trigger", "triggered", "open", "problem", "down"})
RESOLVED = frozenset({"resolved", "resolve", "ok", "recovered", "recovery", "closed", "close", "up", "normal", "clear"})
NO_MAPPING = FieldMapping()


def parse(raw: bytes, limits: Limits = DEFAULT_LIMITS, mapping: FieldMapping = NO_MAPPING) -> Parsed:
    """Normalise a body.

    Parameters:
        mapping: where the integration says that the fields are.

    Raises BadBody: 400 not JSON, 413 too large, 422 not an object, or nothing in it names the alert.
    """
    body = read_json(raw, limits)
    redacted = redact_json(body)
    if not isinstance(body, dict):
        raise BadBody(422, "", "The body is JSON, but not an object.", "Post one alert at a time, as an object.")
    warnings: list[str] = []
    alert = _alert(_Fields(body, mapping), _Fields(redacted, mapping), limits, warnings.append)
    return Parsed((alert,), write_json(redacted), (), bounded(warnings))


class _Fields:
    """The fields of a body, by the mapping or by their common names."""

    def __init__(self, body: Json, mapping: FieldMapping) -> None:
        self._body, self.mapping = body, mapping

    def value(self, field: str) -> Json:
        """A field's value; None when there is none."""
        return self.found(field)[1]

    def found(self, field: str) -> tuple[str, Json]:
        """The path under which a field was found, or looked for, and its value."""
        mapped: str | None = getattr(self.mapping, field)
        paths: Iterable[str] = (mapped,) if mapped else COMMON[field]
        path = ""
        for path in paths:
            value = at(self._body, path)
            if value is not None and not (isinstance(value, dict) and field != "labels"):
                return path, value
        return path if mapped else COMMON[field][0], None

    def text(self, field: str) -> str:
        """A field as text, "" when there is none."""
        return text(self.value(field))


def at(value: Json, path: str) -> Json:
    """What is at a dotted path; a number is a place in a list, and a key may hold the dots itself."""
    if isinstance(value, dict) and path in value:
        return value[path]
    head, _, rest = path.partition(".")
    below: Json = None
    if isinstance(value, dict):
        below = value.get(head)
    elif isinstance(value, list) and head.isascii() and head.isdecimal() and int(head[:9]) < len(value):
        below = value[int(head)]
    return at(below, rest) if rest else below


def _alert(original: _Fields, fields: _Fields, limits: Limits, note: Note) -> Alert:
    status = _status(fields, note)
    path, when = fields.found("time")
    time = read_time(when, path, note)
    title, service, summary = fields.text("title"), fields.text("service"), fields.text("summary")
    severity = fields.text("severity")
    ours: dict[str, Json] = {"alertname": title, "service": service, "severity": severity}
    labels = {**_labels(fields, note), **{name: value for name, value in ours.items() if value}}
    return Alert(
        fingerprint=_identity(original, fields, note),
        status=status,
        severity=_severity(fields, severity),
        labels=read_labels(labels, limits, note),
        annotations=read_annotations({"summary": summary}, limits, note),
        source_time=time,
        starts_at=time if status is AlertStatus.FIRING else None,
        ends_at=time if status is AlertStatus.RESOLVED else None,
        summary=summary[: limits.max_annotation_value],
    )


def _labels(fields: _Fields, note: Note) -> dict[str, Json]:
    path, value = fields.found("labels")
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        note(f"{path} is not an object and gives no labels")
        return {}
    return value


def _status(fields: _Fields, note: Note) -> AlertStatus:
    path, value = fields.found("status")
    word = text(value)
    mapped = dict(fields.mapping.status_values).get(word)
    if mapped is not None:
        return AlertStatus(mapped)
    if word.lower() in RESOLVED:
        return AlertStatus.RESOLVED
    if word.lower() not in FIRING:
        note(f"{path} is {'no status that is known' if word else 'absent'}; the alert is taken to be firing")
    return AlertStatus.FIRING


def _severity(fields: _Fields, word: str) -> Severity:
    mapped = dict(fields.mapping.severity_values).get(word)
    return parse_severity(mapped or word)


def _identity(fields: _Fields, redacted: _Fields, note: Note) -> str:
    """What identifies the alert; see `identity`. `fields` are as they came."""
    path, value = fields.found("fingerprint")
    given = text(value)
    if given:
        return identity(given, redacted.text("fingerprint"))
    title = fields.text("title")
    if fields.mapping.fingerprint or not title:
        raise BadBody(
            422,
            path if fields.mapping.fingerprint else "title",
            "Nothing in the body identifies the alert.",
            "Send a `fingerprint` or a `title`, or say in the integration's `mapping` where they are.",
        )
    known: list[Json] = [title, fields.text("service"), _labels(fields, note)]
    return f"sha256:{sha256(write_json(known).encode()).hexdigest()}"
