"""Verifying a log: nothing is wrong with any that was honestly written, and whatever is altered is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings

from domain.events import EVENT_TYPES
from projections.verify import Walk
from schemas.events import hash_event
from schemas.seals import decode as read_seal
from schemas.seals import encode as seal_bytes
from schemas.seals import public_hex, sign
from streams.store.ledger import Payload
from tests.auditing import KEY, MemoryLedger, seals_over, verify
from tests.eventful import erased, eventful, keeping
from tests.histories import CHANNEL, FORGETFUL, Meddle, Say, histories, live
from tests.world import CONFIG


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    return eventful()


def test_an_honest_log_has_nothing_wrong_and_every_decision_is_made_again(ledger: MemoryLedger) -> None:
    verdict = verify(ledger.seal())
    assert verdict.findings == []
    assert verdict.events == verdict.sealed == verdict.head == len(ledger.rows)
    assert sum(verdict.rederived.values()) == verdict.events


@settings(max_examples=60, deadline=None)
@example([Say(0, True), Meddle("page", 1), Say(1, True)])
@given(histories)
def test_whatever_happens_verifies(history: list[Any]) -> None:
    world, store = keeping(FORGETFUL)
    live(world, history)
    verdict = verify(MemoryLedger.of(store).seal(5))
    assert verdict.findings == []
    assert sum(verdict.rederived.values()) == verdict.events


# -- chain and seals -----------------------------------------------------------------------------------------------


def test_the_tail_that_was_never_sealed_is_counted_and_is_no_fault(ledger: MemoryLedger) -> None:
    ledger.seal(7)
    verdict = verify(replace(ledger, sealed=ledger.sealed[:-2]))
    assert verdict.is_intact
    assert verdict.sealed < verdict.head


def tampered(ledger: MemoryLedger, change: Callable[[list[Any]], None]) -> list[str]:
    rows = list(ledger.rows)
    change(rows)
    return [f"{finding.position} {finding.field}" for finding in verify(replace(ledger.seal(), rows=rows)).findings]


def test_an_event_that_is_missing_is_named(ledger: MemoryLedger) -> None:
    assert "22 position" in tampered(ledger, lambda rows: rows.pop(20))


def test_bytes_that_were_changed_are_named(ledger: MemoryLedger) -> None:
    def change(rows: list[Any]) -> None:
        rows[30] = replace(rows[30], state=rows[30].state.replace(b"2026-03", b"2025-03"))

    assert "31 hash" in tampered(ledger, change)


def test_an_event_that_does_not_continue_the_one_before_it_is_named(ledger: MemoryLedger) -> None:
    line = next(line for line in ledger.rows if line.version == 2)

    def change(rows: list[Any]) -> None:
        state = line.state.replace(b'"prev":"', b'"prev":"00')
        digest = hash_event(line.stream, line.version, line.type, state)
        rows[line.position - 1] = replace(line, state=state, hash=digest)

    assert f"{line.position} prev" in tampered(ledger, change)


def test_a_version_that_was_skipped_is_named(ledger: MemoryLedger) -> None:
    def change(rows: list[Any]) -> None:
        digest = hash_event(rows[30].stream, 9, rows[30].type, rows[30].state)
        rows[30] = replace(rows[30], version=9, hash=digest)

    assert "31 version" in tampered(ledger, change)


def test_a_hash_column_that_was_changed_is_named(ledger: MemoryLedger) -> None:
    def change(rows: list[Any]) -> None:
        rows[30] = replace(rows[30], hash=b"\0" * 32)

    assert tampered(ledger, change) == ["31 hash"]


def test_two_events_in_exchanged_places_are_named(ledger: MemoryLedger) -> None:
    def change(rows: list[Any]) -> None:
        one, other = rows[0], rows[1]
        rows[0], rows[1] = replace(other, position=1), replace(one, position=2)

    assert tampered(ledger, change) == ["0 seal 1, root"]


def test_an_event_whose_bytes_are_nothing_is_named(ledger: MemoryLedger) -> None:
    def change(rows: list[Any]) -> None:
        rows[30] = replace(rows[30], state=b"{}")

    assert {"31 hash", "31 "} <= set(tampered(ledger, change))


def test_a_chain_that_was_rewritten_without_the_key_is_not_what_was_sealed(ledger: MemoryLedger) -> None:
    ledger.seal()
    forged = ledger.altered(40, lambda document: document["decision"].update(decided_at="2026-03-02T03:00:00Z"))
    verdict = Walk(replace(forged, sealed=ledger.sealed), "default", set(), decisions=False).verify()
    assert {finding.field.partition(", ")[2] for finding in verdict.findings if finding.position == 0} == {"root"}


def test_the_log_cut_off_behind_a_seal_is_named(ledger: MemoryLedger) -> None:
    found = tampered(ledger, lambda rows: rows.__delitem__(slice(-3, None)))
    assert found[-1].endswith("last")


@pytest.mark.parametrize(
    ("field", "value"),
    [("number", 9), ("first", 2), ("previous", "00" * 32), ("store", "another"), ("root", "00" * 32)],
)
def test_a_seal_with_another_field_is_named_even_when_it_is_signed_again(
    ledger: MemoryLedger, field: str, value: Any
) -> None:
    seals = seals_over(ledger.rows, 7)
    seals[1] = sign(replace(seals[1], **{field: value}), KEY)
    verdict = verify(replace(ledger, sealed=[seal_bytes(seal) for seal in seals]))
    assert f"seal {seals[1].number}, {field}" in {finding.field for finding in verdict.findings}


def test_a_seal_that_is_changed_and_not_signed_again_is_named(ledger: MemoryLedger) -> None:
    seals = seals_over(ledger.rows, 7)
    forged = replace(seals[1], sealed_at=seals[1].sealed_at.replace(year=2020))
    documents = [seal_bytes(seal) for seal in (seals[0], forged, *seals[2:])]
    fields = [finding.field for finding in verify(replace(ledger, sealed=documents)).findings]
    assert fields == ["seal 2, signature", "seal 3, previous"]


def test_a_seal_by_another_key_is_named(ledger: MemoryLedger) -> None:
    ledger.seal()
    verdict = Walk(ledger, "default", {"00" * 32}).verify()
    assert verdict.findings[0].field == "seal 1, key"
    assert read_seal(ledger.sealed[0]).key == public_hex(KEY.public_key())


# -- decisions -----------------------------------------------------------------------------------------------------

LATER = "2026-03-09T00:00:00Z"
STOPPED = {"acknowledged": "resolved", "resolved": "suppressed", "suppressed": "resolved", "merged": "resolved"}
ALTERED: dict[str, tuple[str, object]] = {
    "config.object_put.v1": ("data.object.id", "mallory"),
    "config.object_removed.v1": ("data.id", "mallory"),
    "group.episode_opened.v1": ("data.team", "mallory"),
    "group.alert_fired.v1": ("data.severity", "low"),
    "group.alert_refired.v1": ("data.episode", 7),
    "group.alert_resolved.v1": ("data.episode", 7),
    "group.alert_expired.v1": ("data.last_seen", LATER),
    "group.alert_severity_changed.v1": ("data.severity", "info"),
    "group.alert_flapping.v1": ("data.changes", 99),
    "group.alert_suppressed.v1": ("data.rule", "another"),
    "group.alert_released.v1": ("data.rule", "another"),
    "group.alert_acknowledged.v1": ("data.episode", 7),
    "group.alert_unacknowledged.v1": ("data.incident", "incident-of-another"),
    "group.alert_closed.v1": ("data.closed_at", LATER),
    "group.alert_left.v1": ("data.to", "group-of-another"),
    "group.alert_joined.v1": ("data.came_from", "group-of-another"),
    "group.moved.v1": ("data.before", "incident-of-another"),
    "incident.group_attached.v1": ("data.because", "it looks like it"),
    "incident.group_detached.v1": ("data.number", 99),
    "incident.alerts_split.v1": ("data.number", 99),
    "incident.merged.v1": ("data.number", 99),
    "incident.unmerged.v1": ("data.status", {"triggered": "acknowledged", "acknowledged": "triggered"}),
    "incident.absorbed.v1": ("data.groups", []),
    "incident.parted.v1": ("data.groups", []),
    "incident.opened.v1": ("data.title", "nothing"),
    "incident.severity_changed.v1": ("data.before", "info"),
    "incident.acknowledged.v1": ("decision.config_revision", 3),
    "incident.unacknowledged.v1": ("decision.config_revision", 3),
    "incident.started.v1": ("decision.config_revision", 3),
    "incident.resolved.v1": ("data.reason", {"alerts_ended": "person", "person": "alerts_ended"}),
    "incident.reannounced.v1": ("decision.config_revision", 3),
    "incident.reopened.v1": ("decision.config_revision", 3),
    "incident.assigned.v1": ("data.users", ["ada", "ada"]),
    "incident.commented.v1": ("data.text.digest", "00" * 32),
    "intake.alerts_lost.v1": ("data.first", 7),
    "escalation.started.v1": ("data.policy.loops", 9),
    "escalation.step_notified.v1": ("data.next_at", LATER),
    "escalation.step_skipped.v1": ("data.next_at", LATER),
    "escalation.step_delayed.v1": ("data.step", 7),
    "escalation.stopped.v1": ("data.reason", STOPPED),
    "escalation.exhausted.v1": ("data.due_at", LATER),
    "page.queued.v1": ("data.user", "mallory"),
    "page.sent.v1": ("data.possible_repeat", {True: False, False: True}),
    "page.failed.v1": ("data.delivery", "another"),
    "page.unknown.v1": ("data.delivery", "another"),
    "page.cancelled.v1": ("data.reason", STOPPED),
}
NOT_DECIDED = {"erasure.payload_erased.v1"}
"""A request."""


def test_every_type_of_event_is_altered_here_and_happened() -> None:
    assert set(ALTERED) | NOT_DECIDED == set(EVENT_TYPES)


def put(document: dict[str, Any], path: str, value: object) -> None:
    *parts, last = path.split(".")
    for part in parts:
        document = document[part]
    before = document[last]
    document[last] = value[before] if isinstance(value, dict) else value
    assert document[last] != before


@pytest.mark.parametrize("event_type", sorted(ALTERED))
def test_one_decided_field_altered_hashed_and_sealed_with_the_real_key_is_named(
    ledger: MemoryLedger, event_type: str
) -> None:
    field, value = ALTERED[event_type]
    lines = [line for line in ledger.rows if line.type == event_type]
    assert lines
    for line in lines:
        forged = ledger.altered(line.position, lambda document: put(document, field, value)).seal()
        first = verify(forged).findings[0]
        assert (first.position, first.type) == (line.position, event_type), first


def test_a_read_at_another_version_is_named(ledger: MemoryLedger) -> None:
    line = next(line for line in ledger.rows if orjson.loads(line.state)["decision"]["reads"])

    def change(document: dict[str, Any]) -> None:
        document["decision"]["reads"][0][1] += 1

    first = verify(ledger.altered(line.position, change).seal()).findings[0]
    assert (first.position, first.field.split(".")[1]) == (line.position, "reads")


@pytest.mark.parametrize(
    ("event_type", "field", "value"),
    [
        ("group.alert_resolved.v1", "source_time", LATER),
        ("incident.severity_changed.v1", "repeat.source_time", LATER),
        ("incident.severity_changed.v1", "repeat.prior.severity", "critical"),
        ("group.alert_expired.v1", "heard_until", "2026-03-02T03:00:00Z"),
        ("escalation.stopped.v1", "in_flight", ["page-x"]),
    ],
)
def test_what_an_input_said_cannot_be_altered_either(
    ledger: MemoryLedger, event_type: str, field: str, value: object
) -> None:
    """Of these, an event of the type says something that follows from its input."""
    found = []
    for line in ledger.rows:
        if line.type == event_type and ("repeat" not in field or orjson.loads(line.state)["data"]["repeat"]):
            forged = ledger.altered(line.position, lambda document: put(document, f"data.{field}", value)).seal()
            found.append((line.position, verify(forged).findings))
    assert found
    assert all(findings and findings[0].position <= position for position, findings in found), found


def test_how_an_alert_was_before_must_agree_with_its_group(ledger: MemoryLedger) -> None:
    line = next(line for line in ledger.rows if line.type == "group.alert_refired.v1")
    forged = ledger.altered(line.position, lambda document: put(document, "data.prior.status", "firing")).seal()
    assert (line.position, "data.prior") in {(f.position, f.field) for f in verify(forged).findings}


# -- erased and missing inputs -------------------------------------------------------------------------------------


def test_an_erased_input_leaves_the_chain_intact_and_says_where_it_was_erased(ledger: MemoryLedger) -> None:
    refs = tuple(ref for ref in ledger.kept if ref.startswith("alert/"))
    verdict = verify(erased(ledger, refs, said=True).seal())
    assert verdict.findings == []
    assert set(verdict.erased) == {len(ledger.rows) + 1}


def test_an_erased_user_leaves_the_steps_that_reached_them_unproved_and_nothing_wrong(ledger: MemoryLedger) -> None:
    refs = tuple(ref for ref in ledger.kept if ref.startswith("config-"))
    verdict = verify(erased(ledger, refs, said=True).seal())
    assert verdict.findings == []
    assert "escalation.step_notified.v1" not in verdict.rederived


def test_a_step_that_reached_a_teams_channel_is_proved_though_every_user_was_erased() -> None:
    alone = CHANNEL[1][0], CHANNEL[1][1].replace("{team: search}, {team: search, role: primary}", "{team: search}")
    world, store = keeping(CONFIG.replace(*CHANNEL[0]).replace(*alone))
    world.fire("Disk", service="catalogue")
    world.advance(minutes=6)
    ledger = MemoryLedger.of(store)
    verdict = verify(erased(ledger, tuple(ref for ref in ledger.kept if ref.startswith("config-")), said=True).seal())
    assert verdict.findings == []
    assert verdict.rederived["escalation.step_notified.v1"] == verdict.rederived["page.queued.v1"] == 1


@pytest.mark.parametrize("said", [True, False])
def test_a_missing_input_without_an_event_is_tampering(ledger: MemoryLedger, said: bool) -> None:
    refs = tuple(ref for ref in ledger.kept if ref.startswith("alert/"))[:1]
    assert verify(erased(ledger, refs, said).seal()).is_intact is said


def test_an_input_that_was_exchanged_is_named(ledger: MemoryLedger) -> None:
    ref = next(ref for ref in ledger.kept if ref.startswith("alert/"))
    salt, body = ledger.kept[ref].salt, ledger.kept[ref].body
    assert body is not None
    kept = {**ledger.kept, ref: Payload(salt, body.replace(b"critical", b"low"))}
    first = verify(replace(ledger.seal(), kept=kept)).findings[0]
    assert (first.type, first.field) == ("group.alert_fired.v1", "data.payload.digest")


def test_what_other_rules_decided_is_counted_and_not_judged(ledger: MemoryLedger) -> None:
    forged = ledger.altered(40, lambda document: document["decision"].update(rules_version=0)).seal()
    assert verify(forged).other_rules[0] == 1
