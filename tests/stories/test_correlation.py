"""Correlation: what depends on something that is broken already belongs to that incident, and nobody is told twice."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from domain.belonging import GroupAttached
from domain.correlating import CANDIDATES
from domain.merging import Merge
from schemas.received import received
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams.fold import Arrival, Fold
from streams.store.base import Save, Store, TrackingMove
from streams.store.memory import MemoryStore
from tests.auditing import KeepingStore, MemoryLedger, verify
from tests.memory_world import ORG, MemoryWorld
from tests.world import CONFIG, alert, webhook

SERVICES = """services:
  postgres: {team: platform, policy: two-steps, environment: production}
  payments: {team: search, policy: search-only, environment: production, dependencies: [postgres]}
  checkout: {team: search, policy: search-only, environment: production, dependencies: [payments, checkout]}
  standby: {team: search, policy: search-only, environment: staging, dependencies: [postgres]}
"""
RULES = """
correlation_rules:
  upstream: {within: 10m, same: ['@environment']}
"""
BASE = CONFIG.replace("services:\n", SERVICES).replace("  payments: {team: platform, policy: two-steps}\n", "")


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld(config=BASE + RULES)
    yield made
    made.close()


@pytest.fixture
def kept() -> Iterator[MemoryWorld]:
    store = KeepingStore()
    made = MemoryWorld(store, BASE + RULES)
    store.wall = made.now
    yield made
    made.close()


def attached(world: MemoryWorld) -> list[GroupAttached]:
    return [one.event for one in world.store.tail(0, 10_000) if isinstance(one.event, GroupAttached)]


def test_what_depends_on_what_is_broken_joins_its_incident_and_says_why(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(minutes=2, seconds=10)
    world.fire("Slow", service="payments")
    world.fire("Empty", service="checkout")
    world.expect_incidents(1)
    first, second = attached(world)
    assert (first.reason, first.rule) == ("correlation", "upstream")
    assert first.because == "payments depends on postgres, whose INC-1 was opened 2 min 10 s before"
    assert second.because == "checkout depends, through payments, on postgres, whose INC-1 was opened 2 min 10 s before"
    world.advance(hours=1)
    world.expect_nothing()


def test_it_is_over_when_all_that_joined_has_ended(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.fire("Slow", service="payments")
    world.end("Down", service="postgres")
    world.expect_incident("INC-1", status="triggered")
    world.ack("INC-1")
    world.end("Slow", service="payments")
    world.expect_incident("INC-1", status="resolved")
    world.fire("Slow", service="payments")
    world.expect_page("edsger", "INC-2")
    world.ack("INC-2", by="edsger")


def test_it_is_as_severe_as_the_worst_that_joined(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres", severity="high")
    world.expect_page("ada", "INC-1")
    world.fire("Slow", service="payments", severity="low")
    world.expect_incident("INC-1", severity="high")
    world.fire("Empty", service="checkout", severity="critical")
    world.expect_incident("INC-1", severity="critical")
    world.ack("INC-1")


def test_what_begins_much_later_or_elsewhere_is_an_incident_of_its_own(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.fire("Down", service="standby")
    world.expect_page("edsger", "INC-2")
    world.ack("INC-2", by="edsger")
    world.advance(minutes=10, seconds=5)
    world.fire("Slow", service="payments")
    world.expect_page("edsger", "INC-3")
    world.ack("INC-3", by="edsger")
    assert attached(world) == []


def test_what_others_depend_on_pages_for_itself(world: MemoryWorld) -> None:
    world.fire("Slow", service="payments")
    world.expect_page("edsger", "INC-1")
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-2")
    world.ack("INC-1", by="edsger")
    world.ack("INC-2")


def test_an_incident_that_somebody_resolved_is_not_joined(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.resolve("INC-1")
    world.fire("Slow", service="payments")
    world.expect_page("edsger", "INC-2")
    world.command("reopen", "INC-1")
    world.expect_page("ada", "INC-1")
    world.fire("Empty", service="checkout")
    world.expect_incidents(2)
    [joined] = attached(world)
    assert joined.because.startswith("checkout depends on payments, whose INC-2")
    world.ack("INC-1")
    world.ack("INC-2", by="edsger")


def test_a_merged_incident_leads_to_the_one_that_it_was_merged_into(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.fire("Down", service="standby")
    world.expect_page("edsger", "INC-2")
    world.order(Merge(world._streams()["INC-2"]), "INC-1")
    world.fire("Slow", service="payments")
    world.expect_incidents(2)
    world.ack("INC-2")
    [joined] = attached(world)
    assert joined.because.endswith("postgres, whose INC-1 (merged into INC-2) was opened at the same time")
    world.end("Down", service="postgres")
    world.end("Down", service="standby")
    world.expect_incident("INC-2", status="acknowledged")
    world.end("Slow", service="payments")
    world.expect_incident("INC-2", status="resolved")
    world.fire("Slow", service="payments")
    world.expect_page("edsger", "INC-3")
    world.ack("INC-3", by="edsger")


def merged_and_over(world: MemoryWorld, many: int = CANDIDATES) -> str:
    """Incidents of postgres are merged into one, and that is resolved; returns what it is called."""
    for number in range(many + 1):
        world.fire(f"Down{number}", service="postgres")
        world.expect_page("ada", f"INC-{number + 1}")
        world.advance(seconds=5)
    for number in range(many):
        world.merge(f"INC-{number + 1}", f"INC-{many + 1}")
    world.resolve(f"INC-{many + 1}")
    return f"INC-{many + 1}"


def all_verifies(world: MemoryWorld) -> bool:
    """Whether every decision comes out the same again."""
    assert isinstance(world.store, KeepingStore)
    return verify(MemoryLedger.of(world.store).seal()).findings == []


def test_however_many_were_merged_and_are_over_the_one_that_is_open_is_joined(kept: MemoryWorld) -> None:
    merged_and_over(kept)
    kept.fire("Down", service="postgres")
    kept.expect_page("ada", "INC-7")
    kept.fire("Slow", service="payments")
    kept.expect_incidents(7)
    [joined] = attached(kept)
    assert joined.because == "payments depends on postgres, whose INC-7 was opened at the same time"
    kept.ack("INC-7")
    assert all_verifies(kept)


def test_what_was_merged_leads_to_the_other_again_when_that_was_not_over(kept: MemoryWorld) -> None:
    winner = merged_and_over(kept)
    kept.command("reopen", winner)
    kept.expect_page("ada", winner)
    kept.fire("Slow", service="payments")
    kept.expect_incidents(6)
    [joined] = attached(kept)
    assert "whose INC-1 (merged into INC-6)" in joined.because
    assert kept.command("unmerge", "INC-1") == "triggered"
    kept.expect_page("ada", "INC-1")
    kept.resolve(winner)
    kept.fire("Empty", service="checkout")
    assert attached(kept)[1].because.endswith("on postgres, whose INC-1 was opened 30 s before")
    kept.ack("INC-1")
    assert all_verifies(kept)


def test_what_is_merged_into_what_nobody_may_acknowledge_is_in_nobodys_way() -> None:
    routes = "  routes:\n    - {matchers: ['category=\"security\"'], ack: refused}\n"
    world = MemoryWorld(KeepingStore(), BASE.replace("  routes:\n", routes) + RULES)
    world.fire("Break-in", service="postgres", category="security")
    world.expect_page("ada", "INC-1")
    for number in range(2, CANDIDATES + 2):
        world.fire(f"Down{number}", service="postgres")
        world.expect_page("ada", f"INC-{number}")
        world.advance(seconds=5)
        world.merge(f"INC-{number}", "INC-1")
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-7")
    world.fire("Slow", service="payments")
    world.expect_incidents(7)
    assert "whose INC-7 " in attached(world)[0].because
    world.ack("INC-7")
    world.resolve("INC-1")
    assert all_verifies(world)
    world.close()


def test_what_ends_and_begins_again_is_still_of_the_incident_that_is_open(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.fire("Slow", service="payments")
    world.end("Slow", service="payments")
    world.advance(minutes=30)
    world.fire("Slow", service="payments")
    world.expect_incidents(1)


def test_what_arrives_together_is_one_incident(world: MemoryWorld) -> None:
    start = world.now()
    together = [alert(name, {"service": of}, start) for name, of in (("Down", "postgres"), ("Slow", "payments"))]
    world.post(webhook(together))
    world.expect_page("ada", "INC-1")
    world.expect_incidents(1)
    world.ack("INC-1")


def test_what_was_silenced_joins_when_the_silence_ends(world: MemoryWorld) -> None:
    world.silence(5, service="payments")
    world.fire("Slow", service="payments")
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.expect_incidents(1)
    world.advance(minutes=6)
    world.expect_incidents(1)
    [joined] = attached(world)
    assert joined.because == "payments depends on postgres, whose INC-1 was opened 5 min before"


def test_what_is_silenced_joins_nothing(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.silence(60, service="payments")
    world.fire("Slow", service="payments")
    assert attached(world) == []
    world.end("Down", service="postgres")
    world.expect_incident("INC-1", status="resolved")


def test_an_incident_that_is_kept_quiet_is_announced_by_what_joins_it(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.silence(60, service="postgres")
    world.advance(minutes=6)
    world.expect_nothing()
    world.fire("Slow", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.expect_incidents(1)


def test_what_begins_again_in_a_quiet_incident_that_is_shared_announces_it(world: MemoryWorld) -> None:
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    world.fire("Slow", service="payments")
    world.silence(60, service="postgres")
    world.end("Slow", service="payments")
    world.advance(minutes=6)
    world.expect_nothing()
    world.fire("Slow", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_what_cannot_be_acknowledged_joins_nothing_and_is_joined_by_nothing() -> None:
    routes = "  routes:\n    - {matchers: ['category=\"security\"'], ack: refused}\n"
    world = MemoryWorld(config=BASE.replace("  routes:\n", routes) + RULES)
    world.fire("Down", service="postgres", category="security")
    world.expect_page("ada", "INC-1")
    world.fire("Slow", service="payments")
    world.expect_page("edsger", "INC-2")
    world.fire("Break-in", service="checkout", category="security")
    world.expect_page("edsger", "INC-3")
    for name in ("INC-1", "INC-2", "INC-3"):
        world.resolve(name)
    assert attached(world) == []
    world.close()


def test_ways_of_one_alert_keep_their_own_incidents() -> None:
    routes = (
        "  routes:\n    - {matchers: ['service=\"postgres\"'], team: search, policy: search-only, continue: true}\n"
    )
    routes += "    - {matchers: ['service=\"postgres\"']}\n"
    rule = "correlation_rules: {site: {within: 5m, over: same, same: [site]}}\n"
    world = MemoryWorld(config=BASE.replace("  routes:\n", routes) + rule)
    world.fire("Down", service="postgres", site="x")
    world.expect_page("edsger", "INC-1")
    world.expect_page("ada", "INC-2")
    world.fire("Slow", service="payments", site="x")
    [joined] = attached(world)
    assert joined.because.endswith(", which was opened at the same time, has the same site")
    world.ack("INC-1", by="edsger")
    world.ack("INC-2")
    world.close()


def test_only_what_opened_by_what_a_rule_names_is_joined() -> None:
    matchers = "matchers: ['@severity!=\"critical\"'], incident_matchers: ['@severity=\"critical\"']"
    world = MemoryWorld(config=f"{BASE}correlation_rules: {{r: {{within: 5m, {matchers}}}}}\n")
    world.fire("Slow", service="postgres", severity="low")
    world.expect_page("ada", "INC-1")
    world.fire("Slow", service="payments", severity="low")
    world.expect_page("edsger", "INC-2")
    world.fire("Down", service="postgres", severity="critical")
    world.expect_page("ada", "INC-3")
    world.fire("Down", service="payments", severity="critical")
    world.expect_page("edsger", "INC-4")
    world.fire("Odd", service="payments", severity="low")
    assert "INC-3" in attached(world)[0].because
    for name in ("INC-1", "INC-2", "INC-3", "INC-4"):
        world.ack(name)
    world.close()


# -- races ---------------------------------------------------------------------------------------------------------


@dataclass
class RacedStore(MemoryStore):
    """A store in which something happens just before the next save."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)

    def save(self, save: Save) -> int:
        while self.meanwhile:
            self.meanwhile.pop()()
        return super().save(save)


@pytest.fixture
def raced() -> Iterator[MemoryWorld]:
    made = MemoryWorld(RacedStore(), BASE + RULES)
    yield made
    made.close()


def elsewhere(world: MemoryWorld, name: str, service: str, store: Store | None = None) -> None:
    """Another worker folds an alert, from another partition."""
    body = json.dumps(webhook([alert(name, {"service": service}, world.now())])).encode()
    parsed = SOURCES["alertmanager"](body, DEFAULT_LIMITS)
    record = received("r-elsewhere", "alertmanager", world.now(), parsed.alerts, parsed.raw, b"salt")
    move = TrackingMove("default", "alerts", 1, -1, 0)
    Fold(store or world.store, ORG, world.now, timedelta(seconds=60), timedelta(seconds=30)).save(
        [Arrival(record, "default/alerts/1@0")], (move,)
    )


def meanwhile(world: MemoryWorld, happens: Callable[[], object]) -> None:
    assert isinstance(world.store, RacedStore)
    world.store.meanwhile.append(happens)


def test_two_workers_at_once_open_one_incident(raced: MemoryWorld) -> None:
    meanwhile(raced, lambda: elsewhere(raced, "Down", "postgres"))
    raced.receive_only("Slow", "payments")
    raced.settle()
    raced.expect_page("ada", "INC-2")
    raced.expect_incidents(1)
    raced.ack("INC-2")


def test_an_incident_that_is_resolved_meanwhile_is_not_joined(raced: MemoryWorld) -> None:
    world = raced
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    meanwhile(world, lambda: world.command_only("resolve", "INC-1", "ada"))
    world.receive_only("Slow", "payments")
    world.settle()
    assert attached(world) == []
    said = world.next_message("edsger")
    assert said
    world.ack(said.incidents[0], by="edsger")
