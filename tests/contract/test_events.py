"""Stored events: their bytes are golden, nothing is lost on the way, and their hash covers everything.

After a deliberate change of an event, look at the difference and write the golden files anew with
`python -m tests.contract.test_events`. A change of an event that is already stored somewhere needs a new version.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.changes import ObjectPut
from domain.config import Member, Team
from domain.decision import Decision
from domain.events import EVENT_TYPES, Event
from schemas.events import UnknownEvent, decode, encode, hash_event
from tests.samples import CONFIG_SAMPLES, DECISION, SAMPLES

GOLDEN = Path(__file__).parents[1] / "golden" / "events"
PREV = bytes(range(32))


def golden(event: Event) -> Path:
    return GOLDEN / f"{event.type}.json"


def pretty(event: Event) -> str:
    return json.dumps(json.loads(encode(event, DECISION, PREV)), indent=2, ensure_ascii=False) + "\n"


def test_every_event_has_a_sample_and_a_golden_file() -> None:
    assert {event.type for event in SAMPLES} == set(EVENT_TYPES)
    assert {file.stem for file in GOLDEN.glob("*.json")} == set(EVENT_TYPES)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.type)
def test_the_bytes_of_an_event_are_golden(event: Event) -> None:
    assert pretty(event) == golden(event).read_text(encoding="utf-8")


@pytest.mark.parametrize("event", [*SAMPLES, *CONFIG_SAMPLES], ids=lambda event: event.type)
def test_an_event_is_read_back_as_it_was_written(event: Event) -> None:
    stored = decode(event.type, encode(event, DECISION, PREV))
    assert (stored.data, stored.decision, stored.prev) == (event, DECISION, PREV.hex())


def test_a_team_that_was_stored_before_teams_had_channels_is_read() -> None:
    put = ObjectPut(Team("platform", (Member("ada", "primary"),)))
    document = json.loads(encode(put, DECISION, PREV))
    assert document["data"]["object"].pop("contacts") == []
    assert decode(put.type, json.dumps(document).encode()).data == put


st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"])))
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))

EVENTS = st.one_of([st.from_type(event) for event in EVENT_TYPES.values() if not event.type.startswith("config.")])


@given(EVENTS, st.from_type(Decision))
def test_nothing_of_any_event_is_lost(event: Event, decision: Decision) -> None:
    once = encode(event, decision, b"")
    stored = decode(event.type, once)
    assert encode(stored.data, stored.decision, b"") == once


@given(st.sampled_from(SAMPLES), st.integers(0, 10_000), st.integers(1, 255))
def test_changing_any_byte_changes_the_hash(event: Event, place: int, change: int) -> None:
    state = bytearray(encode(event, DECISION, PREV))
    before = hash_event("incident-x", 3, event.type, bytes(state))
    state[place % len(state)] ^= change
    assert hash_event("incident-x", 3, event.type, bytes(state)) != before


def test_the_hash_tells_stream_version_and_type_apart() -> None:
    hashes = {
        hash_event("incident-x", 1, "t", b"s"),
        hash_event("incident-x", 11, "t", b"s"),
        hash_event("incident-x1", 1, "t", b"s"),
        hash_event("incident-x", 1, "ts", b""),
        hash_event("incident-x", 1, "t", b"s1"),
    }
    assert len(hashes) == 5


def test_an_event_of_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(UnknownEvent, match=r"incident.opened.v99"):
        decode("incident.opened.v99", b"{}")


if __name__ == "__main__":
    for sample in SAMPLES:
        golden(sample).write_text(pretty(sample), encoding="utf-8")
