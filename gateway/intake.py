"""Where alerts become durable: the `alerts` topic, acknowledged by every replica, or a clear no.

Source of the producer's settings and of its weaknesses: aiokafka 0.14 (`producer/sender.py`,
`producer/message_accumulator.py`), seen in tests/contract/test_intake.py.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.received import AlertReceived, encode, split
from schemas.settings import Settings
from schemas.topics import alerts_topic, client_arguments, topics
from streams.brokers import CLOSE_TIMEOUT, close_producer, partition_of
from streams.failpoints import effect
from streams.owned import is_asked_to_end

log = structlog.get_logger()

BATCH_BYTES = 1_048_576
"""What is sent of one partition at a time, and flushed to disk at once: twenty receipts of fifty alerts."""
LINGER_MS = 2
REQUEST_TIMEOUT_MS = 5_000
"""How long one attempt may take; the producer tries again with the same sequence number, so nothing doubles."""
RETRY_MS = 250
"""Between attempts of the producer; each one that fails is three lines in the log."""
START_TIMEOUT = 10.0
CONNECT_TIMEOUT = 0.3
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between attempts to connect, doubled each time."""
HEADROOM = 4_096
"""Bytes that a batch adds to its records, at most."""
OVERHEAD = 256
"""Bytes that a record's own head and key take, at most."""


class IntakeUnavailable(Exception):
    """The alerts were not acknowledged in time. They may still arrive: the same receipt twice is harmless."""


class ReceiptTooLarge(Exception):
    """The receipt is larger than a record of the topic may be: trying again cannot help."""


class Intake(Protocol):
    """Takes receipts for good. One instance serves one event loop."""

    @property
    def acknowledged(self) -> Mapping[int, int]:
        """Partition of the `alerts` topic -> the highest offset that was acknowledged to this process."""

    async def start(self) -> None:
        """Begin to connect; returns at once, whether anything answers or not."""

    async def put(self, receipt: AlertReceived, shards: int) -> None:
        """Make a whole receipt durable, as one record per shard that its alerts touch; none when it is empty.

        Raises IntakeUnavailable when that is not certain within the time set, ReceiptTooLarge when it never will be.
        """

    async def check(self) -> None:
        """Raises IntakeUnavailable, with a reason for people, when receipts could not be taken now."""

    async def close(self) -> None:
        """Let what is under way finish, for some seconds, and let go."""


class KafkaIntake:
    """An idempotent producer on the `alerts` topic, and an owner that connects it and replaces it when it is broken.

    A producer is broken once a batch failed for good: the sequence number it had leaves a gap, and the broker
    refuses everything after it in that partition. `settings.produce_timeout` limits each `put`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = alerts_topic(settings)
        self._largest = largest_record(settings)
        self._acknowledged: dict[int, int] = {}
        self._producer: AIOKafkaProducer | None = None
        self._connected = asyncio.Event()
        self._broken = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._why = "it was not reached yet"

    @property
    def acknowledged(self) -> Mapping[int, int]:
        return self._acknowledged

    async def start(self) -> None:
        self._owner = asyncio.create_task(self._own(), name="kafka-intake")

    async def put(self, receipt: AlertReceived, shards: int) -> None:
        records = encoded(self._settings.org, receipt, shards, self._largest)
        if not records:
            return
        limit = self._settings.produce_timeout
        try:
            async with asyncio.timeout(limit):
                producer = await self._working()
                with effect("accept"):
                    sent = [await self._send(producer, key, value) for key, value in records]
                    for one in sent:
                        await _settled(one)
        except TimeoutError:
            raise IntakeUnavailable(f"Kafka did not acknowledge within {limit:g} s") from None
        _confirm(sent)

    async def check(self) -> None:
        producer = self._producer
        if producer is None:
            raise IntakeUnavailable(f"Kafka is not connected: {self._why}")
        if not await producer.client.force_metadata_update():
            raise IntakeUnavailable(await self._silence())
        if not producer.client.cluster.partitions_for_topic(self._topic):
            raise IntakeUnavailable(f"there is no topic {self._topic}")

    async def close(self) -> None:
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait({self._owner})
        if self._producer is not None:
            self._leave(self._producer)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=2 * CLOSE_TIMEOUT)

    async def _silence(self) -> str:
        """Why no broker says anything useful. One that was killed and started again is up before it serves: its
        controller first waits for the session of the killed one to end (`broker.session.timeout.ms`, 9 s).
        """
        host, _, port = (self._settings.kafka_bootstrap or "").partition(",")[0].rpartition(":")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, writer = await asyncio.open_connection(host, int(port))
        except (OSError, TimeoutError):
            return "no broker answers"
        writer.close()
        return "a broker is up and does not serve yet; after a crash that may take 10 s"

    # -- one record ------------------------------------------------------------------------------------------------

    async def _working(self) -> AIOKafkaProducer:
        """The producer, once there is one that works."""
        while self._producer is None:
            await self._connected.wait()
        return self._producer

    async def _send(self, producer: AIOKafkaProducer, key: bytes, value: bytes) -> "asyncio.Future[Any]":
        """Hand a record to the producer; the future is its acknowledgement, and outlives whoever waits for it."""
        try:
            sent: asyncio.Future[Any] = await producer.send(self._topic, value, key=key)
        except MessageSizeTooLargeError:
            raise ReceiptTooLarge(f"a record of {len(value)} bytes is larger than the topic takes") from None
        except KafkaError as error:
            self._break(producer, error)
            raise IntakeUnavailable(f"Kafka refused: {type(error).__name__}") from error
        sent.add_done_callback(partial(self._watch, producer))
        return sent

    def _watch(self, producer: AIOKafkaProducer, sent: "asyncio.Future[Any]") -> None:
        if sent.cancelled():
            return
        error = sent.exception()
        if error is not None:
            self._break(producer, error)
            return
        partition, offset = sent.result().partition, sent.result().offset
        self._acknowledged[partition] = max(offset, self._acknowledged.get(partition, -1))

    def _break(self, producer: AIOKafkaProducer, error: BaseException) -> None:
        """Use `producer` no more: at once, or the next record would fall into the gap."""
        if producer is self._producer:
            self._why = f"it failed with {type(error).__name__}"
            log.warning("kafka producer is replaced", because=self._why)
            self._producer = None
            self._connected.clear()
            self._broken.set()

    # -- the producer and its owner --------------------------------------------------------------------------------

    async def _own(self) -> None:
        """Keep a working producer, for as long as the process lives."""
        pause = FIRST_PAUSE
        while True:
            try:
                producer = await self._connect()
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and is_asked_to_end():
                    raise
                self._why = str(error) or type(error).__name__
                log.warning("kafka does not answer", because=self._why, again_in=pause, exc_info=_unforeseen(error))
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
                continue
            pause = FIRST_PAUSE
            log.info("kafka connected", topic=self._topic)
            await self._use(producer)
            self._leave(producer)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **client_arguments(self._settings),
            client_id="tocsin-gateway",
            acks="all",
            enable_idempotence=True,
            partitioner=partition_of,
            max_batch_size=BATCH_BYTES,
            max_request_size=self._largest,
            linger_ms=LINGER_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=RETRY_MS,
        )
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await producer.start()
                await producer.partitions_for(self._topic)
        except BaseException:
            self._leave(producer)
            raise
        return producer

    async def _use(self, producer: AIOKafkaProducer) -> None:
        """Return when a record failed for good, or the producer's own task ended, which it tells nobody."""
        self._broken.clear()
        self._producer = producer
        self._connected.set()
        broken, sending = asyncio.create_task(self._broken.wait()), producer._sender.sender_task
        try:
            await asyncio.wait({broken, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            broken.cancel()
        self._break(producer, KafkaError("the producer ended"))

    def _leave(self, producer: AIOKafkaProducer) -> None:
        """Close a producer beside everything else: it waits for what it still holds."""
        task = asyncio.create_task(close_producer(producer), name="kafka-producer-close")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _settled(sent: "asyncio.Future[Any]") -> None:
    """Return when a record is acknowledged or refused; who gives up waiting does not take it back."""
    with suppress(KafkaError):
        await asyncio.shield(sent)


def _confirm(sent: "list[asyncio.Future[Any]]") -> None:
    """Raises what the first failed acknowledgement means."""
    errors = [error for future in sent if (error := future.exception()) is not None]
    if any(isinstance(error, MessageSizeTooLargeError) for error in errors):
        raise ReceiptTooLarge("the broker takes no record as large as this one")
    if errors:
        raise IntakeUnavailable(f"Kafka refused: {type(errors[0]).__name__}") from errors[0]


def encoded(org: str, receipt: AlertReceived, shards: int, largest: int) -> list[tuple[bytes, bytes]]:
    """The records of a receipt, as (key, value). Raises ReceiptTooLarge when one has more than `largest` bytes."""
    records = [(key, encode(part)) for key, part in split(org, receipt, shards)]
    most = max((len(value) for _, value in records), default=0)
    if most + OVERHEAD > largest:
        raise ReceiptTooLarge(f"a record of {most} bytes is larger than the topic takes")
    return records


def largest_record(settings: Settings) -> int:
    """The most bytes of one record, by the topic's own limit."""
    alerts = next(topic for topic in topics(settings) if topic.name == alerts_topic(settings))
    return int(alerts.config["max.message.bytes"]) - HEADROOM


def _unforeseen(error: BaseException) -> bool:
    """Whether a failure to connect is worth a traceback."""
    return not isinstance(error, KafkaError | OSError | TimeoutError)
