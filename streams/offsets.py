"""The end of each partition of `alerts`, asked of Kafka every few seconds and remembered while it is away.

It is one half of the worker's lag: what gateways got acknowledged is in the topic, whichever gateway it was and
however long this one has lived. It also says up to when everything that was accepted is known to be folded.
"""

import asyncio
import random
from datetime import datetime

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.settings import Settings
from schemas.topics import alerts_topic, client_arguments
from streams.clock import Clock

log = structlog.get_logger()

EVERY = 2.0
"""Seconds between looks."""
TIMEOUT = 5.0
"""Seconds for connecting, and for each answer."""
LONGEST_PAUSE = 15.0
"""Seconds between attempts while Kafka does not answer, at most; doubled every time, with jitter."""


class EndOffsets:
    """Knows the last offset of every partition, as of the last answer. One instance serves one event loop."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._topic = alerts_topic(settings)
        self.known: dict[int, int] = {}
        """Partition -> offset of its last record, -1 when it has none."""
        self.as_of: datetime | None = None
        """When all partitions were asked last (UTC): what was acknowledged before is not behind `known`."""

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        failures = 0
        while True:
            try:
                failures = await self._watch()
            except (KafkaError, TimeoutError, OSError) as error:
                failures += 1
                if failures == 1:
                    log.info("the ends of the alerts topic are not known", because=type(error).__name__)
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(LONGEST_PAUSE, 2.0**failures))  # noqa: S311

    async def _watch(self) -> int:
        """Look until an answer fails; returns 1 when there was an answer before, so that pauses begin anew."""
        consumer = AIOKafkaConsumer(
            **client_arguments(self._settings),
            client_id="tocsin-offsets",
            enable_auto_commit=False,
            request_timeout_ms=int(TIMEOUT * 1000),
        )
        answered = False
        try:
            await asyncio.wait_for(consumer.start(), TIMEOUT)
            while True:
                await self._look(consumer)
                answered = True
                await asyncio.sleep(EVERY)
        except (KafkaError, TimeoutError, OSError):
            if answered:
                return 1
            raise
        finally:
            await _stop(consumer)

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        first = TopicPartition(self._topic, 0)
        if consumer.partitions_for_topic(self._topic) is None:  # asking for one makes the client learn of the others
            await asyncio.wait_for(consumer.end_offsets([first]), TIMEOUT)
        partitions = consumer.partitions_for_topic(self._topic) or {0}
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        asked_at = self._clock()
        ends = await asyncio.wait_for(consumer.end_offsets(places), TIMEOUT)
        self.known = self.known | {place.partition: end - 1 for place, end in ends.items()}
        if len(places) >= self._settings.alerts_partitions:
            self.as_of = asked_at


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Stop, for some seconds at most."""
    try:
        await asyncio.wait_for(consumer.stop(), TIMEOUT)
    except (KafkaError, TimeoutError, OSError) as error:
        log.info("a consumer was dropped", because=type(error).__name__)
