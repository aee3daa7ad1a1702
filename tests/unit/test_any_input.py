"""Whatever comes from outside is understood or refused by name: every source, within its limits; what becomes of it."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config import FieldMapping
from schemas.received import BadRecord, decode, encode, received, split
from schemas.sources import DEFAULT_LIMITS, SOURCES, BadBody, Limits, Parsed, Parser, generic, rejected_whole
from tests.anything import ALERTMANAGERS, ELASTICS, FIXED, GENERICS, MAPPINGS, VALUES, mostly

SMALL = replace(
    DEFAULT_LIMITS,
    max_body_bytes=2000,
    max_alerts=3,
    max_depth=9,
    max_labels=4,
    max_annotations=4,
    max_name=12,
    max_label_value=20,
    max_annotation_value=30,
    max_url=40,
)
AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
OWN = {"alertmanager": ALERTMANAGERS, "elastic": ELASTICS, "generic": GENERICS}
"""What a source posts, more or less."""
MAPPED = ("mapped", GENERICS)
REACHED = {"alerts", "warnings", "400", "422"}
"""What the bodies of every source come to, as they are generated."""


def bodies(own: st.SearchStrategy[object]) -> st.SearchStrategy[bytes]:
    """`own` most of the time, at times cut, and now and then anything."""
    whole = own.map(lambda value: json.dumps(value).encode())
    cut = st.tuples(whole, st.integers(0, 200)).map(lambda two: two[0][: two[1]])
    return mostly(whole, cut, VALUES.map(lambda value: json.dumps(value).encode()), st.binary(), times=20)


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_understands_within_its_limits_or_refuses(source: str) -> None:
    seen: Counter[str] = Counter()

    @FIXED
    @given(bodies(OWN[source]))
    def read(raw: bytes) -> None:
        seen.update(understood(SOURCES[source], raw, SMALL))

    read()
    more = {"rejected"} if source == "alertmanager" else set[str]()
    assert REACHED | more <= seen.keys(), seen
    assert seen["alerts"] > 10, seen


def test_a_mapping_finds_its_fields_or_refuses() -> None:
    seen: Counter[str] = Counter()

    @FIXED
    @given(bodies(GENERICS), MAPPINGS)
    def read(raw: bytes, mapping: FieldMapping) -> None:
        seen.update(understood(partial(generic.parse, mapping=mapping), raw, SMALL))

    read()
    assert seen.keys() >= REACHED, seen


def understood(parse: Parser, raw: bytes, limits: Limits) -> set[str]:
    """What a body came to; fails when that breaks a limit, or when a refusal names nothing."""
    try:
        parsed = parse(raw, limits)
    except BadBody as refused:
        assert refused.status in (400, 413, 422)
        assert refused.problem
        assert refused.remedy
        if refused.status == 422:
            assert rejected_whole(raw, limits, refused).rejected[0].index == -1
        return {str(refused.status)}
    assert_within_limits(parsed)
    assert_carried(parsed)
    return {name for name in ("alerts", "rejected", "warnings") if getattr(parsed, name)}


def assert_within_limits(parsed: Parsed) -> None:
    assert len(parsed.alerts) + len(parsed.rejected) <= SMALL.max_alerts
    assert "hunter2" not in parsed.raw + repr(parsed.alerts) + "".join(parsed.warnings)
    assert json.loads(parsed.raw.encode()) is not None
    for alert in parsed.alerts:
        assert 1 <= len(alert.fingerprint) <= 256
        assert len(alert.labels) <= SMALL.max_labels
        assert len(alert.annotations) <= SMALL.max_annotations
        assert all(1 <= len(value) <= SMALL.max_label_value for value in alert.labels.values())
        assert all(1 <= len(value) <= SMALL.max_annotation_value for value in alert.annotations.values())
        assert all(1 <= len(name) <= SMALL.max_name for name in (*alert.labels, *alert.annotations))
        assert all(len(url) <= SMALL.max_url for _, url in alert.links)
        assert len(alert.summary) <= SMALL.max_annotation_value
        assert "\0" not in "".join((*alert.labels.values(), *alert.annotations.values(), alert.fingerprint))
        assert all(time is None or time.tzinfo is UTC for time in (alert.source_time, alert.starts_at, alert.ends_at))


def assert_carried(parsed: Parsed) -> None:
    """What was understood comes out of the topic as it went in, in parts that together are the whole."""
    whole = received("r-1", "x", AT, parsed.alerts, parsed.raw, b"salt", parsed.rejected)
    for shards in (1, 3):
        parts = split("default", whole, shards)
        assert [decode(encode(part)) for _, part in parts] == [part for _, part in parts]
        assert sorted(a.fingerprint for _, part in parts for a in part.alerts) == sorted(
            a.fingerprint for a in parsed.alerts
        )
        assert [part.raw for _, part in parts][:1] == [parsed.raw] * bool(parsed.alerts or parsed.rejected)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"[" * 100_000, 400),
        (b'{"a":' * 40 + b"1" + b"}" * 40, 400),
        (b"\xff", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"a":1,"a":2}', 400),
        (b'{"a\\u0000":1,"a\\ud800":2}', 400),
        (b'{"a":1e999}', 400),
        (b'{"a":NaN}', 400),
        (b'{"a":' + b"9" * 5000 + b"}", 400),
        (b"{}" + b" " * 4_194_304, 413),
        (b"[]", 422),
        (b"null", 422),
    ],
    ids=[
        *("nested", "nested objects", "no UTF-8", "a byte order mark", "a key twice", "a key twice once stored"),
        *("a number too large", "not a number", "a number too long", "too many bytes", "a list", "null"),
    ],
)
def test_a_source_refuses_what_is_hostile(source: str, raw: bytes, status: int) -> None:
    with pytest.raises(BadBody) as refused:
        SOURCES[source](raw, DEFAULT_LIMITS)
    assert refused.value.status == status


# -- what is on the topic ------------------------------------------------------------------------------------------

RECORD = encode(
    received(
        "r-1", "x", AT, SOURCES["generic"](b'{"title": "x", "time": "2026-03-02T03:00:00Z"}', SMALL).alerts, "{}", b"s"
    )
)
CUTS = st.tuples(
    st.integers(0, len(RECORD)), st.integers(0, 12), st.sampled_from([b"", b"0", b"null", b'"x"', b"\xff"])
)


def test_any_bytes_are_a_record_or_refused_without_quoting_them() -> None:
    seen: Counter[bool] = Counter()

    @FIXED
    @given(st.binary() | CUTS.map(lambda cut: RECORD[: cut[0]] + cut[2] + RECORD[cut[0] + cut[1] :]))
    def read(data: bytes) -> None:
        try:
            record = decode(data)
        except BadRecord as refused:
            seen[False] += 1
            assert refused.reason
            return
        seen[True] += 1
        assert decode(encode(record)) == record

    read()
    assert min(seen[True], seen[False]) > 5, seen


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"part":1', b'"part":2'),
        (b'"version":1', b'"version":2'),
        (b"2026-03-02T03:00:00Z", b"2026-03-02T03:00:00"),
        (b'"salt":"73"', b'"salt":"7"'),
        (b'"alerts":[', b'"alerts":{"a":['),
    ],
)
def test_a_record_that_is_not_quite_one_is_refused(old: bytes, new: bytes) -> None:
    assert old in RECORD
    with pytest.raises(BadRecord):
        decode(RECORD.replace(old, new))
