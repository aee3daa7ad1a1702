"""Whatever comes from outside is understood or refused by name: every source within its limits, files, durations."""

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.config_errors import ConfigErrors
from schemas.config_files import parse_documents
from schemas.durations import parse_duration
from schemas.sources import DEFAULT_LIMITS, SOURCES, BadBody, Parsed
from tests.world import CONFIG

FIXED = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
SMALL = replace(
    DEFAULT_LIMITS,
    max_alerts=3,
    max_labels=4,
    max_annotations=4,
    max_name=12,
    max_label_value=20,
    max_annotation_value=30,
    max_url=40,
)

WORDS = st.sampled_from(
    ["firing", "resolved", "active", "ok", "critical", "4", "2026-03-02T03:00:00Z", "https://x.test/"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=15), inner, max_size=6),
    max_leaves=8,
)
KEYS = [
    "labels",
    "annotations",
    "tags",
    "status",
    "state",
    "alert_name",
    "alert_id",
    "title",
    "fingerprint",
    "startsAt",
]
MEMBERS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)
ALERTMANAGERS = st.fixed_dictionaries({"version": st.just("4"), "alerts": st.lists(MEMBERS, max_size=4)})
ELASTICS = st.fixed_dictionaries({"alert_name": st.text(min_size=1), "state": st.just({"state": "active"})})
BODIES = st.binary() | (VALUES | MEMBERS | ALERTMANAGERS | st.builds(dict.__or__, MEMBERS, ELASTICS)).map(
    lambda value: json.dumps(value).encode()
)


@pytest.mark.parametrize("source", SOURCES)
@FIXED
@given(raw=BODIES)
def test_a_source_understands_within_its_limits_or_refuses(source: str, raw: bytes) -> None:
    try:
        parsed = SOURCES[source](raw, SMALL)
    except BadBody as refused:
        assert refused.status in (400, 413, 422)
        assert refused.problem
        assert refused.remedy
        return
    assert_within_limits(parsed)


def assert_within_limits(parsed: Parsed) -> None:
    assert len(parsed.alerts) + len(parsed.rejected) <= SMALL.max_alerts
    for alert in parsed.alerts:
        assert 1 <= len(alert.fingerprint) <= 256
        assert len(alert.labels) <= SMALL.max_labels
        assert len(alert.annotations) <= SMALL.max_annotations
        assert all(len(value) <= SMALL.max_label_value for value in alert.labels.values())
        assert all(len(value) <= SMALL.max_annotation_value for value in alert.annotations.values())
        assert all(len(name) <= SMALL.max_name for name in (*alert.labels, *alert.annotations))
        assert all(len(url) <= SMALL.max_url for _, url in alert.links)
        assert len(alert.summary) <= SMALL.max_annotation_value
        assert "\0" not in "".join((*alert.labels.values(), *alert.annotations.values(), alert.fingerprint))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b'{"a":1,"a":2}', 400),
        (b'{"a":1e999}', 400),
        (b"{}" + b" " * 4_194_304, 413),
    ],
    ids=["nested", "no UTF-8", "a key twice", "a number too large", "too many bytes"],
)
def test_a_source_refuses_what_is_hostile(source: str, raw: bytes, status: int) -> None:
    with pytest.raises(BadBody) as refused:
        SOURCES[source](raw, DEFAULT_LIMITS)
    assert refused.value.status == status


CUT = st.tuples(
    st.integers(0, len(CONFIG)), st.sampled_from(["", ":", "- ", "{", "&a ", "*a", "!!python/x ", "\t", "\0"])
)
TEXTS = st.text() | CUT.map(lambda cut: CONFIG[: cut[0]] + cut[1] + CONFIG[cut[0] :])


@FIXED
@given(st.dictionaries(st.text(max_size=20), TEXTS, max_size=3))
def test_documents_are_understood_together_or_refused_with_places(documents: dict[str, str]) -> None:
    try:
        parse_documents(documents, {})
    except ConfigErrors as refused:
        assert refused.errors
        assert {error.file for error in refused.errors} <= {*documents, ""}
        assert all(error.problem and error.remedy for error in refused.errors)


@FIXED
@given(st.text() | st.text(alphabet="0123456789ywdhms. -", max_size=40))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert 0 <= parse_duration(text) <= 366 * 86_400
    except ValueError as refused:
        assert str(refused).startswith("it is ")
