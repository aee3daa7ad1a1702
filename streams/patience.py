"""Waiting: for a database that is away, with blocking work on a thread again until it answers; or for a while."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import count
from typing import TypeVar

import structlog

from streams.store.base import Unavailable

log = structlog.get_logger()

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between attempts, doubled each time, with full jitter."""


async def patiently(work: Callable[[], T], thread: Executor | None = None) -> T:
    """Run blocking `work` on a thread and return its answer, again and again while the database does not answer.

    There is no limit on the attempts: nothing can be decided without the database, and each attempt says so in
    the log. Raises whatever else `work` raises.
    """
    for attempt in count(1):
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, work)
        except Unavailable as error:
            log.warning("waiting for the database", because=str(error), attempt=attempt)
            longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt, 10))
            await asyncio.sleep(random.uniform(FIRST_PAUSE, longest))  # noqa: S311
    raise AssertionError("unreachable")


async def pause_for(stopping: asyncio.Event, seconds: float) -> None:
    """Wait about so long, or until `stopping` is set."""
    try:
        async with asyncio.timeout(seconds * random.uniform(0.75, 1.25)):  # noqa: S311
            await stopping.wait()
    except TimeoutError:
        return
