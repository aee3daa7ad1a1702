"""Inhibition: while one thing is known to be broken, what follows from it is not spoken of."""

from collections.abc import Iterator

import pytest

from domain.groups import AlertReleased, AlertSuppressed
from tests.memory_world import MemoryWorld
from tests.world import CONFIG

RULES = """
inhibition_rules:
  worse:
    source_matchers: ['severity="critical"']
    target_matchers: ['severity="low"']
    equal: [service, region]
  site:
    source_matchers: ['alertname="SiteDown"']
    target_matchers: ['service=~".+"']
    equal: [region]
"""


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld(config=CONFIG + RULES)
    yield made
    made.close()


def suppressed(world: MemoryWorld) -> list[AlertSuppressed | AlertReleased]:
    events = (recorded.event for recorded in world.store.tail(0, 10_000))
    return [event for event in events if isinstance(event, AlertSuppressed | AlertReleased)]


def test_a_warning_is_not_spoken_of_while_a_critical_alert_fires(world: MemoryWorld) -> None:
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.fire("Slow", service="payments", severity="low")
    world.fire("Slow", service="catalogue", severity="low")
    world.expect_page("edsger", "INC-2")
    [why] = suppressed(world)
    assert why.reason == "inhibition"
    assert isinstance(why, AlertSuppressed)
    assert why.by
    world.end("Down", service="payments")
    world.expect_page("ada", "INC-3")
    world.expect_incident("INC-3", title="Slow (payments)")
    world.ack("INC-2", by="edsger")
    world.ack("INC-3")


def test_a_warning_that_was_first_is_not_paged_about_any_more(world: MemoryWorld) -> None:
    world.fire("Slow", service="payments", severity="low")
    world.expect_page("ada", "INC-1")
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")
    world.advance(minutes=30)
    world.expect_incident("INC-1", status="triggered")
    world.end("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_only_what_has_equal_labels_is_inhibited(world: MemoryWorld) -> None:
    world.fire("Down", service="payments", region="eu")
    world.expect_page("ada", "INC-1")
    world.fire("Slow", service="payments", severity="low", region="us")
    world.expect_page("ada", "INC-2")
    world.ack("INC-1")
    world.ack("INC-2")


def test_it_is_inhibited_as_long_as_any_source_fires(world: MemoryWorld) -> None:
    for name, incident in (("Down", "INC-1"), ("Gone", "INC-2")):
        world.fire(name, service="payments")
        world.expect_page("ada", incident)
        world.ack(incident)
    world.fire("Slow", service="payments", severity="low")
    world.end("Down", service="payments")
    world.expect_incidents(2)
    world.end("Gone", service="payments")
    world.expect_page("ada", "INC-3")
    world.ack("INC-3")


def test_what_matches_both_sides_does_not_inhibit_itself(world: MemoryWorld) -> None:
    world.fire("SiteDown", service="payments", region="eu")
    world.expect_page("ada", "INC-1")
    world.fire("Slow", service="catalogue", region="eu")
    world.expect_incidents(1)
    world.ack("INC-1")
    world.end("SiteDown", service="payments", region="eu")
    world.expect_page("edsger", "INC-2")
    world.ack("INC-2", by="edsger")


def test_a_rule_that_is_made_later_counts_for_what_fires_already() -> None:
    world = MemoryWorld()
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.fire("Slow", service="payments", severity="low")
    world.expect_page("ada", "INC-2")
    world.configure(CONFIG + RULES)
    world.settle()
    world.advance(minutes=30)
    world.expect_nothing()
    world.configure(CONFIG)
    world.settle()
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")
    world.close()
