"""The inbox reader: what was taken while Kafka was away is folded, once, whoever else has it."""

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.received import decode, encode, received, split
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams.fold import MAX_ALERTS, Arrival, batches
from streams.inbox import InboxReader
from streams.store.base import InboxRow, Save, TrackingMove
from streams.store.deciding import open_book
from tests.memory_world import ORG, MemoryWorld
from tests.world import alert, webhook


class InboxWorld(MemoryWorld):
    """A world whose webhooks go to the inbox, as while Kafka is away."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = InboxReader(self.store, self.fold)
        self.rows: list[InboxRow] = []

    def receive(self, body: dict[str, Any], received_at: datetime) -> None:
        parsed = SOURCES["alertmanager"](json.dumps(body).encode(), DEFAULT_LIMITS)
        name = f"r-{next(self._receipts):06}"
        whole = received(
            name, "alertmanager", received_at, parsed.alerts, parsed.raw, b"salt", rejected=parsed.rejected
        )
        rows = [InboxRow(name, part.part, key, encode(part), received_at) for key, part in split(ORG, whole, 3)]
        self.rows += rows
        self.store.put_inbox(rows)

    def read(self) -> int:
        folded = self.reader.step()
        self.settle()
        return folded

    def topic_copies(self) -> None:
        """The forwarder wrote the topic's copies, and the worker folds them."""
        for row in self.rows:
            move = TrackingMove("default", "alerts", 0, self.offset, self.offset + 1)
            self.offset += 1
            self.fold.save([Arrival(decode(row.body), f"default/alerts/0@{self.offset}")], (move,))
        self.settle()


@pytest.fixture
def world() -> Iterator[InboxWorld]:
    made = InboxWorld()
    yield made
    made.close()


def test_what_is_in_the_inbox_pages_people(world: InboxWorld) -> None:
    world.fire("Down", service="payments")
    assert world.read() == 1
    world.expect_page("ada", "INC-1")
    [opened] = world.incidents()
    assert opened.title == "Down (payments)"
    [fired] = [e for e in world.store.tail(0, 1000) if e.type == "group.alert_fired.v1"]
    assert fired.decision.cause.pointer == "inbox/r-000001/1"
    assert world.read() == 0


def test_the_topics_copy_of_what_was_folded_changes_nothing(world: InboxWorld) -> None:
    world.fire("Down", service="payments")
    world.read()
    world.expect_page("ada", "INC-1")
    head = world.store.head()
    world.topic_copies()
    assert world.store.head() == head


def test_what_the_topic_had_first_is_not_folded_again_from_the_inbox(world: InboxWorld) -> None:
    world.fire("Down", service="payments")
    world.topic_copies()
    world.expect_page("ada", "INC-1")
    head = world.store.head()
    assert world.read() == 1
    assert (world.store.head(), world.read()) == (head, 0)


def test_a_resolve_that_took_the_other_way_is_not_undone_by_the_late_copy_of_the_fire(world: InboxWorld) -> None:
    world.fire("Down", service="payments")
    world.read()
    world.expect_page("ada", "INC-1")
    world.advance(seconds=10)
    world.end("Down", service="payments")
    world.read()
    world.topic_copies()
    assert [seen.status for seen in world.incidents()] == ["resolved"]


def test_rows_are_folded_together_and_in_order_up_to_a_limit(world: InboxWorld) -> None:
    for size in (120, 120, 30, 50, 300, 1):
        members = [
            alert("Storm", {"service": "payments", "instance": f"{len(world.rows)}/{n}"}, world.now())
            for n in range(size)
        ]
        world.receive(webhook(members), world.now() + timedelta(milliseconds=len(world.rows)))
    read = [(row, _read(row)) for row in world.store.claim_inbox(-1, 100)]
    found = list(batches(read))
    assert [row for batch in found for row, _ in batch] == [row for row, _ in read]
    sizes = [[len(arrival.record.alerts) for _, arrival in batch if isinstance(arrival, Arrival)] for batch in found]
    assert all(sum(size) <= MAX_ALERTS or len(size) == 1 for size in sizes)
    assert len(sizes) < len(read)
    while world.read():
        pass
    world.expect_page("ada", "INC-1")
    assert len([e for e in world.store.tail(0, 10_000) if e.type == "group.alert_fired.v1"]) == 621


def test_a_row_folded_elsewhere_does_not_stop_the_others(world: InboxWorld) -> None:
    for name in ("One", "Two", "Three"):
        world.fire(name, service="payments")
    claimed = world.store.claim_inbox(-1, 10)
    batch = [(row, arrival) for row, arrival in zip(claimed, map(_read, claimed), strict=True)]
    world.store.save(Save(open_book(world.store, ORG, []), inbox=((claimed[1].receipt, claimed[1].part),)))
    world.reader._save(batch)
    world.settle()
    assert [seen.title for seen in world.incidents()] == ["One (payments)", "Three (payments)"]
    world.expect_page("ada", *(seen.name for seen in world.incidents()))
    assert world.read() == 0


def _read(row: InboxRow) -> Arrival:
    return Arrival(decode(row.body), f"inbox/{row.receipt}/{row.part}")


def test_a_row_that_cannot_be_read_becomes_a_dead_letter_and_a_person_is_told(world: InboxWorld) -> None:
    world.fire("Down", service="payments")
    world.store.put_inbox([InboxRow("r-bad", 1, b"alertmanager:0", b"\xff{", world.now())])
    assert world.read() == 2
    [dead] = world.store.dead_letters("unreadable/inbox/r-bad/1")
    assert (dead.integration, dead.body) == ("alertmanager", b"\xff{")
    world.expect_page("ada", "INC-1", "INC-2")
    assert world.read() == 0


async def test_the_reader_stops_when_it_is_told() -> None:
    world = InboxWorld()
    stopping = asyncio.Event()
    world.receive(webhook([alert("Down", {"service": "payments"}, world.now())]), world.now())
    running = asyncio.create_task(world.reader.run(stopping))
    async with asyncio.timeout(5):
        while not world.store.head() or not world.incidents():
            await asyncio.sleep(0.01)
        stopping.set()
        await running
