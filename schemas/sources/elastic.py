"""Elastic's alerting rules by way of Kibana's webhook connector: one alert per body, in the shape of our template.

Rules and their source: contract page 01, "Our inbound endpoint" and "Gotchas". A mustache variable that is missing is
an empty string and never absent; the context of a recovered rule may be empty altogether, so that `alert_id` alone
identifies the alert. Numbers may come as text and texts as numbers.
"""

from hashlib import sha256

from domain.alerts import Alert, AlertStatus
from domain.severity import parse_severity
from schemas.sources.bodies import Json, read_json, write_json
from schemas.sources.normalise import Note, read_annotations, read_labels, read_link, read_time
from schemas.sources.parsed import DEFAULT_LIMITS, BadBody, Limits, Parsed, bounded
from schemas.sources.redaction import redact_json

STATES = {"active": AlertStatus.FIRING, "resolved": AlertStatus.RESOLVED}
MAX_ID = 200
TEMPLATE = "Use the body of docs/how-to/elastic.md in the action of the rule."


def parse(raw: bytes, limits: Limits = DEFAULT_LIMITS) -> Parsed:
    """Normalise a body.

    Raises BadBody: 400 not JSON, 413 too large, 422 without `alert_name`, `alert_id` or a known `state.state`.
    """
    body = read_json(raw, limits)
    redacted = redact_json(body)
    if not isinstance(body, dict) or not isinstance(redacted, dict):
        raise BadBody(422, "", "The body is JSON, but not an object.", TEMPLATE)
    warnings: list[str] = []
    alert = _alert(_identity(body, redacted), redacted, limits, warnings.append)
    return Parsed((alert,), write_json(redacted), (), bounded(warnings))


def identity(given: str, redacted: str) -> str:
    """What identifies an alert: as it is given, or a digest of that if it is too long or a secret was taken out of it.

    What is redacted itself identifies nothing: it could make two alerts one.
    """
    if given == redacted and len(given) <= MAX_ID:
        return given
    return f"sha256:{sha256(given.encode()).hexdigest()}"


def _identity(body: dict[str, Json], redacted: dict[str, Json]) -> str:
    given = text(body.get("alert_id"))
    if not given.strip(": "):
        raise BadBody(
            422, "alert_id", "The body has no `alert_id`.", "Write {{rule.id}}:{{alert.id}} in the rule's action."
        )
    return identity(given, text(redacted.get("alert_id")))


def _alert(fingerprint: str, body: dict[str, Json], limits: Limits, note: Note) -> Alert:
    status = _status(part(body, "state").get("state"))
    time = read_time(part(body, "state").get("timestamp"), "state.timestamp", note)
    message = text(body.get("message"))
    severity = text(body.get("severity"))
    return Alert(
        fingerprint=fingerprint,
        status=status,
        severity=parse_severity(severity),
        labels=read_labels(_labels(body, severity), limits, note),
        annotations=read_annotations(_annotations(body, message), limits, note),
        source_time=time,
        starts_at=time if status is AlertStatus.FIRING else None,
        ends_at=time if status is AlertStatus.RESOLVED else None,
        summary=message[: limits.max_annotation_value],
        links=(
            *read_link("alert", part(body, "links").get("alert"), "links.alert", limits, note),
            *read_link("app", part(body, "links").get("app"), "links.app", limits, note),
        ),
    )


def _status(value: Json) -> AlertStatus:
    status = STATES.get(text(value).lower())
    if status is None:
        raise BadBody(422, "state.state", 'It is neither "active" nor "resolved".', TEMPLATE)
    return status


def _labels(body: dict[str, Json], severity: str) -> dict[str, Json]:
    """What routing may read. Our own names come before the operator's tags."""
    if "alert_name" not in body:
        raise BadBody(422, "alert_name", "The body has no `alert_name`.", TEMPLATE)
    service, metadata = part(body, "service"), part(body, "metadata")
    ours = {
        "alertname": text(body["alert_name"]),
        "severity": severity,
        "service": text(service.get("name")),
        "environment": text(service.get("environment")),
        "version": text(service.get("version")),
        "rule_id": text(body.get("rule_id")),
        "metric_type": text(metadata.get("metric_type")),
        "team_id": text(metadata.get("team_id")),
    }
    tags = {name: text(value) for name, value in part(body, "tags").items()}
    return {**tags, **{name: value for name, value in ours.items() if value}}


def _annotations(body: dict[str, Json], message: str) -> dict[str, Json]:
    metadata = part(body, "metadata")
    return {
        "summary": message,
        "threshold": text(metadata.get("threshold")),
        "current_value": text(metadata.get("current_value")),
        "alert_uuid": text(body.get("alert_uuid")),
    }


def part(body: dict[str, Json], name: str) -> dict[str, Json]:
    """A member that is an object; an empty one for whatever else stands there, such as "" of a missing variable."""
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def text(value: Json) -> str:
    """A value as text, without space around it: "" for none, JSON text for what is neither text nor number."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else write_json(value)
