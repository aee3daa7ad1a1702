"""Prometheus Alertmanager's webhook, version 4.

Rules and their source: contract page 02, section A. The status of each alert counts, never the root's: a
truncated group can say "resolved" while members that were left out still fire. Whatever can be an alert becomes
one, with a warning for what was bent; only a member without a status or an identity is rejected.
"""

import re

from domain.alerts import Alert, AlertStatus
from domain.severity import parse_severity
from schemas.sources.bodies import Json, read_json, write_json
from schemas.sources.normalise import (
    Note,
    Unusable,
    first_text,
    fnv_fingerprint,
    read_annotations,
    read_labels,
    read_link,
    read_time,
)
from schemas.sources.parsed import DEFAULT_LIMITS, BadBody, Limits, Parsed, Rejected, bounded
from schemas.sources.redaction import redact_json, redact_text

VERSION = "4"
SUMMARY = ("summary", "description", "message")
DASHBOARD = ("dashboard", "dashboard_url", "dashboardURL")

_FINGERPRINT = re.compile(r"[\x21-\x7e]{1,128}")


def parse(raw: bytes, limits: Limits = DEFAULT_LIMITS) -> Parsed:
    """Normalise a webhook's body.

    Parameters:
        raw: the bytes as received.
        limits: what a body may hold.

    Raises BadBody: 400 not JSON, 413 too large, 422 not an Alertmanager webhook of version 4 or too many alerts.
    """
    body = read_json(raw, limits)
    originals = _members(body, limits)
    redacted = redact_json(body)
    alerts: list[Alert] = []
    rejected: list[Rejected] = []
    warnings = _truncation(body)
    for index, (original, member) in enumerate(zip(originals, _members(redacted, limits), strict=True)):

        def note(sentence: str, path: str = f"alerts[{index}]") -> None:
            warnings.append(f"{path}.{sentence}")

        try:
            alerts.append(_alert(original, member, limits, note))
        except Unusable as reason:
            rejected.append(Rejected(index, reason.field, reason.problem))
    return Parsed(tuple(alerts), write_json(redacted), tuple(rejected), bounded(warnings))


def _members(body: Json, limits: Limits) -> list[Json]:
    """The list `alerts` of what is known, after this, to be an Alertmanager webhook."""
    if not isinstance(body, dict) or "version" not in body:
        raise _not_a_webhook("version")
    if body["version"] != VERSION:
        raise BadBody(
            422,
            "version",
            'The webhook\'s version is not "4", the only one that Alertmanager has sent since 0.5.',
            'Grafana sends "1": use an integration whose source is grafana, at its own address. '
            "An older Alertmanager has to be upgraded.",
        )
    alerts = body.get("alerts")
    if not isinstance(alerts, list):
        raise _not_a_webhook("alerts")
    if len(alerts) > limits.max_alerts:
        raise BadBody(
            422,
            "alerts",
            f"The webhook has {len(alerts)} alerts; at most {limits.max_alerts} are taken at once.",
            f"Group by more labels, so that groups are smaller; or set `max_alerts: {limits.max_alerts}` in this "
            "receiver's webhook_configs, knowing that Alertmanager then leaves alerts out.",
        )
    return alerts


def _not_a_webhook(field: str) -> BadBody:
    return BadBody(
        422,
        field,
        f"The body is JSON, but not Alertmanager's webhook: it has no usable `{field}`.",
        "If this receiver's webhook_configs sets its own `payload`, remove that; else check what posts here.",
    )


def _truncation(body: Json) -> list[str]:
    truncated = body.get("truncatedAlerts") if isinstance(body, dict) else None
    if not isinstance(truncated, int) or truncated <= 0:
        return []
    return [
        f"truncatedAlerts is {truncated}: Alertmanager left that many alerts of the group out; "
        "raise or remove `max_alerts` in its webhook_configs"
    ]


def _alert(original: Json, member: Json, limits: Limits, note: Note) -> Alert:
    """One member of the body, `original` as it came and `member` redacted. Raises Unusable."""
    if not isinstance(original, dict) or not isinstance(member, dict):
        raise Unusable("", "is not an object")
    status = _status(member.get("status"))
    labels = read_labels(member.get("labels"), limits, note)
    annotations = read_annotations(member.get("annotations"), limits, note)
    starts_at = read_time(member.get("startsAt"), "startsAt", note)
    ends_at = read_time(member.get("endsAt"), "endsAt", note)
    return Alert(
        fingerprint=_fingerprint(original, note),
        status=status,
        severity=parse_severity(labels.get("severity")),
        labels=labels,
        annotations=annotations,
        source_time=starts_at if status is AlertStatus.FIRING else ends_at,
        starts_at=starts_at,
        ends_at=ends_at,
        summary=first_text(annotations, SUMMARY),
        links=_links(annotations, member.get("generatorURL"), limits, note),
    )


def _status(value: Json) -> AlertStatus:
    match value:
        case "firing":
            return AlertStatus.FIRING
        case "resolved":
            return AlertStatus.RESOLVED
        case _:
            raise Unusable("status", 'is neither "firing" nor "resolved"')


def _fingerprint(original: dict[str, Json], note: Note) -> str:
    """The identity that Alertmanager gives, or the one it would give.

    Computed from the labels before redaction and clipping: alerts that differ only there are different alerts.
    """
    given = original.get("fingerprint")
    if isinstance(given, str) and _FINGERPRINT.fullmatch(given) and redact_text(given) == given:
        return given
    if given not in (None, ""):
        note("fingerprint is not 1 to 128 printable characters, or holds a secret, and is computed from the labels")
    labels = original.get("labels")
    pairs = labels.items() if isinstance(labels, dict) else ()
    texts = {name: value if isinstance(value, str) else write_json(value) for name, value in pairs}
    named = {name: text for name, text in texts.items() if text and text != "null"}
    if not named:
        raise Unusable("labels", "is empty and there is no fingerprint: nothing identifies the alert")
    return fnv_fingerprint(named)


def _links(annotations: dict[str, str], generator: Json, limits: Limits, note: Note) -> tuple[tuple[str, str], ...]:
    """The runbook first, because that is what a woken person needs; then the dashboard, then the source."""
    dashboard = next((name for name in DASHBOARD if name in annotations), DASHBOARD[0])
    return (
        *read_link("runbook", annotations.get("runbook_url"), "annotations.runbook_url", limits, note),
        *read_link("dashboard", annotations.get(dashboard), f"annotations.{dashboard}", limits, note),
        *read_link("source", generator, "generatorURL", limits, note),
    )
