"""How often one person is messaged: nothing is lost, nothing waits for more than a minute."""

from collections.abc import Iterator

import pytest

from streams.pager import Pager
from tests.memory_world import ORG, MemoryWorld


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld()
    channels = {"email": made.channel}
    made.pager = Pager(made.store, ORG, made.now, channels, pages_per_minute=3)
    yield made
    made.close()


def storm(world: MemoryWorld, count: int, service: str = "payments") -> None:
    """Incidents, a second apart."""
    for number in range(count):
        world.fire(f"{service}-{number}", service=service)
        world.advance(seconds=1)


def test_what_is_over_the_limit_leaves_as_one_message_within_a_minute(world: MemoryWorld) -> None:
    storm(world, 10)
    for number in (1, 2, 3):
        world.expect_page("ada", f"INC-{number}")
    world.expect_nothing()
    world.advance(seconds=51)
    page = world.expect_page("ada", *(f"INC-{number}" for number in range(4, 11)))
    assert page.subject.startswith("7 incidents")


def test_one_persons_limit_is_not_anothers(world: MemoryWorld) -> None:
    storm(world, 4)
    world.fire("Index", service="catalogue")
    world.expect_page("edsger", "INC-5")
    for number in (1, 2, 3):
        world.expect_page("ada", f"INC-{number}")
    world.advance(minutes=1)
    world.expect_page("ada", "INC-4")


def test_an_acknowledgement_still_cancels_what_waits(world: MemoryWorld) -> None:
    storm(world, 5)
    for number in (1, 2, 3):
        world.expect_page("ada", f"INC-{number}")
    world.ack("INC-4")
    world.advance(minutes=2)
    world.expect_page("ada", "INC-5")
