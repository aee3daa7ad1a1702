"""The worker: a Faust agent reads the `alerts` topic and gives batches to the fold.

Kafka's committed offsets mean nothing here: the position is the store's `tracking`, saved with the decisions. On
assignment the consumer starts at tracking + 1; a batch that does not continue there is refused and sought back.
Faust is used for what it is good at (assignment, fetching, batching), and no more: see docs/explanation/positions.md.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import faust
import structlog
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, EventT
from prometheus_client import Counter, Gauge, Histogram

from schemas.received import BadRecord, decode
from schemas.settings import Settings
from schemas.topics import alerts_topic, ssl_context
from streams.failpoints import effect
from streams.fold import Arrival, Fold, Unreadable, batches
from streams.patience import patiently
from streams.positions import Lost, Positions, Standing, TopicReplaced
from streams.store.base import Conflict, Store, TrackingMove

log = structlog.get_logger()

Assign = Callable[[Mapping[int, Standing]], Awaitable[dict[int, int]]]
"""What stands in each assigned partition -> the offset it is to be read from."""
Fail = Callable[[BaseException], None]
"""Ends the worker with an error."""

BATCH = 200
"""Records that are taken together at most."""
TICK = 0.02
"""Seconds that a batch collects; Faust waits them out even when nothing else comes."""

MISSED_AFTER = 6.0
"""Seconds without a sign of life after which Kafka gives a worker's partitions to others: the least that brokers take
as they are delivered (`group.min.session.timeout.ms`). Who is killed and starts again waits for it, and so do pages.
"""
STALL = 2.0
"""Seconds without progress, with more to read, after which the consumer is put back to the position."""
STOP_WITHIN = 10.0
"""Seconds for Faust to say goodbye to Kafka."""
GIVE_UP = 10
"""So many times in a row; then the worker ends, and the supervisor begins it anew."""

FOLDED = Counter("tocsin_fold_records_total", "Records of the alerts topic folded.")
STALLS = Counter("tocsin_fold_stalls_total", "Times a partition was read again because nothing moved.")
PARTITIONS = Gauge("tocsin_fold_partitions", "Partitions of the alerts topic that were assigned to this worker.")
BATCHES = Histogram("tocsin_fold_batch_seconds", "Time to load, decide and save a batch.")


Read = tuple[EventT[bytes], Arrival | Unreadable]
"""A record as Kafka has it, and what it says."""


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
        self._positions = Positions(settings.kafka_cluster, self._topic)
        self._moved_at = time.monotonic()
        self._waits = 0
        self._thread = ThreadPoolExecutor(1, "fold")
        self._failed: asyncio.Future[None] | None = None
        self.app = self._build(datadir)

    async def run(self, stopping: asyncio.Event) -> None:
        """Fold until `stopping` is set. Raises whatever nobody expected; the supervisor starts the role again."""
        self._failed = asyncio.get_running_loop().create_future()
        crashed = asyncio.create_task(self._faust())
        try:
            stopped = asyncio.create_task(stopping.wait())
            watch = asyncio.create_task(self._watch())
            ends: set[asyncio.Future[Any]] = {stopped, crashed, watch, self._failed}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if watch.done():
                watch.result()
            watch.cancel()
            if self._failed.done():
                self._failed.result()
            if crashed.done():
                crashed.result()
            if not stopping.is_set():
                raise RuntimeError("Faust stopped by itself") from self.app.crash_reason
        finally:
            crashed.cancel()
            try:
                async with asyncio.timeout(STOP_WITHIN):
                    await self.app.stop()
            except TimeoutError:
                log.warning("Faust does not stop: it is left where it is", seconds=STOP_WITHIN)
            self._thread.shutdown(wait=True)

    async def _faust(self) -> None:
        """Faust at work, until it stops. It has begun once it has its partitions."""
        await self.app.start()
        await self.app.wait_until_stopped()

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
            broker_session_timeout=MISSED_AFTER,
            broker_heartbeat_interval=2.0,
        )
        app.transport = tracked_transport(app, self._topic, self._assigned, self._fail)
        topic = app.topic(self._topic, key_type=bytes, value_type=bytes, value_serializer="raw", internal=True)
        app.agent(topic, concurrency=1, name="fold")(self._agent)
        return app

    async def _assigned(self, standing: Mapping[int, Standing]) -> dict[int, int]:
        """The offset after the last folded one, for each assigned partition; waits for the database."""
        with self._waiting():
            lost = self._positions.assign(standing, await self._tracking())
            for gone in lost:
                await self._give_up(gone)
        folded = dict(sorted(self._positions.folded.items()))
        log.info("partitions assigned", positions=folded, catching_up=len(self._positions.catching_up))
        self._moved_at = time.monotonic()
        PARTITIONS.set(len(self._positions.folded))
        return {partition: offset + 1 for partition, offset in self._positions.folded.items()}

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """The database is waited for, however long that takes."""
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1

    async def _tracking(self) -> Mapping[int, int]:
        return await patiently(partial(self._store.tracking, self._positions.cluster, self._topic), self._thread)

    async def _give_up(self, lost: Lost) -> None:
        """Records were deleted before we folded them: say so, for ever, and go on behind them."""
        move = self._move(lost.partition, lost.last)
        await patiently(partial(self._fold.lose, move), self._thread)
        self._positions.moved(lost.partition, lost.last)

    def _move(self, partition: int, offset: int) -> TrackingMove:
        positions = self._positions
        return TrackingMove(positions.cluster, self._topic, partition, positions.folded[partition], offset)

    async def _agent(self, stream: faust.StreamT[bytes]) -> None:
        try:
            async for events in stream.take_events(BATCH, within=TICK):
                for batch in batches([(event, self._arrival(event)) for event in events]):
                    await self._batch(batch)
        except Exception as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        if self._failed and not self._failed.done():
            self._failed.set_exception(error)

    async def _batch(self, records: Sequence[Read]) -> None:
        arrivals: list[Arrival | Unreadable] = []
        moves: list[TrackingMove] = []
        for partition in sorted({event.message.partition for event, _ in records}):
            fresh = self._fresh(partition, [read for read in records if read[0].message.partition == partition])
            if not fresh:
                continue
            first, last = fresh[0][0].message.offset, fresh[-1][0].message.offset
            if first != self._positions.folded[partition] + 1:
                await self._seek_back(partition, first)
                continue
            moves.append(self._move(partition, last))
            arrivals += [arrival for _, arrival in fresh]
        if moves:
            with self._waiting():
                await self._save(arrivals, tuple(moves))

    def _fresh(self, partition: int, records: Sequence[Read]) -> Sequence[Read]:
        """The records not folded yet; none of a partition that was taken away in the meantime."""
        folded = self._positions.folded.get(partition)
        return [] if folded is None else [read for read in records if read[0].message.offset > folded]

    def _arrival(self, event: EventT[bytes]) -> Arrival | Unreadable:
        message = event.message
        pointer = f"{self._positions.name(message.partition)}@{message.offset}"
        body = bytes(event.value or b"")
        try:
            return Arrival(decode(body), pointer)
        except BadRecord as error:
            integration = bytes(message.key or b"").rpartition(b":")[0].decode(errors="replace")
            return Unreadable(pointer, integration, body, error.reason)

    async def _save(self, arrivals: Sequence[Arrival | Unreadable], moves: tuple[TrackingMove, ...]) -> None:
        catching_up = self._positions.catching_up
        with BATCHES.time():
            try:
                await patiently(partial(self._fold.save, arrivals, moves, (), catching_up), self._thread)
            except Conflict:
                await self._lost([move.partition for move in moves])
                return
        self._moved_at = time.monotonic()
        for move in moves:
            self._positions.moved(move.partition, move.offset)
        FOLDED.inc(len(arrivals))
        if caught_up := self._positions.caught_up():
            await patiently(partial(self._fold.caught_up, caught_up), self._thread)

    async def _lost(self, partitions: Sequence[int]) -> None:
        """Somebody else moved these positions: go on from where they are, in those partitions that are ours still."""
        tracked = await self._tracking()
        log.warning("positions moved elsewhere", partitions=list(partitions))
        for partition in partitions:
            if partition not in self._positions.folded:
                continue
            self._positions.folded[partition] = tracked.get(partition, -1)
            await self._seek_back(partition, None)

    async def _seek_back(self, partition: int, found: int | None) -> None:
        want = self._positions.folded[partition] + 1
        log.warning("reading again from the position", partition=partition, found=found, want=want)
        place = TP(self._topic, partition)
        if place in self.app.consumer.assignment():
            with effect("seek"):
                await self.app.consumer.seek(place, want)

    async def _watch(self) -> None:
        """Read again from the position when there is more in a partition and nothing has moved for a while.

        A consumer can lose its place without a word, and Faust a task of its own, after which nothing is fetched, not
        even where a partition ends: nobody must stay lost. Raises RuntimeError when going back does not help.
        """
        seen, times = self._moved_at, 0
        while True:
            await asyncio.sleep(STALL)
            if self._moved_at != seen or not self._positions.folded:
                seen, times = self._moved_at, 0
                continue
            places = [place for place in self.app.consumer.assignment() if place.topic == self._topic]
            ends = await self._highwaters(places)
            silent = [place.partition for place, end in ends.items() if end is None]
            behind = self._positions.behind({place.partition: end for place, end in ends.items() if end})
            times = times + 1 if (behind or silent) and not self._waits else 0
            if times > GIVE_UP:
                raise RuntimeError(f"partitions {sorted({*behind, *silent})} are not read: the worker begins anew")
            for partition in behind:
                STALLS.inc()
                await self._seek_back(partition, None)

    async def _highwaters(self, places: Collection[TP]) -> Mapping[TP, int | None]:
        """Where Faust's consumer believes that partitions end; of none is that known when it does not answer."""
        try:
            async with asyncio.timeout(STALL):
                return dict(await self.app.consumer.highwaters(*places))
        except TimeoutError:
            return dict.fromkeys(places)


def tracked_transport(app: faust.App, topic: str, assign: Assign, fail: Fail) -> driver.Transport:
    """A transport whose consumer starts at our own positions instead of Kafka's committed offsets."""

    class Consumer(driver.Consumer):  # type: ignore[misc]
        async def perform_seek(self) -> None:
            await super().perform_seek()
            places = [place for place in self.assignment() if place.topic == topic]
            if not places:
                return
            beginnings, ends = await self.earliest_offsets(*places), await self.highwaters(*places)
            standing = {p.partition: Standing(beginnings[p], ends[p] or beginnings[p]) for p in places}
            try:
                wanted = await assign(standing)
            except TopicReplaced as error:
                fail(error)
                raise
            with effect("seek_assigned"):
                for place in places:
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
