"""Removing what is over: a task of the projector, one per store, that never hurries.

What is kept how long is `streams/store/pruning.py`, and in words docs/explanation/retention.md.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, LiteralString
from uuid import uuid4

import structlog
from prometheus_client import Counter

from domain.decision import Actor, Cause
from streams.clock import Clock
from streams.silencing import forget_silences
from streams.store.base import Conflict, Store, Unavailable
from streams.store.leadership import Leadership
from streams.store.pruning import RULES, Pruning

log = structlog.get_logger()

ROUND = 600.0
"""Seconds between rounds, with jitter."""
BATCH = 1_000
"""Rows in one statement."""
TEXTS = 500
"""Texts that one event says are gone."""
SILENCES = 100
"""Silences that one save removes."""
EXPIRED_KEPT = timedelta(days=5)
"""How long a silence that ended can be seen, as with Alertmanager."""
MOST = 100
"""Batches of one table in one round."""
PAUSE = 0.2
"""Seconds between batches, which leaves the database to those who page people."""

PRUNED = Counter("tocsin_pruned_rows_total", "Rows removed because their time was over.", ["table"])
FAILED = Counter("tocsin_pruning_failures_total", "Times that pruning a table met an error nobody foresaw.", ["table"])


@dataclass(frozen=True, slots=True)
class Pruner:
    """Prunes while it holds the seat; stands by otherwise.

    Parameters:
        clock: the application's; rows carry its times.
        expire: blanks the next texts that are too old, up to as many; returns how many. Nothing is, by default.
        forget: removes the next silences that expired long ago; returns how many. None, by default. See `forgetting`.
    """

    pruning: Pruning
    leadership: Leadership
    clock: Clock
    expire: Callable[[int], int] = lambda limit: 0
    forget: Callable[[], int] = lambda: 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Work, or stand by, until `stopping` is set. While Postgres does not answer, rounds are left out."""
        while not stopping.is_set():
            await self._round(stopping)
            await _pause(stopping, random.uniform(ROUND / 2, ROUND))  # noqa: S311
        await asyncio.to_thread(self.leadership.release)

    async def _round(self, stopping: asyncio.Event) -> None:
        for table in RULES:
            await self._survive(table, self._batches(partial(self.step, table), BATCH, stopping))
        await self._survive("payloads", self._batches(self.step_texts, TEXTS, stopping))
        await self._survive("silences", self._batches(self.step_silences, SILENCES, stopping))

    async def _survive(self, table: str, work: Coroutine[Any, Any, None]) -> None:
        """Prune one table; whatever goes wrong with it, the others are pruned, and the next round begins anew."""
        try:
            await work
        except (Unavailable, Conflict) as error:
            log.warning("the rest is pruned later", table=table, because=str(error))
        except Exception as error:
            FAILED.labels(table).inc()
            log.error("a table cannot be pruned", table=table, exc_info=error)

    async def _batches(self, work: Callable[[], int], full: int, stopping: asyncio.Event) -> None:
        """Do `work` until it did less than a `full` batch."""
        for _ in range(MOST):
            if stopping.is_set() or not await asyncio.to_thread(self.leadership.hold):
                return
            if await asyncio.to_thread(work) < full:
                return
            await _pause(stopping, PAUSE)

    def step_texts(self) -> int:
        """Blank the next texts that are too old; returns how many. Blocks; raises Unavailable, Conflict."""
        expired = self.expire(TEXTS)
        if expired:
            PRUNED.labels("payloads").inc(expired)
            log.info("texts of alerts expired", texts=expired)
        return expired

    def step_silences(self) -> int:
        """Remove the next silences that expired long ago; returns how many. Blocks; raises Unavailable, Conflict."""
        gone = self.forget()
        if gone:
            PRUNED.labels("silences").inc(gone)
            log.info("silences removed", silences=gone)
        return gone

    def step(self, table: LiteralString) -> int:
        """Prune one batch of a table; returns how many rows there were. Blocks; raises Unavailable."""
        removed = self.pruning.prune(table, self.clock(), BATCH)
        if removed:
            PRUNED.labels(table).inc(removed)
            log.info("pruned", table=table, rows=removed)
        return removed


def forgetting(store: Store, org: str, clock: Clock) -> Callable[[], int]:
    """What removes the next silences that expired `EXPIRED_KEPT` ago and returns how many.

    It blocks, and raises Unavailable, Conflict.
    """

    def forget() -> int:
        request, now = str(uuid4()), clock()
        cause = Cause(Actor("system", "retention"), "retention", f"retention/{request}", request, request)
        return forget_silences(store, org, now - EXPIRED_KEPT, cause, now)

    return forget


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
