"""Heartbeats of the configuration, looked at: when one is due it was heard of meanwhile, or it is missed.

Pings only move what is remembered of a heartbeat; a ping of one that is missed, or not looked at yet, has it looked at.
Any number of these loops work side by side: deadlines are leased, and a ping that comes during a look has it done
again. While no gateway lives, or none lived, nobody is missed: see `domain.heartbeats.missed_at`.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import count

import structlog
from prometheus_client import Counter

from domain.alerts import AlertStatus
from domain.book import Book, Due
from domain.config import Config
from domain.heartbeating import HEARTBEAT, Known, look, report_of
from domain.heartbeats import Heartbeat, Ping, missed_at
from schemas.payloads import write_alert
from streams.clock import Clock
from streams.fold import Fold
from streams.patience import patiently, pause_for
from streams.store.base import Conflict, Listening, Save, Store, Unavailable
from streams.store.deciding import decide
from streams.suppressed import count_suppressed

log = structlog.get_logger()

LEASE = 30.0
"""Seconds that a claim of deadlines holds; a look takes a fraction of one."""
BATCH = 50
"""Heartbeats looked at in one save."""
POLL = 0.5
"""Seconds between looks for deadlines when none has come, with jitter."""

CHANGED = Counter("tocsin_heartbeats_total", "Heartbeats that were missed, or heard of again.", ["heartbeat", "change"])
FAILED = Counter("tocsin_heartbeat_failures_total", "Heartbeats that could not be looked at.")
CHANGES = {AlertStatus.FIRING: "missed", AlertStatus.RESOLVED: "heard"}


@dataclass(frozen=True, slots=True)
class Heartbeating:
    """Meets the deadlines of heartbeats.

    Parameters:
        fold: what alerts are decided with.
        salt: gives new random bytes each time, for the digests of what can be erased.
    """

    store: Store
    fold: Fold
    clock: Clock
    salt: Callable[[], bytes] = lambda: secrets.token_bytes(16)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set; waits for Postgres as long as it does not answer."""
        with ThreadPoolExecutor(1, "heartbeats") as thread:
            while not stopping.is_set():
                if not await patiently(self.step, thread):
                    await pause_for(stopping, POLL)

    def step(self) -> int:
        """Meet some deadlines that have come; returns how many. Blocks; raises Unavailable.

        A heartbeat that cannot be looked at costs only itself: it is logged and counted and stays claimed, and is
        tried again after `LEASE` seconds.
        """
        ripe = self.store.claim_due(self.clock(), LEASE, BATCH, HEARTBEAT)
        if ripe and not self._attempt(ripe):
            for due in ripe:
                self._attempt([due])
        return len(ripe)

    def _attempt(self, ripe: Sequence[Due]) -> bool:
        """Look at these heartbeats. False: each is to be looked at by itself."""
        try:
            return self._look(ripe)
        except Unavailable:
            raise
        except Exception as error:
            if len(ripe) > 1:
                log.warning("heartbeats are looked at one by one", because=type(error).__name__)
                return False
            FAILED.inc()
            log.error("a heartbeat cannot be looked at", heartbeat=ripe[0].key, again_in=LEASE, exc_info=error)
            return True

    def _look(self, ripe: Sequence[Due]) -> bool:
        """Look at these heartbeats, in one save. False: at least one pinged meanwhile, or was looked at elsewhere."""
        books: list[Book] = []

        def attempt() -> Save:
            books.append(self._looked(ripe))
            return Save(books[-1])

        try:
            decide(self.store, attempt)
        except Conflict as conflict:
            log.info("heartbeats are looked at again", because=str(conflict), heartbeats=[due.key for due in ripe])
            return False
        count_suppressed(books[-1])
        for row in books[-1].changed_alerts.values():
            name, change = row.fingerprint, CHANGES[row.status]
            CHANGED.labels(name, change).inc()
            log.info("heartbeat", heartbeat=name, change=change, last=row.source_time.isoformat())
        return True

    def _looked(self, ripe: Sequence[Due]) -> Book:
        now, config, salt = self.clock(), self.store.config(), self.salt()
        known = self._known(config, [due.key for due in ripe], now)
        reports = {
            name: report_of(config.heartbeats.get(name), name, about, now, write_alert, salt)
            for name, about in known.items()
        }
        numbers = (number for _ in count() for number in self.store.next_numbers(1))
        book = self.fold.opened([report for report in reports.values() if report], numbers)
        if book.config.revision != config.revision:
            raise Conflict("the configuration has changed")
        for due in ripe:
            look(book, due, reports[due.key], known[due.key], now)
        return book

    def _known(self, config: Config, names: Sequence[str], now: datetime) -> Mapping[str, Known | None]:
        """What is known of these heartbeats; None of those that are not expected."""
        for name in names:
            heartbeat = config.heartbeats.get(name)
            if heartbeat is None:
                self.store.forget_pings(name)
            elif heartbeat.armed:
                self.store.expect(name, now)
        pings, listening = self.store.pings(names), self.store.listening()
        return {
            name: _judged(config.heartbeats[name], pings[name], listening, now) if name in pings else None
            for name in names
        }


def _judged(heartbeat: Heartbeat, ping: Ping, listening: Listening, now: datetime) -> Known:
    heard_until = ping.last if listening.age is None else now - listening.age
    if heartbeat.fed_by:
        heard_until = min(heard_until, listening.folded or ping.last)
    return Known(ping, missed_at(heartbeat, ping, listening.gaps), heard_until)
