"""Every record that the relay really wrote is what the document says (`test_public_schemas.py`); the example consumer
reads each once and notices what is wrong.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from cloudevents.core.bindings import kafka as kafka_binding
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator

from schemas.settings import Settings
from schemas.topics import PUBLIC, client_arguments, public_topic
from streams.relay import Relay
from streams.topics import ensure_topics
from tests.contract.test_public_schemas import DOCUMENT, resolve, validator
from tests.memory_world import MemoryWorld

ROOT = Path(__file__).parents[2]
CONSUMER = ROOT / "docs" / "examples" / "consume.py"


# -- what the relay really writes --------------------------------------------------------------------------------------


class AlwaysSeated:
    """See `streams.store.leadership.Leadership`: nobody else wants to be the relay."""

    def hold(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing was taken."""


def lived_through() -> MemoryWorld:
    """A world in which most things have happened once."""
    world = MemoryWorld()
    world.fire("Down", service="payments")
    world.advance(minutes=6)
    for verb in ("ack", "unack", "start", "resolve", "reopen", "resolve"):
        world.command(verb, "INC-1")
    world.end("Down", service="payments")
    world.fire("Down", service="payments")
    world.jump(minutes=40)
    world.fire("NobodyThere", service="search")
    world.advance(minutes=30)
    return world


@dataclass(frozen=True)
class Topics:
    """Public topics with everything on them that `world` went through."""

    settings: Settings
    world: MemoryWorld

    async def relay(self) -> None:
        """Copy what there is."""
        relay, stopping = Relay(self.settings, self.world.store, AlwaysSeated()), asyncio.Event()  # type: ignore[arg-type]
        working = asyncio.create_task(relay.run(stopping))
        async with asyncio.timeout(30):
            while relay._position < self.world.store.head():
                await asyncio.sleep(0.05)
        stopping.set()
        await asyncio.wait_for(working, 30)
        await self.visible()

    async def visible(self) -> None:
        """Wait until consumers see what was committed: the broker says "committed" before its markers are written."""
        names = [public_topic(self.settings, kind) for kind in PUBLIC]
        levels = ("read_committed", "read_uncommitted")
        consumers = [
            AIOKafkaConsumer(*names, **client_arguments(self.settings), isolation_level=level) for level in levels
        ]
        for consumer in consumers:
            await consumer.start()
        try:
            async with asyncio.timeout(30):
                while True:
                    seen, written = [await one.end_offsets(sorted(one.assignment())) for one in consumers]
                    if seen == written:
                        return
                    await asyncio.sleep(0.05)
        finally:
            for consumer in consumers:
                await consumer.stop()

    async def read(self) -> list[ConsumerRecord]:
        """Every record that a consumer sees."""
        names = sorted({public_topic(self.settings, kind) for kind in PUBLIC})
        consumer = AIOKafkaConsumer(
            *names,
            **client_arguments(self.settings),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            places = sorted(consumer.assignment())
            ends = await consumer.end_offsets(places)
            found: list[ConsumerRecord] = []
            async with asyncio.timeout(30):
                while any([await consumer.position(place) < ends[place] for place in places]):
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += records
            return found
        finally:
            await consumer.stop()

    async def write(self, record: ConsumerRecord, value: bytes | None = None) -> None:
        """Somebody writes a record again who should not."""
        producer = AIOKafkaProducer(**client_arguments(self.settings))
        await producer.start()
        try:
            headers = list(record.headers)
            await producer.send_and_wait(
                record.topic, value or record.value, key=record.key, partition=record.partition, headers=headers
            )
        finally:
            await producer.stop()


@pytest.fixture
def published(kafka_bootstrap: str, topic_prefix: str) -> Topics:
    settings = Settings(kafka_bootstrap=kafka_bootstrap, topic_prefix=topic_prefix, alerts_partitions=3)
    made = Topics(settings, lived_through())
    asyncio.run(ensure_topics(settings))
    asyncio.run(made.relay())
    return made


def test_every_record_is_what_the_document_says(published: Topics) -> None:
    records = asyncio.run(published.read())
    assert len(records) == published.world.store.head()
    kinds = {headers_of(record)["ce_type"].split(".")[1] for record in records}
    assert kinds >= {"group", "incident", "escalation", "page", "config"}
    for record in records:
        headers = headers_of(record)
        event_type = headers["ce_type"].removeprefix("tocsin.")
        assert record.topic == public_topic(published.settings, event_type.partition(".")[0])
        message = DOCUMENT["components"]["messages"][event_type]
        for rule in message["headers"]["allOf"]:
            Draft202012Validator(resolve(rule["$ref"], DOCUMENT) if "$ref" in rule else rule).validate(headers)
        validator(event_type).validate(json.loads(record.value))


def test_every_record_is_a_cloudevent_to_others(published: Topics) -> None:
    records = asyncio.run(published.read())
    seen = set()
    for record in records:
        message = kafka_binding.KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value)
        event = kafka_binding.from_binary(message, JSONFormat())
        headers = headers_of(record)
        assert event.get_id() == headers["ce_id"] == f"{event.get_subject()}/{event.get_extension('streamversion')}"
        assert event.get_type() == headers["ce_type"]
        assert event.get_time().utcoffset().total_seconds() == 0
        assert event.get_data() == json.loads(record.value)
        seen.add((event.get_source(), event.get_id()))
    assert len(seen) == len(records)


def headers_of(record: ConsumerRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


# -- the example -------------------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The example's file of positions."""
    return tmp_path / "positions.json"


@pytest.fixture
def consume(published: Topics, state: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Run the example until the end of the topics; `state` is kept from one run to the next."""
    options = ("--bootstrap", published.settings.kafka_bootstrap, "--prefix", published.settings.topic_prefix)
    command = [sys.executable, str(CONSUMER), *options, "--state", str(state), "--once"]
    return lambda: subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)


def sequences(done: subprocess.CompletedProcess[str]) -> list[int]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["sequence"] for line in done.stdout.splitlines()]


def test_the_example_reads_each_event_once_and_goes_on_where_it_stopped(
    published: Topics, consume: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    before = published.world.store.head()
    assert sorted(sequences(consume())) == list(range(1, before + 1))
    assert sequences(consume()) == []
    published.world.end("NobodyThere", service="search")
    asyncio.run(published.relay())
    assert sorted(sequences(consume())) == list(range(before + 1, published.world.store.head() + 1))


def test_the_example_drops_what_it_has_seen(
    published: Topics, consume: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    assert sequences(consume())
    again = asyncio.run(published.read())[-1]
    asyncio.run(published.write(again))
    assert sequences(consume()) == []


def test_the_example_stops_at_a_record_that_is_not_what_was_decided(
    published: Topics, consume: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    record = asyncio.run(published.read())[-1]
    asyncio.run(published.write(record, record.value.replace(b'"rules_version":1', b'"rules_version":2')))
    done = consume()
    assert done.returncode == 1
    assert "is not what was decided" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_example_does_not_skip_what_it_cannot_find(
    state: Path, consume: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    assert sequences(consume())
    kept = json.loads(state.read_text())
    state.write_text(json.dumps({name: {**position, "offset": 1_000_000} for name, position in kept.items()}))
    done = consume()
    assert done.returncode == 1
    assert "is it another topic?" in done.stderr


def test_the_example_says_what_is_missing(tmp_path: Path, kafka_bootstrap: str) -> None:
    options = ("--bootstrap", kafka_bootstrap, "--prefix", "nobody-made-these-", "--state", str(tmp_path / "p.json"))
    done = subprocess.run([sys.executable, str(CONSUMER), *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "there is no topic nobody-made-these-alert-groups" in done.stderr


def test_the_example_does_not_see_what_was_not_committed(
    published: Topics, consume: Callable[[], subprocess.CompletedProcess[str]]
) -> None:
    record = asyncio.run(published.read())[0]
    assert sequences(consume())
    asyncio.run(aborted(published.settings, record))
    assert sequences(consume()) == []


async def aborted(settings: Settings, record: ConsumerRecord) -> None:
    """A transaction that is given up, as by a relay that was killed; with a value that would be refused if read."""
    producer = AIOKafkaProducer(**client_arguments(settings), transactional_id=f"{settings.topic_prefix}somebody")
    await producer.start()
    await producer.begin_transaction()
    place = TopicPartition(record.topic, record.partition)
    sent = await producer.send(place.topic, b"{}", partition=place.partition, headers=list(record.headers))
    await sent
    await producer.abort_transaction()
    await producer.stop()
