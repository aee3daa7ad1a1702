"""A database that goes away between a claim and what it was made for: people do not wait for the lease to end."""

import pytest

from streams.store.base import Save, Unavailable
from streams.store.memory import MemoryStore
from tests.memory_world import MemoryWorld
from tests.unit.test_inbox import InboxWorld


def no_room_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next save finds a full disk, those after it find room."""
    save, full = MemoryStore.save, iter([True])

    def saved(store: MemoryStore, what: Save) -> int:
        if next(full, False):
            raise Unavailable("Postgres does not answer (DiskFull)")
        return save(store, what)

    monkeypatch.setattr(MemoryStore, "save", saved)


def test_a_claimed_deadline_is_decided_as_soon_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    world = MemoryWorld()
    world.receive_only("Disk")
    no_room_once(monkeypatch)
    with pytest.raises(Unavailable):
        world.pager.step()
    world.settle()
    world.expect_page("ada", "INC-1")
    world.close()


def test_a_claimed_row_of_the_inbox_is_folded_as_soon_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    world = InboxWorld()
    world.fire("Disk", service="payments")
    no_room_once(monkeypatch)
    with pytest.raises(Unavailable):
        world.reader.step()
    assert world.read() == 1
    world.expect_page("ada", "INC-2")  # the attempt has used up a number
    world.close()
