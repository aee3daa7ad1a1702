"""The worker: a Faust agent reads the `alerts` topic and gives batches to the fold.

Kafka's committed offsets mean nothing here: the position is the store's `tracking`, saved with the decisions. On
assignment the consumer starts at tracking + 1; a batch that does not continue there is refused and sought back.
Faust is used for what it is good at (assignment, fetching, batching), and no more: see docs/explanation/positions.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import faust
import structlog
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, EventT
from prometheus_client import Counter, Gauge, Histogram

from schemas.received import BadRecord, decode
from schemas.settings import Settings
from schemas.topics import alerts_topic, ssl_context
from streams.fold import Arrival, Fold
from streams.patience import patiently
from streams.store.base import Conflict, Store, TrackingMove

log = structlog.get_logger()

Positions = Callable[[Sequence[int]], Awaitable[dict[int, int]]]
"""Assigned partitions -> the offset each is to be read from."""

BATCH = 200
TICK = 0.02
"""Seconds that a batch collects; Faust waits them out even when nothing else comes."""

FOLDED = Counter("tocsin_fold_records_total", "Records of the alerts topic folded, by result.", ["result"])
BATCHES = Histogram("tocsin_fold_batch_seconds", "Time to load, decide and save a batch.")
AGE = Gauge("tocsin_fold_age_seconds", "Age of the last record folded, from receipt to commit.")


class Worker:
    """Folds the partitions it is assigned.

    Parameters:
        fold: decides and saves.
        store: knows the positions.
        datadir: a directory that Faust may keep files in.
    """

    def __init__(self, settings: Settings, fold: Fold, store: Store, datadir: Path) -> None:
        self._settings, self._fold, self._store = settings, fold, store
        self._topic = alerts_topic(settings)
        self._positions: dict[int, int] = {}
        self._thread = ThreadPoolExecutor(1, "fold")
        self._failed: asyncio.Future[None] | None = None
        self.app = self._build(datadir)

    async def run(self, stopping: asyncio.Event) -> None:
        """Fold until `stopping` is set. Raises whatever nobody expected; the supervisor starts the role again."""
        self._failed = asyncio.get_running_loop().create_future()
        await self.app.start()
        try:
            stopped = asyncio.create_task(stopping.wait())
            crashed = asyncio.create_task(self.app.wait_until_stopped())
            await asyncio.wait({stopped, crashed, self._failed}, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
            if not stopping.is_set():
                raise RuntimeError("Faust stopped by itself") from self.app.crash_reason
        finally:
            await self.app.stop()
            self._thread.shutdown(wait=True)

    def _build(self, datadir: Path) -> faust.App:
        settings = self._settings
        app = faust.App(
            f"{settings.topic_prefix}tocsin-fold",
            broker=[f"kafka://{server}" for server in (settings.kafka_bootstrap or "").split(",")],
            broker_credentials=credentials(settings),
            value_serializer="raw",
            store="memory://",
            datadir=str(datadir),
            web_enabled=False,
            autodiscover=False,
            worker_redirect_stdouts=False,
            topic_disable_leader=True,
            topic_partitions=settings.alerts_partitions,
            stream_wait_empty=False,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=16 * 1024 * 1024,
            broker_session_timeout=10.0,
            broker_heartbeat_interval=2.0,
        )
        app.transport = tracked_transport(app, self._topic, self._start_positions)
        topic = app.topic(self._topic, key_type=bytes, value_type=bytes, value_serializer="raw", internal=True)
        app.agent(topic, concurrency=1, name="fold")(self._agent)
        return app

    async def _start_positions(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offset after the last folded one, for each assigned partition; waits for the database."""
        work = partial(self._store.tracking, self._settings.kafka_cluster, self._topic)
        tracked = await patiently(work, self._thread)
        self._positions = {partition: tracked.get(partition, -1) for partition in partitions}
        log.info("partitions assigned", positions=self._positions)
        return {partition: offset + 1 for partition, offset in self._positions.items()}

    async def _agent(self, stream: faust.StreamT[bytes]) -> None:
        try:
            async for events in stream.take_events(BATCH, within=TICK):
                await self._batch(events)
        except Exception as error:
            if self._failed and not self._failed.done():
                self._failed.set_exception(error)
            raise

    async def _batch(self, events: Sequence[EventT[bytes]]) -> None:
        arrivals: list[Arrival] = []
        moves: list[TrackingMove] = []
        for partition in sorted({event.message.partition for event in events}):
            fresh = self._fresh(partition, [event for event in events if event.message.partition == partition])
            if not fresh:
                continue
            expected = self._positions[partition]
            if fresh[0].message.offset != expected + 1:
                await self._seek_back(partition, fresh[0].message.offset)
                continue
            last = fresh[-1].message.offset
            moves.append(TrackingMove(self._settings.kafka_cluster, self._topic, partition, expected, last))
            arrivals += [arrival for event in fresh if (arrival := self._arrival(event))]
        if moves:
            await self._save(arrivals, tuple(moves))

    def _fresh(self, partition: int, events: list[EventT[bytes]]) -> list[EventT[bytes]]:
        """The events not folded yet; none of a partition that was taken away in the meantime."""
        if partition not in self._positions:
            return []
        return [event for event in events if event.message.offset > self._positions[partition]]

    def _arrival(self, event: EventT[bytes]) -> Arrival | None:
        message = event.message
        pointer = f"{self._settings.kafka_cluster}/{self._topic}/{message.partition}@{message.offset}"
        try:
            return Arrival(decode(bytes(event.value)), pointer)
        except BadRecord as error:
            FOLDED.labels("unreadable").inc()
            log.error("unreadable record", pointer=pointer, reason=error.reason)
            return None

    async def _save(self, arrivals: Sequence[Arrival], moves: tuple[TrackingMove, ...]) -> None:
        with BATCHES.time():
            try:
                await patiently(partial(self._fold.save, arrivals, moves), self._thread)
            except Conflict:
                await self._lost([move.partition for move in moves])
                return
        for move in moves:
            self._positions[move.partition] = move.offset
        FOLDED.labels("folded").inc(len(arrivals))
        if arrivals:
            AGE.set((datetime.now(UTC) - arrivals[-1].record.received_at).total_seconds())

    async def _lost(self, partitions: Sequence[int]) -> None:
        """Somebody else moved these positions: go on from where they are."""
        work = partial(self._store.tracking, self._settings.kafka_cluster, self._topic)
        tracked = await patiently(work, self._thread)
        log.warning("positions moved elsewhere", partitions=list(partitions))
        for partition in partitions:
            self._positions[partition] = tracked.get(partition, -1)
            await self._seek_back(partition, None)

    async def _seek_back(self, partition: int, found: int | None) -> None:
        want = self._positions[partition] + 1
        log.warning("batch does not continue the position", partition=partition, found=found, want=want)
        place = TP(self._topic, partition)
        if place in self.app.consumer.assignment():
            await self.app.consumer.seek(place, want)


def tracked_transport(app: faust.App, topic: str, positions: Positions) -> driver.Transport:
    """A transport whose consumer starts at our own positions instead of Kafka's committed offsets."""

    class Consumer(driver.Consumer):  # type: ignore[misc]
        async def perform_seek(self) -> None:
            await super().perform_seek()
            assigned = [place for place in self.assignment() if place.topic == topic]
            wanted = await positions([place.partition for place in assigned])
            for place in assigned:
                await self.seek(place, wanted[place.partition])

    class Transport(driver.Transport):  # type: ignore[misc]
        pass

    Transport.Consumer = Consumer
    return Transport(app.conf.broker_consumer, app)


def credentials(settings: Settings) -> SASLCredentials | SSLCredentials | None:
    """How Faust authenticates, by the settings."""
    tls = ssl_context(settings) if settings.kafka_security_protocol.endswith("SSL") else None
    if settings.kafka_security_protocol.startswith("SASL") and settings.kafka_sasl_password:
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=tls,
        )
    return SSLCredentials(tls) if tls else None
