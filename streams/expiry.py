"""Expiry at work: deadlines of groups are met once all that was accepted until then is folded.

The worker does this, not the pager: while alerts wait in Kafka or the inbox, or Kafka cannot be asked, nobody knows
whether a source is silent or we are deaf. Then nothing expires, and an alert too many stays open rather than one too
few.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import structlog
from prometheus_client import Counter

from domain.expiry import EXPIRE
from schemas.settings import Settings
from schemas.topics import alerts_topic
from streams.fold import Fold
from streams.offsets import EndOffsets
from streams.patience import patiently, pause_for
from streams.store.base import Conflict, Store, Unavailable

log = structlog.get_logger()

LEASE = 30.0
"""Seconds that a claim of deadlines holds; deciding one takes a fraction of one."""
BATCH = 100
POLL = 1.0
"""Seconds between looks when no deadline has come, with jitter."""

MET = Counter("tocsin_expiry_deadlines_total", "Deadlines at which a group's alerts might have expired.")
FAILED = Counter("tocsin_expiry_failures_total", "Such deadlines that could not be decided.")


class Expiry:
    """Meets the deadlines at which alerts may have expired. Any number work side by side: deadlines are leased.

    Parameters:
        fold: decides and saves.
        ends: where the topic ends; kept up to date while this runs.
    """

    def __init__(self, settings: Settings, store: Store, fold: Fold, ends: EndOffsets) -> None:
        self._cluster, self._topic = settings.kafka_cluster, alerts_topic(settings)
        self._store, self._fold, self._ends = store, fold, ends

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set; waits for Postgres as long as it does not answer.

        Raises whatever nobody expected; the supervisor starts the role again.
        """
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(self._ends.keep())
            with ThreadPoolExecutor(1, "expiry") as thread:
                while not stopping.is_set():
                    if not await patiently(self.step, thread):
                        await pause_for(stopping, POLL)
            asking.cancel()

    def step(self) -> int:
        """Meet some deadlines that have come; returns how many. Blocks; raises Unavailable.

        One that cannot be decided is logged and counted and stays claimed: after `LEASE` seconds it is tried again.
        """
        heard_until = self.heard_until()
        if heard_until is None:
            return 0
        if self._store.config().feeding:
            self._store.folded_until(heard_until)
        ripe = self._store.claim_due(heard_until, LEASE, BATCH, EXPIRE)
        for due in ripe:
            try:
                self._fold.expire(due, heard_until)
            except Conflict:
                log.info("deadline met elsewhere", group=due.key)
            except Unavailable:
                raise
            except Exception as error:
                FAILED.inc()
                log.error("a group's deadline cannot be decided", group=due.key, again_in=LEASE, exc_info=error)
            MET.inc()
        return len(ripe)

    def heard_until(self) -> datetime | None:
        """Everything that was accepted before this time (UTC) is folded; None when that cannot be said of any."""
        as_of = self._ends.as_of  # before the ends: newer ones only ask for more
        if as_of is None:
            return None
        folded = self._store.tracking(self._cluster, self._topic)
        behind = any(folded.get(partition, -1) < end for partition, end in self._ends.known.items())
        return None if behind or self._store.inbox_waits(as_of) else as_of
