"""The relay: the store's events, in order and once, on the public topics.

One Kafka transaction per batch under a fixed transactional id (a second relay fences the first), `sequence` is the
event's position, and it resumes after the highest sequence that consumers can see. `publishing` says what a record is.
"""

import asyncio
import random
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata
from prometheus_client import Counter, Gauge

from domain.escalations import Escalation
from domain.ids import stream_kind
from domain.pages import Page
from schemas.settings import Settings
from schemas.topics import PUBLIC, client_arguments, public_topic
from streams.brokers import close_producer, partition_of
from streams.failpoints import reach
from streams.patience import patiently
from streams.publishing import Record, record_of, source_of
from streams.store.base import RawEvent, Store, Unavailable
from streams.store.leadership import Leadership

log = structlog.get_logger()

BATCH = 500
POLL = 1.0
"""Seconds between looks when nobody says that something was saved."""
GATHER = 0.1
"""Seconds that events gather after a batch that was not full: a transaction costs as much as many records."""
LONGEST_PAUSE = 15.0
"""Seconds between attempts while Kafka does not answer, at most."""
TIMEOUT_MS = 10_000
LOOK_BACK = 2 * BATCH
"""Offsets at a partition's end that are searched for its last sequence; transaction markers take offsets too."""

RELAYED = Counter("tocsin_relay_events_total", "Events copied to the public topics.", ["topic"])
POSITION = Gauge("tocsin_relay_position", "Position of the last event copied to the public topics.")


class Relay:
    """Copies events to the public topics while it holds the seat; stands by otherwise.

    `tell` is told its position again and again, for those who watch it; blocks; may raise Unavailable.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        leadership: Leadership,
        tell: Callable[[int], None] = lambda position: None,
    ) -> None:
        self._settings, self._store, self._leadership, self._tell = settings, store, leadership, tell
        self._position = 0
        self._source = b""

    async def run(self, stopping: asyncio.Event) -> None:
        """Work, or stand by, until `stopping` is set; waits for Kafka and Postgres as long as they do not answer."""
        for attempt in count(1):
            try:
                await self._turn(stopping)
            except (KafkaError, TimeoutError, OSError, Unavailable) as error:
                log.warning("relay waits", because=type(error).__name__, attempt=attempt)
                longest = min(LONGEST_PAUSE, 2.0 ** min(attempt, 10))
                await _pause(stopping, random.uniform(1.0, longest))  # noqa: S311
            if stopping.is_set():
                return

    async def _turn(self, stopping: asyncio.Event) -> None:
        """Wait for the seat and work as long as nothing fails."""
        while not stopping.is_set() and not await asyncio.to_thread(self._leadership.hold):
            await _pause(stopping, POLL)
        if stopping.is_set():
            return
        try:
            await self._relay(stopping)
        finally:
            await asyncio.to_thread(self._leadership.release)

    async def _relay(self, stopping: asyncio.Event) -> None:
        identity = await patiently(self._store.identity)
        self._source = source_of(identity).encode()
        producer = AIOKafkaProducer(
            **client_arguments(self._settings),
            transactional_id=f"{self._settings.topic_prefix}tocsin-relay",
            max_batch_size=262_144,
            request_timeout_ms=TIMEOUT_MS,
        )
        try:
            await asyncio.wait_for(producer.start(), TIMEOUT_MS / 1000)
            self._position = await self._last_sequence(producer, identity.since)
            log.info("relay resumes", position=self._position)
            while not stopping.is_set():
                copied = await self._copy(producer)
                await asyncio.to_thread(self._tell, self._position)
                if not copied:
                    await asyncio.to_thread(self._store.wait, POLL)
                    await asyncio.to_thread(self._leadership.hold)
                elif copied < BATCH:
                    await _pause(stopping, GATHER)
        finally:
            await close_producer(producer)

    async def _copy(self, producer: AIOKafkaProducer) -> int:
        """Copy the next batch in one transaction; returns how many events there were."""
        events = await patiently(partial(self._store.raw_tail, self._position, BATCH))
        if not events:
            return 0
        incidents = await patiently(partial(self._incidents, events))
        records = [self._record(event, incidents) for event in events]
        reach("relay:begin")
        async with asyncio.timeout(TIMEOUT_MS / 1000), producer.transaction():
            await _hand_over(producer, records)
            reach("relay:commit")
        reach("relay:committed")
        self._position = events[-1].position
        POSITION.set(self._position)
        for topic, amount in Tally(topic for topic, _ in records).items():
            RELAYED.labels(topic).inc(amount)
        return len(events)

    def _incidents(self, events: Iterable[RawEvent]) -> dict[str, str]:
        """The incident that each escalation and page belongs to: the key that keeps an incident's events in order."""
        streams = {event.stream for event in events if stream_kind(event.stream) in ("escalation", "page")}
        loaded = self._store.load(streams)
        return {s: x.state.incident for s, x in loaded.items() if isinstance(x.state, Escalation | Page)}

    def _record(self, event: RawEvent, incidents: dict[str, str]) -> tuple[str, Record]:
        topic = public_topic(self._settings, stream_kind(event.stream))
        return topic, record_of(event, incidents.get(event.stream, event.stream), self._source.decode())

    async def _last_sequence(self, producer: AIOKafkaProducer, since: int) -> int:
        """The highest sequence on the public topics that a consumer can see.

        What earlier epochs said counts up to `since`, where the log that was restored ended: positions behind that are
        given out again.
        The producer has started: what a relay before us left open is committed or aborted by now.
        """
        names = sorted({public_topic(self._settings, kind) for kind in PUBLIC})
        places = [TopicPartition(name, number) for name in names for number in await producer.partitions_for(name)]
        consumer = AIOKafkaConsumer(
            **client_arguments(self._settings),
            isolation_level="read_committed",
            enable_auto_commit=False,
            request_timeout_ms=TIMEOUT_MS,
        )
        await asyncio.wait_for(consumer.start(), TIMEOUT_MS / 1000)
        try:
            found = await _highest(consumer, places)
        finally:
            await consumer.stop()
        own = found.pop(self._source, 0)
        return max(own, min(since, max(found.values(), default=0)))


async def _hand_over(producer: AIOKafkaProducer, records: Sequence[tuple[str, Record]]) -> None:
    """Send records and wait until they are delivered.

    In batches of our own: aiokafka's `send` pays a future, two looks at the metadata and a task switch for each record.
    """
    topics = {topic for topic, _ in records}
    partitions = {topic: sorted(await producer.partitions_for(topic)) for topic in topics}
    filling: dict[tuple[str, int], BatchBuilder] = {}
    sent: list[asyncio.Future[RecordMetadata]] = []
    for topic, record in records:
        partition = partition_of(record.key, partitions[topic], partitions[topic])
        batch = filling.get((topic, partition))
        if batch is None:
            batch = filling[topic, partition] = producer.create_batch()
        if not _fits(batch, record):
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            batch = filling[topic, partition] = producer.create_batch()
            _fits(batch, record)
    for (topic, partition), batch in filling.items():
        sent.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*sent)


def _fits(batch: BatchBuilder, record: Record) -> bool:
    """Add a record to a batch, unless that is full; an empty one takes a record of any size."""
    return batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers) is not None


async def _highest(consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> dict[bytes, int]:
    """Source -> its highest sequence."""
    consumer.assign(places)
    beginnings, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    filled = [place for place in places if ends[place] > beginnings[place]]
    if not filled:
        return {}
    consumer.assign(filled)
    for place in filled:
        consumer.seek(place, max(beginnings[place], ends[place] - LOOK_BACK))
    highest: dict[bytes, int] = {}
    async with asyncio.timeout(TIMEOUT_MS / 1000):
        while any([await consumer.position(place) < ends[place] for place in filled]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for source, sequence in map(_sequence, records):
                    highest[source] = max(sequence, highest.get(source, 0))
    return highest


def _sequence(record: ConsumerRecord) -> tuple[bytes, int]:
    """Source and sequence of a record."""
    headers = dict(record.headers)
    return headers.get("ce_source", b""), int(headers.get("ce_sequence", 0))


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
