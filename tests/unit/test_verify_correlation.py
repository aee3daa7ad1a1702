"""Verification makes the choice of an incident again: what was wrongly opened, or wrongly joined, is found."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pytest

from domain.belonging import GroupAttached
from domain.correlating import Candidate, Candidates, Spot
from domain.merging import Merge
from tests.auditing import KeepingStore, MemoryLedger, verify
from tests.eventful import erased
from tests.memory_world import MemoryWorld
from tests.stories.test_correlation import BASE, RULES


@dataclass
class WrongStore(KeepingStore):
    """Tells of no incident that may be joined, or of the same one wherever anybody looks."""

    blind: bool = False
    everywhere: Candidate | None = None

    def candidates(self, spots: Mapping[Spot, datetime]) -> Candidates:
        found = KeepingStore.candidates(self, spots)
        if self.blind:
            return Candidates({}, found.seen)
        if self.everywhere:
            return Candidates(dict.fromkeys(spots, (self.everywhere,)))
        return found


@pytest.fixture
def world() -> MemoryWorld:
    store = WrongStore()
    made = MemoryWorld(store, BASE + RULES)
    store.wall = made.now
    return made


def findings(world: MemoryWorld) -> list[tuple[str, str]]:
    assert isinstance(world.store, KeepingStore)
    return [(found.type, found.field) for found in verify(MemoryLedger.of(world.store).seal()).findings]


def test_what_was_joined_rightly_verifies(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.fire("Slow", service="payments", severity="high")
    world.resolve("INC-1")
    world.fire("Empty", service="checkout")
    world.fire("Slower", service="payments")
    world.advance(minutes=11)
    world.fire("Odd", service="payments")
    attached = [event for event in world.store.tail(0, 1_000) if isinstance(event.event, GroupAttached)]
    assert len(attached) == 1
    assert findings(world) == []


def test_what_opened_although_it_had_to_join_is_found(world: MemoryWorld) -> None:
    assert isinstance(world.store, WrongStore)
    world.fire("Down", service="postgres")
    world.store.blind = True
    world.fire("Slow", service="payments")
    world.expect_incidents(2)
    assert ("group.episode_opened.v1", "data.incident") in findings(world)


def test_what_joined_although_it_had_to_open_is_found(world: MemoryWorld) -> None:
    assert isinstance(world.store, WrongStore)
    world.fire("Down", service="standby")
    world.store.everywhere = Candidate(world._streams()["INC-1"], world.now(), "")
    world.fire("Slow", service="payments")
    world.expect_incidents(1)
    assert findings(world)


def test_what_joined_an_incident_whose_opening_was_erased_is_believed(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.fire("Slow", service="payments")
    world.fire("Empty", service="checkout")
    world.fire("Other", service="standby")
    world.order(Merge(world._streams()["INC-2"]), "INC-1")
    world.fire("Again", service="checkout")
    assert isinstance(world.store, KeepingStore)
    ledger = MemoryLedger.of(world.store)
    first = next(ref for ref in ledger.kept if ref.startswith("alert/"))
    verdict = verify(erased(ledger, (first,), said=True).seal())
    assert verdict.findings == []
    assert verdict.rederived["incident.group_attached.v1"] == 3
