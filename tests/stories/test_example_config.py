"""The example configuration, as it is shipped, on what `tocsin fire` posts."""

from pathlib import Path

import pytest

from compose.scenarios import SCENARIOS, webhooks
from domain.groups import AlertFlapping
from tests.memory_world import MemoryWorld

EXAMPLE = Path(__file__).parents[2] / "compose" / "example"


@pytest.fixture
def world() -> MemoryWorld:
    files = [file.read_text(encoding="utf-8") for file in sorted(EXAMPLE.glob("*.yaml"))]
    return MemoryWorld(config="version: 1\n" + "\n".join(text.replace("version: 1\n", "") for text in files))


def play(world: MemoryWorld, name: str, seconds: float) -> None:
    """A scenario as `tocsin fire` plays it, a turn every so many seconds."""
    scenario = SCENARIOS[name]
    for turn in range(2 * scenario.times - 1):
        for body in webhooks(scenario.samples, turn % 2 == 0, world.now()):
            world.post(body)
        world.advance(seconds=seconds)


@pytest.mark.parametrize("seconds", [2, 20])
def test_what_comes_and_goes_wakes_nobody_and_is_one_incident(world: MemoryWorld, seconds: float) -> None:
    play(world, "flap", seconds)
    world.expect_nothing()
    world.expect_incidents(1)
    said = [e for e in world.store.tail(0, 1000) if isinstance(e.event, AlertFlapping)]
    assert len(said) == 1
    world.expect_incident("INC-1", status="resolved")


def test_what_still_fires_when_it_has_been_steady_is_announced(world: MemoryWorld) -> None:
    play(world, "flap", 2)
    world.advance(minutes=9)
    world.expect_nothing()
    world.advance(minutes=2)
    assert {said.incidents for said in world.leftover()} == {("INC-2",)}


def test_what_is_critical_pages_at_once_and_again_in_the_same_incident(world: MemoryWorld) -> None:
    play(world, "critical_api_down", 60)
    told = world.leftover()
    assert told
    scenario = SCENARIOS["critical_api_down"]
    for fires in (False, True):
        for body in webhooks(scenario.samples, fires, world.now()):
            world.post(body)
    again = world.leftover()[len(told) :]
    assert {said.incidents for said in (*told, *again)} == {("INC-1",)} and again
    world.expect_incidents(1)
