"""Correlation on a real Postgres: who joins, and that two workers at once end with one incident."""

from collections.abc import Callable, Iterator

import pytest

from streams.store.base import Save
from streams.store.postgres import PostgresStore
from tests.memory_world import MemoryWorld
from tests.stories.test_correlation import BASE, RULES, attached, elsewhere, merged_and_over


class RacedStore(PostgresStore):
    """A store in which something happens just before the next save."""

    meanwhile: Callable[[], object] | None = None

    def save(self, save: Save) -> int:
        happens, self.meanwhile = self.meanwhile, None
        if happens:
            happens()
        return super().save(save)


@pytest.fixture
def world(store_dsn: str) -> Iterator[MemoryWorld]:
    store = RacedStore(store_dsn)
    made = MemoryWorld(store, BASE + RULES)
    yield made
    made.close()
    store.close()


def test_a_cascade_is_one_incident_until_all_of_it_has_ended(world: MemoryWorld) -> None:
    world.silence(1, service="checkout")
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-1")
    for name, service in (("Slow", "payments"), ("Empty", "checkout")):
        world.fire(name, service=service)
    world.advance(minutes=2)
    world.expect_incidents(1)
    assert [event.because.partition(" ")[0] for event in attached(world)] == ["payments", "checkout"]
    world.ack("INC-1")
    for name, service in (("Down", "postgres"), ("Slow", "payments"), ("Empty", "checkout")):
        world.expect_incident("INC-1", status="acknowledged")
        world.end(name, service=service)
    world.expect_incident("INC-1", status="resolved")
    world.fire("Slow", service="payments")
    world.expect_page("edsger", "INC-2")
    world.ack("INC-2", by="edsger")


def test_however_many_were_merged_and_are_over_the_one_that_is_open_is_joined(world: MemoryWorld) -> None:
    merged_and_over(world)
    world.fire("Down", service="postgres")
    world.expect_page("ada", "INC-7")
    world.fire("Slow", service="payments")
    world.expect_incidents(7)
    assert "whose INC-7 " in attached(world)[0].because
    world.ack("INC-7")


def test_two_workers_at_once_open_one_incident(world: MemoryWorld, store_dsn: str) -> None:
    assert isinstance(world.store, RacedStore)
    other = PostgresStore(store_dsn)
    world.store.meanwhile = lambda: elsewhere(world, "Down", "postgres", other)
    world.receive_only("Slow", "payments")
    other.close()
    world.settle()
    [seen] = world.incidents()
    world.expect_page("ada", seen.name)
    world.ack(seen.name)
