"""The record on the `alerts` topic: read back as written, malformed never fatal, one part per shard."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.alerts import Alert, AlertStatus
from domain.severity import Severity
from schemas.received import AlertReceived, BadRecord, alert_key, decode, encode, received, split
from schemas.sources import Rejected

AT = datetime(2026, 11, 20, 21, 27, tzinfo=UTC)

storable = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
texts = st.dictionaries(storable, storable, max_size=4)
times = st.datetimes(timezones=st.just(UTC))
alerts = st.builds(
    Alert,
    fingerprint=storable,
    status=st.sampled_from(AlertStatus),
    severity=st.sampled_from(Severity),
    labels=texts,
    annotations=texts,
    source_time=st.none() | times,
    starts_at=st.none() | times,
    ends_at=st.none() | times,
    summary=storable,
    links=st.lists(st.tuples(storable, storable), max_size=3).map(tuple),
)
rejections = st.builds(Rejected, st.integers(0, 999), storable, storable)
receipts = st.builds(
    received,
    receipt=storable,
    integration=storable,
    received_at=times,
    alerts=st.lists(alerts, max_size=6).map(tuple),
    raw=storable,
    salt=st.binary(min_size=1, max_size=16),
    rejected=st.lists(rejections, max_size=2).map(tuple),
)


def an_alert(fingerprint: str) -> Alert:
    return Alert(fingerprint, AlertStatus.FIRING, Severity.HIGH, {"alertname": "Down"}, source_time=AT)


def a_receipt(*fingerprints: str, rejected: tuple[Rejected, ...] = ()) -> AlertReceived:
    return received("r-1", "am", AT, tuple(map(an_alert, fingerprints)), '{"alerts":[]}', b"salt", rejected)


GOLDEN = (
    '{"receipt":"r-1","integration":"am","received_at":"2026-11-20T21:27:00Z","alerts":[{"fingerprint":"f1",'
    '"status":"firing","severity":"high","labels":{"alertname":"Down"},"annotations":{},'
    '"source_time":"2026-11-20T21:27:00Z","starts_at":null,"ends_at":null,"summary":"","links":[]}],'
    '"raw":"{\\"alerts\\":[]}","raw_digest":"' + sha256(b'salt{"alerts":[]}').hexdigest() + '","salt":"73616c74",'
    '"rejected":[{"index":1,"field":"status","problem":"is missing"}],"part":1,"parts":1,"version":1}'
)


def test_the_bytes_are_the_golden_ones() -> None:
    record = a_receipt("f1", rejected=(Rejected(1, "status", "is missing"),))
    assert encode(record).decode() == GOLDEN
    assert decode(GOLDEN.encode()) == record


@settings(deadline=None)
@given(receipts)
def test_a_record_is_read_back_as_written(record: AlertReceived) -> None:
    again = decode(encode(record))
    assert again == record
    assert encode(again) == encode(record)


@settings(deadline=None)
@given(texts)
def test_the_order_of_labels_does_not_change_the_bytes(labels: dict[str, str]) -> None:
    one = replace(a_receipt(), alerts=(replace(an_alert("f"), labels=labels),))
    other = replace(a_receipt(), alerts=(replace(an_alert("f"), labels=dict(reversed(labels.items()))),))
    assert encode(one) == encode(other)


def test_times_are_kept_in_utc() -> None:
    local = AT.astimezone(timezone(timedelta(hours=2)))
    assert encode(received("r-1", "am", local, (), "", b"salt")) == encode(received("r-1", "am", AT, (), "", b"salt"))
    with pytest.raises(ValueError, match="no time zone"):
        received("r-1", "am", AT.replace(tzinfo=None), (), "", b"salt")


def test_a_reader_ignores_members_it_does_not_know() -> None:
    newer = json.loads(GOLDEN) | {"later": 1}
    newer["alerts"][0]["later"] = [1]
    assert decode(json.dumps(newer).encode()) == decode(GOLDEN.encode())


def test_fields_with_defaults_may_be_absent() -> None:
    older = {name: value for name, value in json.loads(GOLDEN).items() if name != "rejected"}
    assert decode(json.dumps(older).encode()).rejected == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version: "),
        ({"part": 0}, "part: "),
        ({"part": 2}, "part: is larger than parts"),
        ({"received_at": "2026-11-20T21:27:00"}, "received_at: "),
        ({"received_at": 1}, "received_at: "),
        ({"receipt": 7}, "receipt: "),
        ({"alerts": {}}, "alerts: "),
        ({"alerts": [{}]}, "alerts.0.fingerprint: "),
        ({"alerts": None}, "alerts: "),
    ],
)
def test_a_malformed_record_says_where(change: dict[str, object], reason: str) -> None:
    with pytest.raises(BadRecord) as refused:
        decode(json.dumps(json.loads(GOLDEN) | change).encode())
    assert refused.value.reason.startswith(reason)


def test_a_time_without_a_zone_inside_an_alert_is_malformed() -> None:
    with pytest.raises(BadRecord, match=r"alerts\.0: has a time without a zone"):
        decode(GOLDEN.replace('"starts_at":null', '"starts_at":"2026-11-20T21:27:00"').encode())


def nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    nested,
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.binary()
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(sorted(json.loads(GOLDEN))), json_values).map(
        lambda change: json.dumps(json.loads(GOLDEN) | change).encode()
    )
    | st.tuples(st.integers(0, len(GOLDEN)), st.binary(max_size=3)).map(
        lambda cut: GOLDEN.encode()[: cut[0]] + cut[1] + GOLDEN.encode()[cut[0] + 1 :]
    )
)
def test_whatever_the_bytes_a_record_or_bad_record(data: bytes) -> None:
    try:
        assert isinstance(decode(data), AlertReceived)
    except BadRecord as refused:
        assert refused.reason


@pytest.mark.parametrize(
    "data", [b"", b"[" * 100_000, b"\xff\xfe", b"null", b'{"receipt":"\\ud800"}', b"NaN", b"1e999"]
)
def test_hostile_bytes_are_bad_records(data: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(data)


def test_the_key_of_an_alert_never_changes() -> None:
    """Golden: another key would put the reports of one alert into two partitions."""
    assert alert_key("default", "am", "955bdf9692ad12ea", 1) == b"am:0"
    assert {alert_key("default", "am", f"f{n}", 2) for n in range(20)} == {b"am:0", b"am:1"}
    assert alert_key("default", "am", "955bdf9692ad12ea", 24) == b"am:4"
    assert alert_key("other", "am", "955bdf9692ad12ea", 24) == b"am:9"


@settings(deadline=None)
@given(receipts, st.integers(1, 24))
def test_a_split_loses_nothing_and_keeps_each_alert_in_its_shard(record: AlertReceived, shards: int) -> None:
    parts = split("default", record, shards)
    assert len({key for key, _ in parts}) == len(parts) <= shards
    assert [part.part for _, part in parts] == list(range(1, len(parts) + 1))
    assert {part.parts for _, part in parts} <= {len(parts)}
    for key, part in parts:
        assert {alert_key("default", record.integration, a.fingerprint, shards) for a in part.alerts} <= {key}
        mine = [a for a in record.alerts if alert_key("default", record.integration, a.fingerprint, shards) == key]
        assert list(part.alerts) == mine, "the order within a shard is the body's"
        assert part.raw_digest == record.raw_digest
    assert sum(len(part.alerts) for _, part in parts) == len(record.alerts)
    if record.alerts or record.rejected:
        assert "".join(part.raw for _, part in parts) == record.raw, "the body is in one part, not in each"
        assert [r for _, part in parts for r in part.rejected] == list(record.rejected)


def test_a_receipt_of_rejections_alone_is_still_a_record() -> None:
    rejected = (Rejected(0, "status", "is missing"),)
    assert [(key, part.rejected) for key, part in split("default", a_receipt(rejected=rejected), 8)] == [
        (b"am:0", rejected)
    ]
    assert split("default", a_receipt(), 8) == []
