"""What is thrown at Alertmanager's webhook and is none: refused as a whole or member by member, never an error."""

import json
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.severity import Severity
from schemas.problems import of_bad_body
from schemas.sources import BadBody, Limits, Parsed
from schemas.sources.alertmanager import parse
from schemas.sources.bodies import read_json
from tests.asking import CAPTURED_BYTES as CAPTURED
from tests.unit.test_alertmanager_source import body, member, one


def refused(raw: bytes, limits: Limits | None = None) -> BadBody:
    with pytest.raises(BadBody) as caught:
        parse(raw, limits or Limits())
    return caught.value


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
