"""The stores that the contract suite is asked of."""

from collections.abc import Iterator

import pytest

from streams.store.base import (
    Store,
)
from streams.store.memory import MemoryStore
from streams.store.postgres import PostgresStore


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    real = PostgresStore(request.getfixturevalue("store_dsn"))
    yield real
    real.close()
