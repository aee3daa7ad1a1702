"""Alertmanager's webhook becomes alerts: by contract page 02, whatever is thrown at it, and without its secrets."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.alerts import Alert, AlertStatus
from domain.severity import Severity
from schemas.problems import of_bad_body
from schemas.sources import SOURCES, BadBody, Limits, Parsed
from schemas.sources.alertmanager import parse
from schemas.sources.bodies import read_json
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


def refused(raw: bytes, limits: Limits | None = None) -> BadBody:
    with pytest.raises(BadBody) as caught:
        parse(raw, limits or Limits())
    return caught.value


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


class TestRefusals:
    @pytest.mark.parametrize(
        ("raw", "what"),
        [
            (b"", "expecting value at line 1, column 1"),
            (b"status=firing", "expecting value"),
            (b'{"version":"4"', "line 1, column 15"),
            (b'{"version":"4"}x', "extra data"),
            (b'{"version":"\xff"}', "byte 12 is not UTF-8"),
            ("\ufeff{}".encode(), "BOM"),
            (CAPTURED.decode().encode("utf-16"), "not UTF-8"),
            (b'{"version":"4","alerts":[],"x":NaN}', "NaN is not a JSON number"),
            (b'{"version":"4","alerts":[],"x":-Infinity}', "-Infinity is not a JSON number"),
            (b'{"version":"4","alerts":[],"x":1e999}', "a number is too large"),
            (b'{"version":"4","alerts":[],"x":' + b"9" * 5000 + b"}", "xceeds the limit"),
            (b'{"version":"4","alerts":[],"alerts":[]}', "the same key twice"),
            (b'{"a\\u0000":1,"a\\ufffd":1}', "the same key twice"),
            (b'{"version":"4","alerts":[],"x":' + b"[" * 40 + b"]" * 40 + b"}", "nested deeper than 32 levels"),
            (b"[" * 1_000_000, "nested deeper"),
            (b'{"a":"tab\there"}', "invalid control character"),
        ],
    )
    def test_not_json_is_400(self, raw: bytes, what: str) -> None:
        error = refused(raw)
        assert (error.status, error.field) == (400, "")
        assert what in error.problem
        assert error.remedy

    @pytest.mark.parametrize(("open_", "close"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
    def test_nesting_is_counted_to_the_level(self, open_: bytes, close: bytes) -> None:
        levels = len(open_.replace(b'"a":', b""))

        def nested(depth: int) -> bytes:
            times = depth // levels
            return b'{"version":"4","alerts":[],"x":' + open_ * times + b"1" + close * times + b"}"

        assert parse(nested(6), Limits(max_depth=7)).alerts == ()
        assert "deeper than 6 levels" in refused(nested(6), Limits(max_depth=6)).problem
        flat = json.dumps([[]] * 100).encode()
        assert refused(b'{"x":' + flat + b"}", Limits(max_depth=3)).status == 422, "beside each other is not deeper"

    def test_a_number_of_any_size_is_kept(self) -> None:
        parsed = parse(body(member(labels={"alertname": "X", "n": 10**30}), extra=-(10**25)))
        assert parsed.alerts[0].labels["n"] == str(10**30)
        assert json.loads(parsed.raw)["extra"] == -(10**25)

    def test_brackets_inside_strings_are_no_nesting(self) -> None:
        assert one(annotations={"summary": '[[[[\\"' * 50}).summary.startswith("[[[[")

    @pytest.mark.parametrize(
        ("raw", "field", "remedy"),
        [
            (body(member(), version="1"), "version", 'Grafana sends "1"'),
            (body(member(), version=4), "version", "has to be upgraded"),
            (b'{"text":"my own template"}', "version", "`payload`"),
            (b"[]", "version", "`payload`"),
            (b'"text"', "version", "`payload`"),
            (b'{"version":"4"}', "alerts", "`payload`"),
            (body(version="4", alerts={}), "alerts", "`payload`"),
        ],
    )
    def test_another_payload_is_422_and_says_so(self, raw: bytes, field: str, remedy: str) -> None:
        error = refused(raw)
        assert (error.status, error.field) == (422, field)
        assert remedy in error.remedy

    def test_too_many_alerts_name_max_alerts(self) -> None:
        error = refused(body(*[member()] * 3), Limits(max_alerts=2))
        assert (error.status, error.field) == (422, "alerts")
        assert "3 alerts; at most 2" in error.problem
        assert "`max_alerts: 2`" in error.remedy

    def test_too_large_is_413_before_it_is_read(self) -> None:
        error = refused(b"\xff" * 11, Limits(max_body_bytes=10))
        assert error.status == 413
        assert "TOCSIN_MAX_BODY_BYTES" in error.remedy

    def test_a_refusal_becomes_a_problem_document(self) -> None:
        document = of_bad_body(refused(b'{"version":"1"}'), instance="/hook", request_id="q1").document()
        assert document["type"] == "/problems/unsupported_payload"
        assert (document["status"], document["field"], document["request_id"]) == (422, "version", "q1")
        assert of_bad_body(refused(b"")).type == "/problems/bad_json"
        assert "field" not in of_bad_body(refused(b"")).document()


class TestBadMembers:
    @pytest.mark.parametrize(
        ("bad", "field", "why"),
        [
            ("text", "", "is not an object"),
            (None, "", "is not an object"),
            (member(status="pending"), "status", 'neither "firing" nor "resolved"'),
            (member(status=None), "status", 'neither "firing" nor "resolved"'),
            (member(labels=None), "labels", "is not an object"),
            (member(labels=["a"]), "labels", "is not an object"),
            (member(labels={}, fingerprint=None), "labels", "nothing identifies the alert"),
            (member(labels={"a": ""}, fingerprint=None), "labels", "nothing identifies the alert"),
        ],
    )
    def test_a_bad_member_is_rejected_and_the_good_go_on(self, bad: object, field: str, why: str) -> None:
        parsed = parse(body(member(), bad, member(fingerprint="f2")))
        assert [alert.fingerprint for alert in parsed.alerts] == ["955bdf9692ad12ea", "f2"]
        (rejected,) = parsed.rejected
        assert (rejected.index, rejected.field) == (1, field)
        assert why in rejected.problem

    def test_a_bent_value_keeps_the_alert_and_warns_without_quoting_it(self) -> None:
        annotations = {"summary": "s" * 5000, "list": ["hunter2"], "n" * 129: "x"}
        parsed = parse(body(member(annotations=annotations, labels={"alertname": "A" * 2000, "count": 3})))
        (alert,) = parsed.alerts
        assert len(alert.summary) == len(alert.annotations["summary"]) == 4096
        assert alert.summary.endswith("s…")
        assert len(alert.labels["alertname"]) == 1024
        assert alert.labels["count"] == "3"
        assert alert.annotations["list"] == '["hunter2"]'
        text = "\n".join(parsed.warnings)
        assert "alerts[0].annotations.summary has 5000 characters and is cut to 4096" in text
        assert "alerts[0].labels.count is not text" in text
        assert "a name of 129 characters" in text
        assert "hunter2" not in text

    def test_too_many_labels_keep_those_that_routing_knows(self) -> None:
        labels = {f"a{n:03}": "x" for n in range(100)} | {"severity": "critical", "service": "payments"}
        parsed = parse(body(member(labels=labels)))
        assert len(parsed.alerts[0].labels) == 64
        assert parsed.alerts[0].labels["service"] == "payments"
        assert parsed.alerts[0].severity is Severity.CRITICAL
        assert parsed.warnings == ("alerts[0].labels has more than 64 names; the rest is left out",)

    def test_warnings_do_not_grow_without_end(self) -> None:
        parsed = parse(body(*[member(startsAt="x")] * 100))
        assert len(parsed.warnings) == 21
        assert parsed.warnings[-1] == "and 80 more warnings"

    def test_what_postgres_cannot_store_is_replaced_everywhere(self) -> None:
        raw = body(member(labels={"a\0b": "x\0\ud800y"}, annotations={"summary": "\udfff\0"}, fingerprint=None))
        parsed = parse(raw)
        assert parsed.alerts[0].labels == {"a\ufffdb": "x\ufffd\ufffdy"}
        assert parsed.alerts[0].summary == "\ufffd\ufffd"
        assert "\0" not in parsed.raw
        parsed.raw.encode()

    @pytest.mark.parametrize("escape", [r"\u0000", r"\uD800", r"\udfff", r"\uDBFF"])
    def test_however_it_is_written(self, escape: str) -> None:
        raw = body(member(annotations={"summary": "x"})).replace(b'"x"', f'"{escape}"'.encode())
        assert parse(raw).alerts[0].summary == "\ufffd"

    def test_a_pair_of_surrogates_is_one_character(self) -> None:
        assert one(annotations={"summary": "\N{FIRE}"}).summary == "\N{FIRE}"


def nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    nested,
    max_leaves=6,
)
odd_members = st.dictionaries(
    st.sampled_from(["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"]),
    json_values | st.dictionaries(st.sampled_from(["severity", "runbook_url", "summary", "token"]), json_values),
).map(lambda changes: member() | changes)
odd_bodies = st.builds(
    lambda members, changes: json.dumps({**json.loads(CAPTURED), "alerts": members, **changes}).encode(),
    st.lists(odd_members | json_values, max_size=3),
    st.dictionaries(st.sampled_from(["version", "alerts", "truncatedAlerts", "status", "x"]), json_values, max_size=2),
)
cut_bodies = st.tuples(st.integers(0, len(CAPTURED)), st.binary(max_size=3)).map(
    lambda cut: CAPTURED[: cut[0]] + cut[1] + CAPTURED[cut[0] + 1 :]
)


@settings(max_examples=300, deadline=None)
@given(st.binary() | cut_bodies | odd_bodies | json_values.map(lambda value: json.dumps(value).encode()))
def test_whatever_the_body_alerts_or_bad_body(raw: bytes) -> None:
    try:
        parsed = parse(raw)
    except BadBody as refusal:
        assert refusal.status in (400, 413, 422)
        assert refusal.problem
        assert refusal.remedy
        return
    members = json.loads(raw)["alerts"]
    assert len(parsed.alerts) + len(parsed.rejected) == len(members), "every member is an alert or a rejection"
    assert_storable(parsed)


def assert_storable(parsed: Parsed) -> None:
    assert read_json(parsed.raw.encode(), Limits()) == json.loads(parsed.raw)
    for alert in parsed.alerts:
        assert alert.fingerprint
        assert all(alert.labels.values())
        assert all(isinstance(value, str) for value in (*alert.labels.values(), *alert.annotations.values()))
        assert all(time is None or time.tzinfo is UTC for time in (alert.source_time, alert.starts_at, alert.ends_at))
