"""Alertmanager's webhook becomes alerts, by contract page 02. What is no good body: `test_alertmanager_refusals.py`."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.alerts import Alert, AlertStatus
from domain.severity import Severity
from schemas.sources import SOURCES, Limits
from schemas.sources.alertmanager import parse
from schemas.sources.normalise import fnv_fingerprint, parse_time
from schemas.sources.redaction import REDACTED
from tests.asking import CAPTURED_BYTES as CAPTURED

STARTED = datetime(2026, 11, 20, 21, 26, 47, 632000, UTC)


def member(**changes: Any) -> dict[str, Any]:
    """A good member of `alerts`, changed; None removes a key."""
    alert: dict[str, Any] = json.loads(CAPTURED)["alerts"][0] | changes
    return {key: value for key, value in alert.items() if value is not None}


def body(*members: object, **changes: Any) -> bytes:
    return json.dumps({**json.loads(CAPTURED), "alerts": list(members), **changes}).encode()


def one(**changes: Any) -> Alert:
    """The alert of a body with one member."""
    (alert,) = parse(body(member(**changes))).alerts
    return alert


class TestAGoodBody:
    def test_the_captured_payload(self) -> None:
        parsed = SOURCES["alertmanager"](CAPTURED, Limits())
        assert parsed.alerts == (
            Alert(
                fingerprint="955bdf9692ad12ea",
                status=AlertStatus.FIRING,
                severity=Severity.CRITICAL,
                labels={"alertname": "ServiceDown", "job": "my-service", "severity": "page"},
                annotations={"summary": "down", "runbook_url": "https://rb.example/x"},
                source_time=STARTED,
                starts_at=STARTED,
                ends_at=None,
                summary="down",
                links=(("runbook", "https://rb.example/x"), ("source", "http://prom:9090/graph?g0.expr=up")),
            ),
        )
        assert json.loads(parsed.raw) == json.loads(CAPTURED)
        assert (parsed.rejected, parsed.warnings) == ((), ())

    def test_each_alert_has_its_own_status(self) -> None:
        ended = "2026-11-20T22:00:00Z"
        parsed = parse(body(member(), member(status="resolved", endsAt=ended), status="resolved"))
        assert [alert.status for alert in parsed.alerts] == [AlertStatus.FIRING, AlertStatus.RESOLVED]
        assert parsed.alerts[1].source_time == parsed.alerts[1].ends_at == datetime(2026, 11, 20, 22, tzinfo=UTC)
        assert parsed.alerts[1].starts_at == STARTED

    @pytest.mark.parametrize(
        ("label", "severity"),
        [
            ("critical", Severity.CRITICAL),
            ("Warning", Severity.MEDIUM),
            ("odd", Severity.MEDIUM),
            (None, Severity.MEDIUM),
        ],
    )
    def test_severity_comes_from_its_label(self, label: str | None, severity: Severity) -> None:
        assert one(labels={"alertname": "X", "severity": label}).severity is severity

    @pytest.mark.parametrize(
        ("annotations", "summary"),
        [
            ({"summary": "s", "description": "d", "message": "m"}, "s"),
            ({"summary": " ", "description": "d\n", "message": "m"}, "d"),
            ({"message": "m"}, "m"),
            ({"other": "o"}, ""),
            (None, ""),
        ],
    )
    def test_summary_is_the_first_that_says_something(self, annotations: dict[str, str] | None, summary: str) -> None:
        assert one(annotations=annotations).summary == summary

    def test_links_are_runbook_dashboard_source(self) -> None:
        links = one(annotations={"dashboard": "http://g/d", "runbook_url": "https://r"}, generatorURL="http://p").links
        assert links == (("runbook", "https://r"), ("dashboard", "http://g/d"), ("source", "http://p"))

    @pytest.mark.parametrize(
        "url", ["javascript:alert(1)", "ftp://x/y", "see the wiki", "https://x/\ny", 'http://x/"><b>']
    )
    def test_only_web_addresses_become_links(self, url: str) -> None:
        parsed = parse(body(member(annotations={"runbook_url": url}, generatorURL="")))
        assert parsed.alerts[0].links == ()
        assert parsed.warnings[0].startswith("alerts[0].annotations.runbook_url is not an http or https address")

    def test_truncation_is_a_warning(self) -> None:
        parsed = parse(body(member(), truncatedAlerts=3))
        assert len(parsed.alerts) == 1
        assert "left that many alerts" in parsed.warnings[0]
        assert "`max_alerts`" in parsed.warnings[0]

    def test_old_and_new_optional_fields_may_be_absent(self) -> None:
        bare = {"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": "X"}}]}
        (alert,) = parse(json.dumps(bare).encode()).alerts
        assert (alert.source_time, alert.starts_at, alert.ends_at, alert.links) == (None, None, None, ())

    def test_a_body_without_alerts_is_empty(self) -> None:
        assert parse(body()).alerts == ()


class TestFingerprints:
    def test_the_algorithm_is_that_of_prometheus(self) -> None:
        """Source of the value: prometheus/common model/signature_test.go."""
        labels = {"name": "garland, briggs", "fear": "love is not enough"}
        assert int(fnv_fingerprint(labels), 16) == 5799056148416392346
        assert int(fnv_fingerprint({}), 16) == 14695981039346656037

    @pytest.mark.parametrize("absent", [None, "", 7, "with space", "x" * 129])
    def test_an_absent_or_unusable_one_is_computed(self, absent: object) -> None:
        assert one(fingerprint=absent).fingerprint == fnv_fingerprint(member()["labels"])

    def test_empty_labels_do_not_count(self) -> None:
        labels = {**member()["labels"], "empty": "", "null": None}
        alert = one(fingerprint=None, labels=labels)
        assert alert.labels == member()["labels"]
        assert alert.fingerprint == one(fingerprint=None).fingerprint

    def test_alerts_that_differ_in_a_secret_stay_two(self) -> None:
        first, second = (one(fingerprint=None, labels={"alertname": "X", "token": word}) for word in ("a1", "b2"))
        assert first.labels == second.labels == {"alertname": "X", "token": REDACTED}
        assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-20T21:26:47Z", datetime(2026, 11, 20, 21, 26, 47, 0, UTC)),
        ("2026-11-20T21:26:47.6Z", datetime(2026, 11, 20, 21, 26, 47, 600000, UTC)),
        ("2026-11-20T21:26:47.123456789Z", datetime(2026, 11, 20, 21, 26, 47, 123456, UTC)),
        ("2026-11-20T21:26:47.632+05:30", datetime(2026, 11, 20, 15, 56, 47, 632000, UTC)),
        ("2026-11-20t21:26:47-08:00", datetime(2026, 11, 21, 5, 26, 47, 0, UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00.000+01:00", None),
    ],
)
def test_times_of_rfc_3339(text: str, time: datetime | None) -> None:
    assert parse_time(text) == time


NO_TIMES = (
    "",
    "now",
    "2026-11-20",
    "2026-11-20 21:26:47Z",
    "2026-11-20T21:26:47",
    "2026-13-20T21:26:47Z",
    "2026-11-20T25:00:00Z",
    "9999-12-31T23:59:59-01:00",
    "2026-11-20T21:26:47.1234567890Z",
    "２026-11-20T21:26:47Z",
    "2026-11-20T21:26:47+99:00",
)


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_is_unknown_and_does_not_lose_the_alert(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        parse_time(text)
    parsed = parse(body(member(startsAt=text or "x")))
    assert parsed.alerts[0].starts_at is parsed.alerts[0].source_time is None
    assert parsed.warnings[0].startswith("alerts[0].startsAt is not a")
