"""Every story runs in memory, and on the real stack."""

from collections.abc import Iterator

import pytest

from tests.memory_world import MemoryWorld
from tests.world import World


@pytest.fixture
def world() -> Iterator[World]:
    world = MemoryWorld()
    yield world
    world.close()
