"""Tasks that belong to a role for as long as it runs: begun again when they fail, ended with it."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger()

PAUSE = 5.0
"""Seconds, with jitter, before a task that failed is begun again: it must not end the role, which has better to do."""
END_WITHIN = 5.0
"""Seconds that tasks have to end."""

Work = Callable[[], Awaitable[None]]
"""Something that goes on until it is cancelled."""


@asynccontextmanager
async def owned(works: Mapping[str, Work]) -> AsyncIterator[None]:
    """Run each of `works`, by name, beside the body; cancel them at its end."""
    tasks = [asyncio.create_task(_again(name, work), name=name) for name, work in works.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=END_WITHIN)


def is_asked_to_end() -> bool:
    """Whether the current task is cancelled by its owner: a CancelledError may also come from what it waits for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def _again(name: str, work: Work) -> None:
    while True:
        try:
            await work()
        except asyncio.CancelledError:
            if is_asked_to_end():
                raise
            log.error("a task beside the role was cancelled by what it waited for, and is begun again", task=name)
        except Exception:
            log.exception("a task beside the role failed and is begun again", task=name)
        await asyncio.sleep(random.uniform(PAUSE / 2, PAUSE))  # noqa: S311
