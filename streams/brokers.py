"""Reaching a broker and letting go of one, within limits of time. Source of the weakness: aiokafka 0.14, whose
`AIOKafkaProducer.stop` waits for ever for a broker that is away.
"""

import asyncio
from collections.abc import Sequence
from functools import lru_cache

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from schemas.settings import Settings
from schemas.topics import client_arguments
from streams.patience import pause_for

log = structlog.get_logger()

REMEMBERED = 20_000
"""Keys whose partition is remembered."""
partitioner = DefaultPartitioner()
CLOSE_TIMEOUT = 5.0
CONNECT_TIMEOUT = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between attempts to reach a broker, doubled each time, with jitter."""


def partition_of(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """Kafka's own choice of a partition, remembered by key: aiokafka's murmur2 is Python, and keys come again."""
    return partitions[_place(key, len(partitions))] if key else partitioner(key, partitions, available)


@lru_cache(REMEMBERED)
def _place(key: bytes, count: int) -> int:
    found: int = partitioner(key, range(count), ())
    return found


async def until_reached(settings: Settings, stopping: asyncio.Event) -> bool:
    """Wait until a broker answers, however long that takes; False when `stopping` was set before."""
    pause = FIRST_PAUSE
    while not stopping.is_set():
        if await _reached(settings):
            return True
        await pause_for(stopping, pause)
        pause = min(LONGEST_PAUSE, 2 * pause)
    return False


async def _reached(settings: Settings) -> bool:
    client = AIOKafkaClient(**client_arguments(settings))
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await client.bootstrap()
    except (KafkaError, OSError, TimeoutError) as error:
        log.warning("kafka does not answer", because=str(error) or type(error).__name__)
        return False
    finally:
        await client.close()
    return True


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Stop a producer; one whose broker is away would wait for ever, so after some seconds it is dropped."""
    try:
        await asyncio.wait_for(producer.stop(), CLOSE_TIMEOUT)
    except (TimeoutError, KafkaError) as error:
        log.warning("kafka producer dropped with records it could not send", because=type(error).__name__)
        task = producer._sender.sender_task
        if task is not None:
            task.cancel()
        await producer.client.close()
