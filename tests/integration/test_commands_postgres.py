"""Commands decided by the real store: duplicates at the same time, and a connection that dies after the commit."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from domain.commands import Create, Note, Words
from domain.decision import Actor
from gateway.commands import Origin, execute
from gateway.once import Once
from gateway.parts import Parts
from schemas.api import CommandAnswer
from streams.store.base import Save, Unavailable
from streams.store.postgres import PostgresStore
from tests.gateway_world import GatewayWorld
from tests.memory_world import MemoryWorld

ADA = Actor("user", "ada")
CREATE = Create(Words("The shop is slow", b"s" * 16))


@pytest.fixture
def parts(store_dsn: str) -> Iterator[Parts]:
    """A gateway's parts on an empty, configured Postgres store."""
    store = PostgresStore(store_dsn)
    MemoryWorld(store)
    with GatewayWorld() as world:
        yield replace(world.parts, store=store)
    store.close()


def origin(key: str) -> Origin:
    return Origin("api", "r-1", Once("adas", key, b"digest"))


@pytest.mark.parametrize("count", [8])
def test_duplicates_at_the_same_time_are_decided_once(parts: Parts, count: int) -> None:
    at_once = Barrier(count)

    def ask(_: int) -> CommandAnswer:
        at_once.wait(10)
        return execute(parts, ADA, origin("k"), None, CREATE)

    with ThreadPoolExecutor(count) as threads:
        answers = list(threads.map(ask, range(count)))
    assert len({answer.model_dump_json() for answer in answers}) == 1
    assert answers[0].position == parts.store.head()
    assert [event.type for event in parts.store.tail(0, 1000)].count("incident.opened.v1") == 1


def test_a_comment_is_in_the_payloads_and_its_answer_is_remembered(parts: Parts) -> None:
    made = execute(parts, ADA, origin("create"), None, CREATE)
    note = Note(Words("it was the switch \0", b"s" * 16))
    once = execute(parts, ADA, origin("note"), made.id, note)
    assert (once.changed, once.version, once.position) == (True, 2, parts.store.head())
    assert execute(parts, ADA, origin("note"), made.id, note) == once
    assert not any(b"switch" in event.state or b"shop" in event.state for event in parts.store.raw_tail(0, 1000))


def test_a_connection_lost_after_the_commit_is_found_out(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    save = PostgresStore.save

    def lost(store: Any, what: Save) -> int:
        save(store, what)
        raise Unavailable("the connection was lost")

    monkeypatch.setattr(PostgresStore, "save", lost)
    with pytest.raises(Unavailable):
        execute(parts, ADA, origin("k"), None, CREATE)
    monkeypatch.undo()
    head = parts.store.head()
    assert execute(parts, ADA, origin("k"), None, CREATE).position == head == parts.store.head()
