"""What a rule suppresses and releases is counted once for each event saved, whoever decides it."""

from collections import Counter

import pytest
from prometheus_client import REGISTRY

from domain.groups import AlertReleased, AlertSuppressed
from streams.store.base import Conflict, Save
from streams.store.memory import MemoryStore
from tests.memory_world import MemoryWorld
from tests.stories.test_heartbeats import INDEX, Watched

REASONS = ("silence", "inhibition", "maintenance_window", "time_interval", "flapping", "suppression_window")


def counted() -> Counter[tuple[str, str]]:
    labels = [(reason, change) for reason in REASONS for change in ("suppressed", "released")]
    name = "tocsin_alerts_suppressed_total"
    found = {one: REGISTRY.get_sample_value(name, {"reason": one[0], "change": one[1]}) or 0 for one in labels}
    return Counter({one: int(count) for one, count in found.items()})


def saved(world: MemoryWorld) -> Counter[tuple[str, str]]:
    events = [recorded.event for recorded in world.store.tail(0, 10_000)]
    found = Counter((event.reason, "suppressed") for event in events if isinstance(event, AlertSuppressed))
    return found + Counter((event.reason, "released") for event in events if isinstance(event, AlertReleased))


def test_what_is_suppressed_as_it_fires_is_counted_like_its_release() -> None:
    world, before = MemoryWorld(), counted()
    world.silence(10, service="payments")
    world.fire("Down", service="payments")
    assert counted() - before == {("silence", "suppressed"): 1}
    world.fire("Down", service="payments")
    world.advance(minutes=11)
    assert counted() - before == {("silence", "suppressed"): 1, ("silence", "released"): 1} == saved(world)


def test_what_fires_already_is_counted() -> None:
    world, before = MemoryWorld(), counted()
    world.fire("Down", service="payments")
    world.silence(10, service="payments")
    assert counted() - before == {("silence", "suppressed"): 1} == saved(world)


def test_a_heartbeat_that_is_missed_and_not_spoken_of_is_counted() -> None:
    world, before = Watched(INDEX), counted()
    world.ping("index")
    world.silence(60, service="catalogue")
    world.advance(minutes=6)
    assert counted() - before == {("silence", "suppressed"): 1} == saved(world)


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_decided_again_is_counted_once(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world, before = MemoryWorld(), counted()
    world.silence(10, service="payments")
    save, left = MemoryStore.save, [Conflict("something has moved")] * times

    def later(store: MemoryStore, wanted: Save) -> int:
        if left:
            raise left.pop()
        return save(store, wanted)

    monkeypatch.setattr(MemoryStore, "save", later)
    world.receive_only("Down")
    assert not left
    assert counted() - before == {("silence", "suppressed"): 1} == saved(world)
