"""The inbox: records of the `alerts` topic that the gateway kept in the store while Kafka was away.

The reader folds them, so that people are paged whatever is down; it needs Postgres and no broker, and runs beside the
worker's Faust app, which cannot start without one. The forwarder writes the copies that the topic lacks, later. Who
does what first does not matter, nor how often: the fold takes the same receipt once.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from prometheus_client import Counter

from schemas.received import BadRecord, decode
from schemas.settings import Settings
from schemas.topics import alerts_topic, client_arguments
from streams.brokers import close_producer
from streams.failpoints import effect
from streams.fold import Arrival, Fold, Unreadable, batches
from streams.patience import patiently, pause_for
from streams.store.base import Conflict, InboxRow, Store

log = structlog.get_logger()

LEASE = 30.0
"""Seconds that a claim of rows holds; a save takes a fraction of one."""
BATCH = 50
POLL = 0.2
"""Seconds between looks into an inbox that is empty, with jitter."""
TIMEOUT_MS = 10_000
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Seconds between attempts while Kafka does not answer, doubled each time, with jitter."""
FORWARDED_TOGETHER = 200
"""Rows that are written to the topic by one producer."""

INBOX = Counter("tocsin_inbox_rows_total", "Rows of the inbox, by what was done with them.", ["done"])


class InboxReader:
    """Folds what is in the inbox. Any number of readers work side by side: rows are claimed by lease."""

    def __init__(self, store: Store, fold: Fold) -> None:
        self._store, self._fold = store, fold
        self._rows: Sequence[InboxRow] = ()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set; waits for Postgres as long as it does not answer.

        Raises whatever nobody expected; the supervisor starts the role again.
        """
        with ThreadPoolExecutor(1, "inbox") as thread:
            while not stopping.is_set():
                if not await patiently(self.step, thread):
                    await pause_for(stopping, POLL)

    def step(self) -> int:
        """Claim some rows and fold them; returns how many. Blocks; raises Unavailable.

        What was claimed before the database went away is folded by the next call, not once its lease is over.
        """
        self._rows = self._rows or self._store.claim_inbox(LEASE, BATCH)
        claimed = len(self._rows)
        for batch in batches([(row, _read(row)) for row in self._rows]):
            self._save(batch)
        self._rows = ()
        return claimed

    def _save(self, batch: "Sequence[tuple[InboxRow, Arrival | Unreadable]]") -> None:
        """Fold rows in one save. When one of them is folded elsewhere, each is tried alone, and that one left."""
        places = tuple((row.receipt, row.part) for row, _ in batch)
        try:
            self._fold.save([arrival for _, arrival in batch], inbox=places)
        except Conflict:
            if len(batch) > 1:
                for one in batch:
                    self._save([one])
            else:
                log.info("inbox row folded elsewhere", receipt=batch[0][0].receipt)
            return
        INBOX.labels("folded").inc(len(batch))
        log.info("inbox folded", rows=len(batch), first=batch[0][0].receipt)


def _read(row: InboxRow) -> Arrival | Unreadable:
    pointer = f"inbox/{row.receipt}/{row.part}"
    try:
        return Arrival(decode(row.body), pointer)
    except BadRecord as error:
        integration = row.key.decode(errors="replace").rpartition(":")[0]
        return Unreadable(pointer, integration, row.body, error.reason)


class Forwarder:
    """Writes to the `alerts` topic what went to the inbox, so that the topic lacks nothing once Kafka is back."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._topic = alerts_topic(settings)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set; waits for Postgres and Kafka as long as they do not answer."""
        with ThreadPoolExecutor(1, "forwarder") as thread:
            while not stopping.is_set():
                claim = partial(self._store.claim_unforwarded, LEASE, FORWARDED_TOGETHER)
                if rows := await patiently(claim, thread):
                    await self._forward(rows, stopping, thread)
                else:
                    await pause_for(stopping, FIRST_PAUSE)

    async def _forward(self, rows: Sequence[InboxRow], stopping: asyncio.Event, thread: ThreadPoolExecutor) -> None:
        """Write rows until Kafka has them all. That another forwarder may take them over meanwhile is harmless."""
        pause = FIRST_PAUSE
        while rows and not stopping.is_set():
            done = await self._write(rows)
            if done:
                await patiently(partial(self._store.mark_forwarded, done), thread)
                INBOX.labels("forwarded").inc(len(done))
                log.info("inbox forwarded", rows=len(done), first=done[0].receipt)
            rows = [row for row in rows if row not in done]
            if rows:
                await pause_for(stopping, pause)
                pause = min(LONGEST_PAUSE, 2 * pause)

    async def _write(self, rows: Sequence[InboxRow]) -> list[InboxRow]:
        """Write rows by a producer of their own: one that failed is no good any more. Returns what Kafka has."""
        try:
            async with _producer(self._settings) as producer, asyncio.timeout(TIMEOUT_MS / 1000):
                with effect("forward"):
                    sent = [await producer.send(self._topic, row.body, key=row.key) for row in rows]
                    results = await asyncio.gather(*sent, return_exceptions=True)
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("forwarding waits for kafka", because=type(error).__name__)
            return []
        return [row for row, result in zip(rows, results, strict=True) if _is_done(row, result)]


def _is_done(row: InboxRow, result: object) -> bool:
    """Whether nothing is left to do for a row: the topic has it, or never will."""
    if isinstance(result, MessageSizeTooLargeError):
        log.error("the topic takes no record as large as this one", receipt=row.receipt, part=row.part)
        return True
    return not isinstance(result, BaseException)


@asynccontextmanager
async def _producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A connected producer. Raises KafkaError, TimeoutError."""
    producer = AIOKafkaProducer(
        **client_arguments(settings),
        client_id="tocsin-forwarder",
        acks="all",
        enable_idempotence=True,
        max_batch_size=262_144,
        max_request_size=2**31 - 1,
        request_timeout_ms=TIMEOUT_MS,
    )
    try:
        async with asyncio.timeout(TIMEOUT_MS / 1000):
            await producer.start()
        yield producer
    finally:
        await close_producer(producer)
