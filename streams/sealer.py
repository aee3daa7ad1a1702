"""The sealer: every ten seconds, a signature over what was added to the log, kept where the log's owner cannot undo it.

A seal is first a row in Postgres, which decides its number, then a line in the append-only file, then a record on
topic `seals`. File and topic are filled from the table, in order: Kafka may be away as long as it likes. See
`schemas.seals` for what a seal says, `projections.verify` for who checks it.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import Counter, Gauge

from schemas.seals import BadSeal, Seal, decode, digest, encode, public_hex, sign
from schemas.seals import Tree as MerkleTree
from schemas.settings import Settings
from schemas.topics import client_arguments, seals_topic
from streams.brokers import close_producer
from streams.clock import Clock
from streams.failpoints import effect
from streams.seal_file import SealFile, seal_file
from streams.seal_key import signing_key
from streams.store.base import Conflict, Identity, Unavailable
from streams.store.leadership import Leadership
from streams.store.seals import Seals

log = structlog.get_logger()

INTERVAL = 10.0
"""Seconds between seals."""
LARGEST = 20_000
"""Events in one seal at most; a backlog becomes several seals."""
BATCH = 2_000
COPIED = 200
"""Seals that are copied to file or topic at once, at most."""
STANDBY = 2.0
LONGEST_PAUSE = 30.0
"""Seconds between attempts while Kafka or Postgres do not answer, at most."""
TIMEOUT_MS = 10_000

SEALED = Gauge("tocsin_sealed_position", "Position up to which the log is sealed.")
SEALS = Counter("tocsin_seals_total", "Seals made.")
UNPUBLISHED = Gauge("tocsin_seals_unpublished", "Seals that are not on the topic yet.")


class SealsLost(Exception):
    """The table has fewer seals than a copy of it: somebody removed some, or the database is an older one.

    Nothing is sealed until a person has looked: `tocsin audit verify` says what differs. A restore from a backup
    raises the store's epoch, which begins another file.
    """


@dataclass(slots=True)
class SealWriter:
    """Makes seals and writes them to table and file. Every call blocks.

    Parameters:
        seals: the table.
        key: what signs.
        file: the append-only copy on this machine.
    """

    seals: Seals
    key: Ed25519PrivateKey
    file: SealFile
    identity: Identity
    clock: Clock
    last: Seal | None = None

    def resume(self) -> None:
        """Find the last seal and bring the file up to date. Raises SealsLost, BadSeal, OSError, Unavailable."""
        self.last = self.seals.last()
        if self.last and self.last.key != public_hex(self.key.public_key()):
            log.warning("sealing with another key than before", number=self.last.number + 1)
        self.copy()

    def seal(self) -> bool:
        """Seal what is new, one seal at most; whether there was anything. Raises Conflict, Unavailable, OSError."""
        first = (self.last.last if self.last else 0) + 1
        tree, position = MerkleTree(), first - 1
        while position - first + 1 < LARGEST:
            found = self.seals.hashes(position, BATCH)
            for event in found:
                tree.add(event.position, event.hash)
            position = found[-1].position if found else position
            if len(found) < BATCH:
                break
        if position < first:
            return False
        self.last = self._made(first, position, tree.root)
        self.copy()
        SEALED.set(position)
        SEALS.inc()
        return True

    def _made(self, first: int, last: int, root: str) -> Seal:
        before = self.last
        seal = Seal(
            number=before.number + 1 if before else 1,
            store=self.identity.store,
            epoch=self.identity.epoch,
            first=first,
            last=last,
            root=root,
            previous=digest(before) if before else "",
            sealed_at=self.clock(),
            key="",
        )
        signed = sign(seal, self.key)
        self.seals.add(signed)
        return signed

    def copy(self) -> None:
        """Append to the file what the table has and it has not."""
        kept = self.file.last()
        if kept and (self.last is None or kept.number > self.last.number):
            raise SealsLost(f"the file has seal {kept.number}, the table ends at {self.last and self.last.number}")
        number = kept.number if kept else 0
        while more := self.seals.after(number, COPIED):
            self.file.append(more)
            number = more[-1].number


@dataclass(slots=True)
class Sealer:
    """Seals while it holds the seat; stands by otherwise."""

    settings: Settings
    seals: Callable[[], Seals]
    leadership: Leadership
    clock: Clock
    interval: float = INTERVAL
    _published: int = field(default=0)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work, or stand by, until `stopping` is set; waits for Kafka and Postgres as long as they do not answer.

        Raises BadKey when there is no usable key. Whatever else stands in the way is said in the log, each time.
        """
        key = await asyncio.to_thread(signing_key, self.settings)
        while not stopping.is_set():
            if not await self._seated():
                await _pause(stopping, STANDBY)
                continue
            try:
                async with asyncio.TaskGroup() as tasks:
                    left = asyncio.Event()
                    tasks.create_task(self._sealing(key, stopping, left))
                    tasks.create_task(self._publishing(stopping, left))
            finally:
                await asyncio.to_thread(self.leadership.release)
            await _pause(stopping, random.uniform(STANDBY, LONGEST_PAUSE / 3))  # noqa: S311

    async def _seated(self) -> bool:
        try:
            return await asyncio.to_thread(self.leadership.hold)
        except Unavailable as error:
            log.warning("sealer waits", because=str(error))
            return False

    async def _sealing(self, key: Ed25519PrivateKey, stopping: asyncio.Event, left: asyncio.Event) -> None:
        """Seal every interval until the seat, the database or the file is lost; then `left` is set."""
        seals = self.seals()
        try:
            identity = await asyncio.to_thread(seals.identity)
            file = SealFile(seal_file(self.settings.data_dir, identity))
            writer = SealWriter(seals, key, file, identity, self.clock)
            await asyncio.to_thread(writer.resume)
            while not (stopping.is_set() or left.is_set()) and await asyncio.to_thread(self.leadership.hold):
                if not await asyncio.to_thread(writer.seal):
                    await _pause(stopping, self.interval)
        except (SealsLost, BadSeal) as error:
            log.critical("not sealing", because=str(error))
        except (Unavailable, Conflict, OSError) as error:
            log.warning("sealer waits", because=str(error))
        finally:
            left.set()
            await asyncio.to_thread(seals.close)

    async def _publishing(self, stopping: asyncio.Event, left: asyncio.Event) -> None:
        """Copy the table to the topic until `left` is set; Kafka may come and go."""
        seals = self.seals()
        try:
            for attempt in count(1):
                try:
                    await self._publish(seals, stopping, left)
                except (KafkaError, TimeoutError, OSError, Unavailable, BadSeal) as error:
                    log.warning("seals wait for their topic", because=type(error).__name__, attempt=attempt)
                if stopping.is_set() or left.is_set():
                    return
                longest = min(LONGEST_PAUSE, 2.0 ** min(attempt, 10))
                await _pause(left, random.uniform(1.0, longest))  # noqa: S311
        finally:
            left.set()  # however this ends: nobody seals without a copy for long
            await asyncio.to_thread(seals.close)

    async def _publish(self, seals: Seals, stopping: asyncio.Event, left: asyncio.Event) -> None:
        place = TopicPartition(seals_topic(self.settings), 0)
        producer = AIOKafkaProducer(
            **client_arguments(self.settings), acks="all", enable_idempotence=True, request_timeout_ms=TIMEOUT_MS
        )
        try:
            await asyncio.wait_for(producer.start(), TIMEOUT_MS / 1000)
            last = await self._last_published(place)
            published = await asyncio.to_thread(_goes_on_behind, seals, last)
            while not (stopping.is_set() or left.is_set()):
                more = await asyncio.to_thread(seals.after, published, COPIED)
                UNPUBLISHED.set(len(more))
                for seal in more:
                    sending = producer.send_and_wait(place.topic, encode(seal), key=seal.store.encode(), partition=0)
                    with effect("seal_topic"):
                        await asyncio.wait_for(sending, TIMEOUT_MS / 1000)
                    published = seal.number
                if not more:
                    await _pause(left, min(self.interval, 1.0))
        finally:
            await close_producer(producer)

    async def _last_published(self, place: TopicPartition) -> Seal | None:
        """The last seal on the topic."""
        consumer = AIOKafkaConsumer(
            **client_arguments(self.settings), enable_auto_commit=False, request_timeout_ms=TIMEOUT_MS
        )
        try:
            async with asyncio.timeout(TIMEOUT_MS / 1000):
                await consumer.start()
                consumer.assign([place])
                end = (await consumer.end_offsets([place]))[place]
                if end == (await consumer.beginning_offsets([place]))[place]:
                    return None
                consumer.seek(place, end - 1)
                record = await consumer.getone(place)
                return decode(record.value)
        finally:
            await consumer.stop()


def _goes_on_behind(seals: Seals, last: Seal | None) -> int:
    """The number of the seal behind which the topic goes on after its `last`.

    Of an earlier epoch it may have more than the backup has; those numbers are given out again.
    """
    if last is None:
        return 0
    epoch = seals.identity().epoch
    return last.number if last.epoch == epoch else min(last.number, seals.last_before(epoch))


async def published(settings: Settings) -> list[Seal]:
    """Every seal on the topic, for whoever compares it with another copy.

    Raises KafkaError or TimeoutError when the broker does not answer within a minute, BadSeal for another record.
    """
    place = TopicPartition(seals_topic(settings), 0)
    consumer = AIOKafkaConsumer(**client_arguments(settings), enable_auto_commit=False, request_timeout_ms=TIMEOUT_MS)
    found: list[Seal] = []
    try:
        async with asyncio.timeout(60):
            await consumer.start()
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            consumer.seek(place, (await consumer.beginning_offsets([place]))[place])
            while await consumer.position(place) < end:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [decode(record.value) for record in records]
        return found
    finally:
        await consumer.stop()


async def _pause(until: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(until.wait(), seconds)
    except TimeoutError:
        return
