"""Every story runs in memory and on the real stack: the same words, the same outcome."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.memory_world import MemoryWorld
from tests.stack import CALM, Installation, RealWorld
from tests.world import World


@pytest.fixture(params=["memory", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world of this story's own."""
    if request.param == "memory":
        made: World = MemoryWorld()
        yield made
        made.close()
        return
    new_database: Callable[[], str] = request.getfixturevalue("new_database")
    folder: Path = request.getfixturevalue("tmp_path")
    services = request.getfixturevalue("real_services")
    installation = Installation(services, new_database(), request.getfixturevalue("topic_prefix"), folder, **CALM)
    try:
        made = RealWorld(installation)
        yield made
        made.close()
    finally:
        installation.close()
