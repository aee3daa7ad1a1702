"""Webhooks stay durable while Kafka is away: what the topic does not acknowledge in time is kept in the store's inbox.

Both copies of a receipt may arrive, and a receipt may be in the inbox and yet be refused: both are harmless, because
the fold takes the same receipt once. Who reads the inbox: `streams.inbox`, in the worker.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from gateway import metrics
from gateway.intake import Intake, IntakeUnavailable, encoded, largest_record
from schemas.received import AlertReceived
from schemas.settings import Settings
from streams.store.base import InboxRow, Store, StoreError, Unavailable

log = structlog.get_logger()

FAILURES = 3
"""Receipts in a row that Kafka did not take, after which it is not waited for any more."""
PROBE_EVERY = 1.0
"""Seconds between receipts that are offered to Kafka all the same, in the background, while it is not waited for."""
INBOX_TIMEOUT = 5.0
"""Seconds that a receipt waits for the database; senders wait 10 or more (contract page 00, section A)."""
WAITING_BYTES = 64 * 1024 * 1024
"""The most bytes that wait for the database at once; what is beyond is refused."""
TOGETHER = 100
"""Receipts that are written in one transaction, at most."""
CLOSE_TIMEOUT = 5.0

Monotonic = Callable[[], float]
"""Seconds from anywhere, never backwards."""


class Breaker:
    """Whether it is worth waiting for Kafka. `clock` gives seconds."""

    def __init__(self, clock: Monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._probed_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether Kafka is not waited for."""
        return self._failures >= FAILURES

    def worked(self) -> None:
        """Kafka took a receipt: from now on it is waited for."""
        if self.is_open:
            log.info("kafka takes alerts again")
            metrics.BREAKER.set(0)
        self._failures = 0

    def failed(self) -> None:
        """Kafka did not take a receipt in time."""
        was_open = self.is_open
        self._failures += 1
        if self.is_open and not was_open:
            self._probed_at = self._clock()
            log.warning("kafka is not waited for", failures=self._failures)
            metrics.BREAKER.set(1)

    def take_probe(self) -> bool:
        """Whether it is time to offer Kafka a receipt again: true once in `PROBE_EVERY` seconds."""
        now = self._clock()
        if now - self._probed_at < PROBE_EVERY:
            return False
        self._probed_at = now
        return True


class DurableIntake:
    """Kafka first, the inbox when Kafka does not answer in time. See `gateway.intake.Intake`.

    Parameters:
        kafka: the intake that is tried first; it says IntakeUnavailable after `settings.produce_timeout`.
        store: has the inbox.
        clock: seconds, for the breaker.
    """

    def __init__(self, kafka: Intake, store: Store, settings: Settings, clock: Monotonic = time.monotonic) -> None:
        self._kafka, self._org = kafka, settings.org
        self._largest = largest_record(settings)
        self._inbox = InboxWriter(store)
        self._breaker = Breaker(clock)
        self._probes: set[asyncio.Task[None]] = set()

    @property
    def acknowledged(self) -> Mapping[int, int]:
        """Partition -> the highest offset that Kafka has acknowledged to this process."""
        return self._kafka.acknowledged

    async def start(self) -> None:
        await self._kafka.start()

    async def put(self, receipt: AlertReceived, shards: int) -> None:
        if not (receipt.alerts or receipt.rejected):
            return
        if self._breaker.is_open:
            if self._breaker.take_probe():
                self._probe(receipt, shards)
            await self._keep(receipt, shards, "Kafka does not answer")
            return
        try:
            await self._offer(receipt, shards)
        except IntakeUnavailable as error:
            await self._keep(receipt, shards, str(error))

    async def check(self) -> None:
        await self._kafka.check()

    async def close(self) -> None:
        for probe in self._probes:
            probe.cancel()
        if self._probes:
            await asyncio.wait(self._probes)
        await asyncio.gather(self._kafka.close(), self._inbox.close())

    async def _offer(self, receipt: AlertReceived, shards: int) -> None:
        """Raises IntakeUnavailable, ReceiptTooLarge."""
        try:
            await self._kafka.put(receipt, shards)
        except IntakeUnavailable:
            self._breaker.failed()
            raise
        self._breaker.worked()
        metrics.kept("kafka").inc()

    def _probe(self, receipt: AlertReceived, shards: int) -> None:
        """Offer a receipt to Kafka beside its way into the inbox."""
        task = asyncio.create_task(self._try(receipt, shards), name="kafka-probe")
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def _try(self, receipt: AlertReceived, shards: int) -> None:
        try:
            await self._offer(receipt, shards)
        except IntakeUnavailable as error:
            log.debug("kafka was probed", because=str(error))
        except Exception:
            log.exception("the probe of kafka failed", receipt=receipt.receipt)

    async def _keep(self, receipt: AlertReceived, shards: int, why: str) -> None:
        """Put a receipt into the inbox. Raises IntakeUnavailable, ReceiptTooLarge."""
        records = encoded(self._org, receipt, shards, self._largest)
        rows = [
            InboxRow(receipt.receipt, part, key, body, receipt.received_at)
            for part, (key, body) in enumerate(records, start=1)
        ]
        try:
            await self._inbox.write(rows)
        except StoreError as error:
            metrics.kept("nowhere").inc()
            raise IntakeUnavailable(f"neither Kafka nor the database keeps it: {why}; {error}") from error
        metrics.kept("inbox").inc()


class _Waiting:
    """The rows of one receipt, and the word for whoever waits until they are written."""

    def __init__(self, rows: list[InboxRow]) -> None:
        self.rows = rows
        self.size = sum(len(row.body) for row in rows)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class InboxWriter:
    """Writes to the inbox on a thread of its own; what comes meanwhile goes together into the next transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "inbox")
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._writing: asyncio.Task[None] | None = None

    async def write(self, rows: list[InboxRow]) -> None:
        """Return when `rows` are committed.

        Raises StoreError: Unavailable when the database does not answer within some seconds, or too much waits for it.
        """
        one = _Waiting(rows)
        if self._bytes + one.size > WAITING_BYTES:
            raise Unavailable("too many alerts wait for the database")
        self._waiting.append(one)
        self._bytes += one.size
        if self._writing is None:
            self._writing = asyncio.create_task(self._work(), name="inbox")
        try:
            async with asyncio.timeout(INBOX_TIMEOUT):
                await one.done
        except TimeoutError:
            raise Unavailable(f"the database did not answer within {INBOX_TIMEOUT:g} s") from None

    async def close(self) -> None:
        """Let what is being written be written, for some seconds."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=CLOSE_TIMEOUT)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        """Write until nothing waits."""
        try:
            while self._waiting:
                together = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
                await self._write([one for one in together if not one.done.done()])
                self._bytes -= sum(one.size for one in together)
        finally:
            self._writing = None

    async def _write(self, together: list[_Waiting]) -> None:
        """Write the rows of those who still wait, and tell them."""
        rows = [row for one in together for row in one.rows]
        error: Exception | None = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store.put_inbox, rows)
        except Exception as raised:  # noqa: BLE001 - raised again where the rows came from
            error = raised
        for one in together:
            if one.done.done():
                continue
            if error is None:
                one.done.set_result(None)
            else:
                one.done.set_exception(error)
