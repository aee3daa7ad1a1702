"""A gateway before a real store and real read models: what happens is projected when it is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from gateway.app import build
from projections.queries import Queries
from projections.runner import Projector
from schemas.settings import Settings
from streams.store.postgres import PostgresStore
from tests.gateway_world import SECURED, GatewayWorld
from tests.memory_world import MemoryWorld


class ReadWorld(MemoryWorld):
    """The world on a real store; `ask` reads it over HTTP as it is now."""

    def __init__(self, dsn: str, front: GatewayWorld, **settings: Any) -> None:
        self._projector = Projector(PostgresStore(dsn), dsn)
        self._queries = Queries(dsn, pool_size=2)
        super().__init__(PostgresStore(dsn), SECURED)
        self._front = front
        parts = replace(front.parts, store=self.store, queries=self._queries, clock=self.now, wall=self.now)
        front.app = build(replace(parts, settings=Settings(**settings)))

    def project(self) -> None:
        """The read models catch up."""
        while self._projector.step():
            pass

    def response(self, path: str, **query: Any) -> Any:
        """The response to a viewer's question."""
        self.project()
        return self._front.ask(path, params=query)

    def ask(self, path: str, **query: Any) -> Any:
        """The answer to a viewer's question."""
        response = self.response(path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def as_nobody(self, path: str) -> Any:
        """The response to somebody without a key."""
        return self._front.request("GET", path)

    def let_go(self) -> None:
        """Close every connection."""
        self._projector.leave()
        self._projector.store.close()
        self._queries.close()
        self.store.close()


@contextmanager
def read_world(dsn: str) -> Iterator[ReadWorld]:
    """A world on a database that has the write side's tables and the read models'."""
    with GatewayWorld() as front:
        world = ReadWorld(dsn, front)
        try:
            yield world
        finally:
            world.let_go()
