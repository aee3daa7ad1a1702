"""Elastic's bodies. Source of the cases: contract page 01, the recommended template and its gotchas."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts import Alert, AlertStatus
from domain.severity import Severity
from schemas.sources import BadBody, Limits, elastic

FIRING: dict[str, Any] = {
    "alert_name": "High latency - api-gateway",
    "message": "95th latency is 1,500 ms",
    "severity": "high",
    "service": {"name": "api-gateway", "environment": "production"},
    "alert_id": "rule-1:api-gateway_production_request",
    "alert_uuid": "0b9c1c2e-0000-4000-8000-000000000001",
    "rule_id": "rule-1",
    "state": {"state": "active", "timestamp": "2026-11-20T21:29:23.751Z"},
    "metadata": {"metric_type": "latency", "threshold": "1000", "current_value": "1,500 ms", "team_id": 1},
    "links": {"app": "https://kibana.example.test/app/apm", "alert": ""},
    "tags": {"service": "another", "tier": "1"},
}


def parse(body: Any) -> Alert:
    [alert] = elastic.parse(json.dumps(body).encode()).alerts
    return alert


def test_the_recommended_body() -> None:
    alert = parse(FIRING)
    at = datetime(2026, 11, 20, 21, 29, 23, 751000, UTC)
    assert (alert.fingerprint, alert.status, alert.severity) == (FIRING["alert_id"], AlertStatus.FIRING, Severity.HIGH)
    assert (alert.source_time, alert.starts_at, alert.ends_at) == (at, at, None)
    assert alert.summary == "95th latency is 1,500 ms"
    assert alert.labels == {
        "alertname": "High latency - api-gateway",
        "severity": "high",
        "service": "api-gateway",
        "environment": "production",
        "rule_id": "rule-1",
        "metric_type": "latency",
        "team_id": "1",
        "tier": "1",
    }
    assert alert.annotations["threshold"] == "1000"
    assert alert.annotations["alert_uuid"] == FIRING["alert_uuid"]
    assert alert.links == (("app", "https://kibana.example.test/app/apm"),)


def test_a_recovered_rule_without_a_context_is_the_same_alert() -> None:
    """Kibana before 9.1: every variable of the context is an empty string (issues 161041, 211411)."""
    empty = {
        **dict.fromkeys(FIRING, ""),
        "alert_name": FIRING["alert_name"],
        "alert_id": FIRING["alert_id"],
        "service": {"name": "", "environment": ""},
        "metadata": {"metric_type": "", "threshold": "", "current_value": "", "team_id": ""},
        "state": {"state": "resolved", "timestamp": "2026-11-20T21:39:23Z"},
    }
    alert = parse(empty)
    assert (alert.fingerprint, alert.status) == (FIRING["alert_id"], AlertStatus.RESOLVED)
    assert (alert.ends_at, alert.starts_at) == (datetime(2026, 11, 20, 21, 39, 23, tzinfo=UTC), None)
    assert alert.labels == {"alertname": FIRING["alert_name"]}
    assert alert.severity is Severity.MEDIUM


def test_numbers_and_texts_stand_for_each_other() -> None:
    alert = parse({**FIRING, "alert_id": 17, "metadata": {"threshold": 0.85, "current_value": "12%", "team_id": "x"}})
    assert (alert.fingerprint, alert.annotations["threshold"], alert.labels["team_id"]) == ("17", "0.85", "x")


def test_a_time_that_cannot_be_read_is_said_and_the_receipts_counts() -> None:
    parsed = elastic.parse(json.dumps({**FIRING, "state": {"state": "active", "timestamp": "yesterday"}}).encode())
    assert parsed.alerts[0].source_time is None
    assert parsed.warnings == ("state.timestamp is not an RFC 3339 time and is taken as unknown",)


def test_an_identity_of_any_length_stays_one() -> None:
    long = parse({**FIRING, "alert_id": "x" * 5000}).fingerprint
    assert len(long) < 100
    assert long == parse({**FIRING, "alert_id": "x" * 5000}).fingerprint
    assert long != parse({**FIRING, "alert_id": "x" * 5001}).fingerprint


def test_secrets_are_taken_out_of_what_is_kept() -> None:
    parsed = elastic.parse(json.dumps({**FIRING, "message": "password=hunter2", "tags": {"api_key": "k"}}).encode())
    assert "hunter2" not in parsed.raw + parsed.alerts[0].summary
    assert parsed.alerts[0].labels["api_key"] == "[redacted]"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"alert_id": ""}, "alert_id"),
        ({"alert_id": ":"}, "alert_id"),
        ({"state": {"state": ""}}, "state.state"),
        ({"state": "active"}, "state.state"),
    ],
)
def test_what_cannot_be_an_alert_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadBody) as refused:
        parse({**FIRING, **change})
    assert (refused.value.status, refused.value.field) == (422, field)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*FIRING]), ODD) | ODD)
def test_whatever_comes_is_an_alert_or_a_refusal(change: Any) -> None:
    body = {**FIRING, **change} if isinstance(change, dict) else change
    try:
        parsed = elastic.parse(json.dumps(body).encode(), Limits())
    except BadBody:
        return
    assert parsed.alerts[0].fingerprint
    assert all(isinstance(value, str) for value in parsed.alerts[0].labels.values())
