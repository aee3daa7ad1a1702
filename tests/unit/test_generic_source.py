"""Bodies of anybody: fields under common names, by a mapping, or nowhere."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts import Alert, AlertStatus
from domain.config import FieldMapping, Integration
from domain.severity import Severity
from schemas.config_dump import dump_config
from schemas.config_files import ConfigErrors, parse_config
from schemas.sources import BadBody, Limits, Parsed, generic
from tests.unit.test_elastic_source import ODD

MAPPING = FieldMapping(
    fingerprint="check.id",
    status="check.state",
    severity="check.class",
    title="check.name",
    service="host.0.group",
    summary="text",
    time="at",
    labels="meta",
    status_values=(("GREEN", "resolved"), ("RED", "firing")),
    severity_values=(("A", "critical"),),
)
MAPPED = {
    "check": {"id": 7, "state": "RED", "class": "A", "name": "Backup"},
    "host": [{"group": "payments"}],
    "text": "it failed",
    "at": "2026-03-02T03:00:00+01:00",
    "meta": {"region": "eu", "replicas": 3},
}

NO_MAPPING = FieldMapping()


def read(body: Any, mapping: FieldMapping = NO_MAPPING) -> Parsed:
    return generic.parse(json.dumps(body).encode(), Limits(), mapping)


def parse(body: Any, mapping: FieldMapping = NO_MAPPING) -> Alert:
    return read(body, mapping).alerts[0]


def test_fields_under_their_common_names() -> None:
    alert = parse(
        {
            "id": "disk-1",
            "title": "Disk full",
            "state": "alerting",
            "priority": "P1",
            "service": {"name": "payments"},
            "message": "97 % of /var",
            "timestamp": "2026-03-02T03:00:00Z",
            "tags": {"host": "db1"},
        }
    )
    assert (alert.fingerprint, alert.status, alert.severity) == ("disk-1", AlertStatus.FIRING, Severity.HIGH)
    assert alert.labels == {"alertname": "Disk full", "service": "payments", "severity": "P1", "host": "db1"}
    assert (alert.summary, alert.starts_at) == ("97 % of /var", datetime(2026, 3, 2, 3, 0, tzinfo=UTC))


def test_fields_by_a_mapping() -> None:
    alert = parse(MAPPED, MAPPING)
    assert (alert.fingerprint, alert.status, alert.severity) == ("7", AlertStatus.FIRING, Severity.CRITICAL)
    assert alert.labels == {
        "alertname": "Backup",
        "service": "payments",
        "severity": "A",
        "region": "eu",
        "replicas": "3",
    }
    assert (alert.summary, alert.source_time) == ("it failed", datetime(2026, 3, 2, 2, 0, tzinfo=UTC))
    green = {**MAPPED, "check": {"id": 7, "state": "GREEN"}}
    assert parse(green, MAPPING).status is AlertStatus.RESOLVED


def test_a_key_may_hold_the_dots_itself() -> None:
    assert parse({"title": "x", "service.name": "payments"}).labels["service"] == "payments"


@pytest.mark.parametrize("word", ["ok", "Resolved", "recovered", "CLOSED", "up"])
def test_words_that_end_an_alert(word: str) -> None:
    assert parse({"title": "x", "status": word}).status is AlertStatus.RESOLVED


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        ({"title": "x"}, "status is absent; the alert is taken to be firing"),
        ({"title": "x", "status": "amber"}, "status is no status that is known; the alert is taken to be firing"),
    ],
)
def test_a_status_that_is_not_known_fires_and_says_so(body: dict[str, Any], warning: str) -> None:
    parsed = read(body)
    assert (parsed.alerts[0].status, parsed.warnings) == (AlertStatus.FIRING, (warning,))


def test_without_an_identity_title_service_and_labels_are_it() -> None:
    body = {"title": "x", "service": "s", "labels": {"host": "a"}}
    same = parse({**body, "status": "ok", "message": "other", "severity": "low"})
    assert parse(body).fingerprint == same.fingerprint
    assert parse(body).fingerprint != parse({**body, "labels": {"host": "b"}}).fingerprint


@pytest.mark.parametrize(
    ("body", "mapping", "field"),
    [
        ([], FieldMapping(), ""),
        ({"status": "firing"}, FieldMapping(), "title"),
        ({"title": "x"}, FieldMapping(fingerprint="check.id"), "check.id"),
    ],
)
def test_what_nothing_identifies_is_refused(body: Any, mapping: FieldMapping, field: str) -> None:
    with pytest.raises(BadBody) as refused:
        parse(body, mapping)
    assert (refused.value.status, refused.value.field) == (422, field)


@given(ODD | st.dictionaries(st.sampled_from([name for names in generic.COMMON.values() for name in names]), ODD))
def test_whatever_comes_is_an_alert_or_a_refusal(body: Any) -> None:
    for mapping in (FieldMapping(), MAPPING):
        try:
            assert parse(body, mapping).fingerprint
        except BadBody:
            continue


# -- the mapping in the configuration ----------------------------------------------------------------------------------

CONFIG = """version: 1
integrations:
  checks:
    source: generic
    mapping:
      fingerprint: check.id
      status: check.state
      status_values: {RED: firing, GREEN: resolved}
"""


def test_the_mapping_is_read_and_written() -> None:
    objects = parse_config(CONFIG, "checks.yaml")
    wanted = FieldMapping(
        fingerprint="check.id", status="check.state", status_values=(("GREEN", "resolved"), ("RED", "firing"))
    )
    assert objects["integration", "checks"] == Integration("checks", "generic", mapping=wanted)
    assert parse_config(dump_config(objects.values()), "again.yaml") == objects


@pytest.mark.parametrize(
    ("before", "after", "line", "problem"),
    [
        ("check.id", "check..id", 6, "`check..id` is not a path of field names"),
        ("GREEN: resolved", "GREEN: fine", 8, "`fine` is not known here"),
        ("status:", "statsu:", 7, "There is no key `statsu` here"),
        ("source: generic", "source: elastic", 4, "Source elastic has a format of its own and no `mapping`"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_said_in_its_place(before: str, after: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigErrors) as wrong:
        parse_config(CONFIG.replace(before, after), "checks.yaml")
    [error] = wrong.value.errors
    assert (error.problem, error.line) == (problem, line)
