"""A route that says `continue`: an alert goes several ways, and each has an incident of its own."""

from collections.abc import Iterator

import pytest

from tests.memory_world import MemoryWorld
from tests.world import CONFIG

ROUTES = """
    - {matchers: ['service="payments"'], team: search, policy: search-only, continue: true}
    - {matchers: ['severity="critical"'], severity: low}
"""


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld(config=CONFIG.replace("  routes:\n", "  routes:" + ROUTES))
    yield made
    made.close()


def both_paged(world: MemoryWorld, *incidents: str) -> None:
    world.expect_page("edsger", incidents[0])
    world.expect_page("ada", incidents[1])


def test_two_teams_are_told_and_each_has_its_incident(world: MemoryWorld) -> None:
    world.fire("Down", service="payments")
    both_paged(world, "INC-1", "INC-2")
    world.expect_incident("INC-1", team="search", severity="critical")
    world.expect_incident("INC-2", team="platform", severity="low")
    world.ack("INC-1", by="edsger")
    world.advance(minutes=5)
    world.expect_page("grace", "INC-2")
    world.ack("INC-2", by="grace")
    world.fire("Down", service="payments")
    world.end("Down", service="payments")
    for name in ("INC-1", "INC-2"):
        world.expect_incident(name, status="resolved")
    world.fire("Down", service="payments")
    both_paged(world, "INC-3", "INC-4")
    world.resolve("INC-3")
    world.resolve("INC-4")


def test_an_alert_that_goes_one_way_has_one(world: MemoryWorld) -> None:
    world.fire("Down", service="catalogue")
    world.expect_page("edsger", "INC-1")
    world.expect_incidents(1)
    world.ack("INC-1", by="edsger")


def test_it_ends_on_the_ways_that_it_took_when_it_began(world: MemoryWorld) -> None:
    world.fire("Down", service="payments")
    both_paged(world, "INC-1", "INC-2")
    world.configure(CONFIG)
    world.end("Down", service="payments")
    for name in ("INC-1", "INC-2"):
        world.expect_incident(name, status="resolved")


def test_it_is_silenced_on_all_of_them(world: MemoryWorld) -> None:
    world.fire("Down", service="payments")
    both_paged(world, "INC-1", "INC-2")
    silence = world.silence(minutes=60, service="payments")
    world.advance(minutes=30)
    world.expect_nothing()
    world.end_silence(silence)
    both_paged(world, "INC-1", "INC-2")
    world.ack("INC-1", by="edsger")
    world.ack("INC-2")


def test_it_expires_on_all_of_them(world: MemoryWorld) -> None:
    world.fire("Down", service="payments")
    both_paged(world, "INC-1", "INC-2")
    world.ack("INC-1", by="edsger")
    world.ack("INC-2")
    world.advance(hours=9)
    for name in ("INC-1", "INC-2"):
        world.expect_incident(name, status="resolved")
