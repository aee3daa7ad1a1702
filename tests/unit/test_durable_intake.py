"""Kafka first, then the inbox: what is kept where, when Kafka is no longer waited for, and when it is again."""

import asyncio
import threading
from collections.abc import Collection
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer

from domain.alerts import Alert, AlertStatus
from domain.severity import Severity
from gateway import durable
from gateway.durable import DurableIntake, InboxWriter
from gateway.intake import IntakeUnavailable, KafkaIntake, ReceiptTooLarge, _settled
from schemas.received import AlertReceived, decode, received
from schemas.settings import Settings
from schemas.sources import Rejected
from streams.brokers import partition_of
from streams.store.base import InboxRow, Unavailable
from streams.store.memory import MemoryStore
from tests.gateway_world import MemoryIntake

NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
AWAY = IntakeUnavailable("Kafka did not acknowledge within 0.3 s")


class CountingIntake(MemoryIntake):
    """Counts how often it was asked."""

    asked = 0

    async def put(self, receipt: AlertReceived, shards: int) -> None:
        self.asked += 1
        await super().put(receipt, shards)


class SlowStore(MemoryStore):
    """An inbox that writes when it is told to, and may be away."""

    def __init__(self) -> None:
        super().__init__(wall=lambda: NOW)
        self.may_write, self.away, self.writes = threading.Event(), False, 0
        self.may_write.set()

    def put_inbox(self, rows: Collection[InboxRow]) -> None:
        self.may_write.wait(5)
        if self.away:
            raise Unavailable("Postgres does not answer")
        self.writes += 1
        super().put_inbox(rows)


class Bench:
    """A durable intake on a Kafka and a store that a test takes away, and a clock that it moves."""

    def __init__(self) -> None:
        self.kafka, self.store, self.seconds = CountingIntake(), SlowStore(), 1000.0
        self.intake = DurableIntake(self.kafka, self.store, Settings(), lambda: self.seconds)

    def inbox(self) -> list[str]:
        return [row.receipt for row in self.store.claim_inbox(-1, 1000)]

    async def put(self, *names: str) -> None:
        for name in names:
            await self.intake.put(receipt(name), 4)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def receipt(name: str, alerts: int = 1, raw: str = "{}", rejected: tuple[Rejected, ...] = ()) -> AlertReceived:
    members = tuple(
        Alert(f"f{n}", AlertStatus.FIRING, Severity.HIGH, {"alertname": "Down"}, source_time=NOW) for n in range(alerts)
    )
    return received(name, "alertmanager", NOW, members, raw, b"salt", rejected)


async def test_what_kafka_takes_is_not_in_the_inbox(bench: Bench) -> None:
    await bench.put("r-1")
    assert (len(bench.kafka.kept), bench.inbox()) == (1, [])


async def test_what_kafka_does_not_take_is_in_the_inbox_as_the_topic_would_have_it(bench: Bench) -> None:
    bench.kafka.fails = AWAY
    await bench.intake.put(receipt("r-1", alerts=100), 4)
    rows = bench.store.claim_inbox(60, 100)
    assert [(row.receipt, row.part, row.key) for row in rows] == [
        ("r-1", part, b"alertmanager:%d" % (part - 1)) for part in range(1, 5)
    ]
    parts = [decode(row.body) for row in rows]
    assert [(part.receipt, part.part, part.parts) for part in parts] == [("r-1", part, 4) for part in range(1, 5)]
    assert sum(len(part.alerts) for part in parts) == 100


async def test_after_three_failures_in_a_row_kafka_is_not_waited_for(bench: Bench) -> None:
    bench.kafka.fails = AWAY
    await bench.put("r-1", "r-2")
    bench.kafka.fails = None
    await bench.put("r-3")
    bench.kafka.fails = AWAY
    await bench.put("r-4", "r-5", "r-6")
    assert bench.kafka.asked == 6
    await bench.put("r-7", "r-8")
    assert bench.kafka.asked == 6
    assert bench.inbox() == ["r-1", "r-2", "r-4", "r-5", "r-6", "r-7", "r-8"]


async def test_each_second_one_receipt_probes_kafka_and_a_good_probe_brings_it_back(bench: Bench) -> None:
    bench.kafka.fails = AWAY
    await bench.put("r-1", "r-2", "r-3")
    bench.seconds += 1.1
    await bench.put("r-4", "r-5")
    await asyncio.sleep(0)
    assert bench.kafka.asked == 4
    bench.kafka.fails = None
    bench.seconds += 1.1
    await bench.put("r-6")
    await asyncio.sleep(0)
    await bench.put("r-7")
    assert [record.receipt for _, record in bench.kafka.kept] == ["r-6", "r-7"]
    assert bench.inbox()[-1] == "r-6"


async def test_when_neither_answers_the_sender_is_told_to_come_again(bench: Bench) -> None:
    bench.kafka.fails, bench.store.away = AWAY, True
    with pytest.raises(IntakeUnavailable, match="neither Kafka nor the database"):
        await bench.put("r-1")
    bench.store.away = False
    await bench.put("r-1")
    assert bench.inbox() == ["r-1"]


async def test_a_database_that_stands_still_is_not_waited_for_longer_than_the_limit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "INBOX_TIMEOUT", 0.05)
    bench.kafka.fails = AWAY
    bench.store.may_write.clear()
    with pytest.raises(IntakeUnavailable, match=r"within 0\.05 s"):
        await bench.put("r-1")
    bench.store.may_write.set()
    await bench.intake.close()


async def test_what_waits_for_the_database_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "WAITING_BYTES", 3_000)
    bench.kafka.fails = AWAY
    bench.store.may_write.clear()
    first = asyncio.create_task(bench.intake.put(receipt("r-1", raw="x" * 2_000), 1))
    await asyncio.sleep(0.01)
    with pytest.raises(IntakeUnavailable, match="too many"):
        await bench.intake.put(receipt("r-2", raw="x" * 2_000), 1)
    bench.store.may_write.set()
    await first
    await bench.intake.put(receipt("r-3", raw="x" * 2_000), 1)
    assert bench.inbox() == ["r-1", "r-3"]


async def test_what_comes_while_the_inbox_is_written_goes_together(bench: Bench) -> None:
    writer = InboxWriter(bench.store)
    bench.store.may_write.clear()
    rows = [InboxRow(f"r-{number:02}", 1, b"am:0", b"{}", NOW) for number in range(20)]
    waiting = [asyncio.create_task(writer.write([row])) for row in rows]
    await asyncio.sleep(0.05)
    bench.store.may_write.set()
    await asyncio.gather(*waiting)
    assert bench.store.writes <= 2
    assert bench.inbox() == [row.receipt for row in rows]
    await writer.close()


async def test_a_receipt_too_large_for_the_topic_is_not_put_into_the_inbox_either(bench: Bench) -> None:
    bench.kafka.fails = AWAY
    with pytest.raises(ReceiptTooLarge):
        await bench.intake.put(receipt("r-1", raw="x" * 17_000_000), 1)
    assert bench.inbox() == []


async def test_nothing_to_keep_says_nothing_about_kafka(bench: Bench) -> None:
    bench.kafka.fails = AWAY
    await bench.put("r-1", "r-2", "r-3")
    await bench.intake.put(receipt("r-4", alerts=0), 4)
    await bench.put("r-5")
    assert bench.kafka.asked == 3
    await bench.intake.put(receipt("r-6", alerts=0, rejected=(Rejected(0, "status", "is missing"),)), 4)
    assert bench.inbox() == ["r-1", "r-2", "r-3", "r-5", "r-6"]


async def test_readiness_and_offsets_are_kafkas(bench: Bench) -> None:
    await bench.put("r-1")
    assert bench.intake.acknowledged == {0: 0}
    await bench.intake.check()
    bench.kafka.fails = AWAY
    with pytest.raises(IntakeUnavailable):
        await bench.intake.check()


async def test_who_gives_up_waiting_does_not_take_a_record_back() -> None:
    sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await _settled(sent)
    assert not sent.done()


@pytest.mark.parametrize(
    ("key", "hashed"), [(b"21", -973932308), (b"foobar", -790332482), (b"abc", 479470107)], ids=["21", "foobar", "abc"]
)
def test_a_record_goes_to_the_partition_that_any_client_would_choose(key: bytes, hashed: int) -> None:
    """Source of the hashes: Kafka, org.apache.kafka.common.utils.UtilsTest, testMurmur2."""
    assert partition_of(key, range(24), ()) == (hashed & 0x7FFFFFFF) % 24


async def test_a_connection_that_is_cancelled_from_within_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka cancels what it waits for when a connection breaks; that must not end the task that owns it."""
    monkeypatch.setattr("gateway.intake.FIRST_PAUSE", 0.01)
    tried: list[int] = []

    class Cancelled(KafkaIntake):
        async def _connect(self) -> AIOKafkaProducer:
            tried.append(1)
            raise asyncio.CancelledError

    intake = Cancelled(Settings())
    await intake.start()
    async with asyncio.timeout(5):
        while len(tried) < 3:
            await asyncio.sleep(0.01)
    await intake.close()
    assert intake._owner is not None
    assert intake._owner.cancelled()
