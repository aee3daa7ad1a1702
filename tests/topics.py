"""What is on topics, read to where they end: a poll that brings nothing says only that the broker is busy."""

import asyncio
from collections.abc import Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

PATIENCE = 60.0
"""Seconds for all of it to come."""


async def all_records(
    topics: Collection[str], isolation: str = "read_committed", **client: Any
) -> list[ConsumerRecord]:
    """Every record of these topics, of each partition in order.

    What is committed and not yet seen is waited for: the broker says "committed" before its markers are written.
    `client` says where the broker is.
    """
    async with AIOKafkaConsumer(*topics, **client) as consumer:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
    found: list[ConsumerRecord] = []
    async with (
        asyncio.timeout(PATIENCE),
        AIOKafkaConsumer(
            *topics, **client, isolation_level=isolation, enable_auto_commit=False, auto_offset_reset="earliest"
        ) as consumer,
    ):
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    return found
