"""What an intake promises, asked of the one in memory and of the one on Kafka; and what Kafka's survives."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from domain.alerts import Alert, AlertStatus
from domain.severity import Severity
from gateway.intake import Intake, IntakeUnavailable, KafkaIntake, ReceiptTooLarge
from schemas.received import AlertReceived, decode, received
from schemas.settings import Settings
from schemas.sources import Rejected
from schemas.topics import alerts_topic, client_arguments
from streams.topics import ensure_topics
from tests.gateway_world import MemoryIntake

NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
Records = list[tuple[bytes, AlertReceived]]


@dataclass
class Bench:
    """An intake that was started, and a way to see what it kept."""

    intake: Intake
    kept: Callable[[], Awaitable[Records]]


def receipt(name: str, alerts: int = 1, raw: str = "{}", rejected: tuple[Rejected, ...] = ()) -> AlertReceived:
    members = tuple(
        Alert(f"f{n}", AlertStatus.FIRING, Severity.HIGH, {"alertname": "Down"}, source_time=NOW) for n in range(alerts)
    )
    return received(name, "alertmanager", NOW, members, raw, b"salt", rejected)


def patient(bootstrap: str, prefix: str) -> Settings:
    """Settings for a busy machine: what is tested is not speed."""
    return Settings(kafka_bootstrap=bootstrap, topic_prefix=prefix, produce_timeout=10, alerts_partitions=4)


async def read_all(settings: Settings) -> Records:
    """Everything on the topic, partition by partition."""
    topic = alerts_topic(settings)
    consumer = AIOKafkaConsumer(
        **client_arguments(settings),
        auto_offset_reset="earliest",
        fetch_max_bytes=2**26,
        max_partition_fetch_bytes=2**25,
    )
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()
        places = [TopicPartition(topic, number) for number in range(settings.alerts_partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: Records = []
        async with asyncio.timeout(60):
            while sum(ends.values()) > len(found):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [(record.key, decode(record.value)) for record in records]
        return found
    finally:
        await consumer.stop()


@pytest.fixture
def kafka_settings(kafka_bootstrap: str, topic_prefix: str) -> Settings:
    return patient(kafka_bootstrap, topic_prefix)


@pytest.fixture(params=["memory", "kafka"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "memory":
        memory = MemoryIntake(largest=16 * 1024 * 1024)

        async def kept() -> Records:
            return memory.kept

        yield Bench(memory, kept)
        return
    settings = request.getfixturevalue("kafka_settings")
    await ensure_topics(settings)
    intake = KafkaIntake(settings)
    await intake.start()
    try:
        yield Bench(intake, lambda: read_all(settings))
    finally:
        await intake.close()


async def test_a_receipt_is_kept_as_one_record_for_each_shard(bench: Bench) -> None:
    await bench.intake.put(receipt("r-1", alerts=100, raw='{"a":1}'), 4)
    kept = sorted(await bench.kept(), key=lambda one: one[1].part)
    assert [key for key, _ in kept] == [b"alertmanager:%d" % shard for shard in range(4)]
    assert [(record.part, record.parts) for _, record in kept] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert sum(len(record.alerts) for _, record in kept) == 100
    assert [record.raw for _, record in kept] == ['{"a":1}', "", "", ""]


async def test_a_receipt_without_members_keeps_nothing(bench: Bench) -> None:
    await bench.intake.put(receipt("r-1", alerts=0), 4)
    assert await bench.kept() == []


async def test_rejected_members_are_kept(bench: Bench) -> None:
    await bench.intake.put(receipt("r-1", alerts=0, rejected=(Rejected(0, "status", "is missing"),)), 4)
    [(key, record)] = await bench.kept()
    assert (key, record.alerts, record.rejected[0].field) == (b"alertmanager:0", (), "status")


async def test_the_same_receipt_twice_is_two_records(bench: Bench) -> None:
    for _ in range(2):
        await bench.intake.put(receipt("r-1"), 1)
    assert [record.receipt for _, record in await bench.kept()] == ["r-1", "r-1"]


async def test_many_at_once_are_all_kept(bench: Bench) -> None:
    names = [f"r-{number:03}" for number in range(200)]
    await asyncio.gather(*(bench.intake.put(receipt(name), 1) for name in names))
    assert sorted(record.receipt for _, record in await bench.kept()) == names


async def test_a_large_receipt_is_kept_and_a_larger_one_refused(bench: Bench) -> None:
    await bench.intake.put(receipt("large", raw="x" * 5_000_000), 1)
    with pytest.raises(ReceiptTooLarge):
        await bench.intake.put(receipt("larger", raw="x" * 17_000_000), 1)
    await bench.intake.put(receipt("small"), 1)
    assert [record.receipt for _, record in await bench.kept()] == ["large", "small"]


async def test_a_working_intake_says_so(bench: Bench) -> None:
    await bench.intake.put(receipt("r-1"), 1)
    await bench.intake.check()


async def test_what_was_acknowledged_is_known_for_each_partition(bench: Bench) -> None:
    assert bench.intake.acknowledged == {}
    for number in range(3):
        await bench.intake.put(receipt(f"r-{number}"), 1)
    assert list(bench.intake.acknowledged.values()) == [2]


# -- Kafka's own troubles ------------------------------------------------------------------------------------------


async def test_a_broker_that_is_away_is_said_so_in_time_and_found_when_it_comes(kafka_settings: Settings) -> None:
    await ensure_topics(kafka_settings)
    port = free_port()
    settings = kafka_settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{port}", "produce_timeout": 0.3})
    intake = KafkaIntake(settings)
    await intake.start()
    try:
        started = time.monotonic()
        with pytest.raises(IntakeUnavailable, match="did not acknowledge within"):
            await intake.put(receipt("early"), 1)
        assert time.monotonic() - started < 4
        with pytest.raises(IntakeUnavailable, match="not connected"):
            await intake.check()
        # patient from now on: what is given up on arrives all the same, and then twice
        intake._settings = settings.model_copy(update={"produce_timeout": kafka_settings.produce_timeout})
        forwarder = await forward(port, kafka_settings.kafka_bootstrap or "")
        try:
            await until_put(intake, receipt("late"))
        finally:
            forwarder.close()
    finally:
        await intake.close()
    assert [record.receipt for _, record in await read_all(kafka_settings)] == ["late"]


async def test_closing_does_not_wait_for_a_broker_that_is_away(kafka_settings: Settings) -> None:
    intake = KafkaIntake(kafka_settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{free_port()}"}))
    await intake.start()
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await intake.close()
    assert time.monotonic() - started < 4


async def test_a_record_that_failed_for_good_does_not_stop_those_after_it(kafka_settings: Settings) -> None:
    """The broker takes less than we think. aiokafka leaves a gap in the sequence, which the broker never forgives."""
    await make_topic(kafka_settings, {"max.message.bytes": "10000"})
    intake = KafkaIntake(kafka_settings)
    await intake.start()
    try:
        await intake.put(receipt("first"), 1)
        with pytest.raises(ReceiptTooLarge):
            await intake.put(receipt("large", raw="x" * 50_000), 1)
        for number in range(3):
            await intake.put(receipt(f"after-{number}"), 1)
    finally:
        await intake.close()
    kept = [record.receipt for _, record in await read_all(kafka_settings)]
    assert kept == ["first", "after-0", "after-1", "after-2"]


async def test_a_producer_that_died_is_replaced(kafka_settings: Settings) -> None:
    await ensure_topics(kafka_settings)
    intake = KafkaIntake(kafka_settings)
    await intake.start()
    try:
        await intake.put(receipt("before"), 1)
        died = intake._producer
        died._sender.sender_task.cancel()
        await asyncio.sleep(0.1)
        await until_put(intake, receipt("after"))
        assert intake._producer is not died
    finally:
        await intake.close()


async def test_without_the_topic_the_intake_is_not_ready(kafka_settings: Settings) -> None:
    intake = KafkaIntake(kafka_settings.model_copy(update={"produce_timeout": 0.3}))
    await intake.start()
    try:
        with pytest.raises(IntakeUnavailable):
            await intake.put(receipt("r-1"), 1)
        with pytest.raises(IntakeUnavailable):
            await intake.check()
        await ensure_topics(kafka_settings)
        await until_put(intake, receipt("r-2"))
        await intake.check()
    finally:
        await intake.close()


async def until_put(intake: Intake, what: AlertReceived) -> None:
    """As a sender does that is told to come again."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await intake.put(what, 1)
            except IntakeUnavailable:
                await asyncio.sleep(0.2)


async def make_topic(settings: Settings, config: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(**client_arguments(settings))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(alerts_topic(settings), 4, 1, topic_configs=config)])
    finally:
        await admin.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def forward(port: int, target: str) -> asyncio.Server:
    """A broker's other address: what is said to `port` is said to `target`."""
    host, _, number = target.rpartition(":")

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(number))
        await asyncio.gather(pipe(reader, back), pipe(there, writer), return_exceptions=True)

    return await asyncio.start_server(connect, "127.0.0.1", port)
