"""Writing events that are told again to a topic of their own, which must be new and says by its name what it is."""

import asyncio
from collections.abc import Iterable
from itertools import islice

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from schemas.settings import Settings
from schemas.topics import FOREVER, client_arguments
from streams.publishing import Record

PREFIX = "replay-"
BATCH = 500
TIMEOUT = 30.0
"""Seconds for a batch, and for making the topic."""
COPIES = 3
"""Replication factor, where there are as many brokers."""


class ReplayRefused(Exception):
    """Events are not told to this topic; the message says why and what to do."""


async def write(settings: Settings, name: str, records: Iterable[Record]) -> int:
    """Make topic `name` (after the installation's prefix) and write `records` to it; returns how many.

    Raises ReplayRefused when the topic exists or is not named `replay-…`, or the broker does not answer.
    """
    if not name.startswith(PREFIX):
        raise ReplayRefused(f"A topic for a replay is named {PREFIX}…, not {name}")
    topic = f"{settings.topic_prefix}{name}"
    try:
        await asyncio.wait_for(_make(settings, topic), TIMEOUT)
        return await _write(settings, topic, records)
    except (KafkaError, TimeoutError) as error:
        raise ReplayRefused(f"Kafka at {settings.kafka_bootstrap}: {type(error).__name__}; is it running?") from error


async def _make(settings: Settings, topic: str) -> None:
    admin = AIOKafkaAdminClient(**client_arguments(settings), request_timeout_ms=10_000)
    try:
        await admin.start()
        if topic in await admin.list_topics():
            raise ReplayRefused(f"Topic {topic} exists: a replay goes to a new one. Name another")
        copies = min(COPIES, len((await admin.describe_cluster())["brokers"]))
        wanted = NewTopic(topic, settings.alerts_partitions, copies, topic_configs={"retention.ms": FOREVER})
        for _, code, *rest in (await admin.create_topics([wanted])).topic_errors:
            if code == TopicAlreadyExistsError.errno:
                raise ReplayRefused(f"Topic {topic} exists: a replay goes to a new one. Name another")
            if code:
                raise ReplayRefused(f"Kafka refused to create topic {topic}: {(rest or [f'error {code}'])[0]}")
    finally:
        await admin.close()


async def _write(settings: Settings, topic: str, records: Iterable[Record]) -> int:
    producer = AIOKafkaProducer(
        **client_arguments(settings), acks="all", enable_idempotence=True, max_batch_size=262_144, linger_ms=5
    )
    written, left = 0, iter(records)
    try:
        await asyncio.wait_for(producer.start(), TIMEOUT)
        while batch := await asyncio.to_thread(lambda: list(islice(left, BATCH))):
            async with asyncio.timeout(TIMEOUT):
                sent = [await producer.send(topic, r.value, key=r.key, headers=r.headers) for r in batch]
                await asyncio.gather(*sent)
            written += len(batch)
        return written
    finally:
        await asyncio.wait_for(producer.stop(), TIMEOUT)
