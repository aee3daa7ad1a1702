"""Where the `alerts` topic of an installation ends, asked of Kafka from a test without an event loop."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

T = TypeVar("T")
TIMEOUT = 20.0
"""Seconds for an answer; the broker may have been killed."""


class Ends:
    """A consumer on a loop and a thread of its own. Raises TimeoutError, KafkaError when Kafka does not answer."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._places = [TopicPartition(topic, partition) for partition in range(partitions)]
        self._consumer: AIOKafkaConsumer | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def records(self) -> int:
        """How many records the topic has, over all partitions."""
        return self._run(self._records())

    def close(self) -> None:
        """Let go of the consumer and the thread."""
        if self._consumer is not None:
            self._run(self._consumer.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()

    async def _records(self) -> int:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
            await consumer.start()
            self._consumer = consumer
        return sum((await self._consumer.end_offsets(self._places)).values())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT)
