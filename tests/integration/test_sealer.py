"""The sealer on the real thing: what it signs, where it keeps it, and what it does while Kafka is away."""

import asyncio
import stat
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from projections.sealed import compare_copy, seals_of
from projections.verify import Walk
from schemas.seals import Seal, public_hex
from schemas.settings import Settings, load_settings
from streams.seal_file import SealFile, read, seal_file
from streams.seal_key import BadKey, public_key, signing_key
from streams.sealer import Sealer, SealsLost, SealWriter
from streams.sealer import published as topic_of
from streams.store.leadership import Leadership, Seat
from streams.store.ledger import PostgresLedger
from streams.store.postgres import PostgresStore
from streams.store.seals import Seals
from streams.topics import ensure_topics
from tests.memory_world import MemoryWorld
from tests.stack import free_port

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


@pytest.fixture
def world(store_dsn: str) -> Iterator[MemoryWorld]:
    """A world whose log is in Postgres."""
    store = PostgresStore(store_dsn)
    yield MemoryWorld(store)
    store.close()


@pytest.fixture
def settings(tmp_path: Path, store_dsn: str, kafka_bootstrap: str, topic_prefix: str) -> Settings:
    return load_settings(
        data_dir=tmp_path,
        postgres_dsn=store_dsn,
        kafka_bootstrap=kafka_bootstrap,
        topic_prefix=topic_prefix,
        alerts_partitions=1,
    )


def writer(settings: Settings, dsn: str) -> SealWriter:
    seals = Seals(dsn)
    identity = seals.identity()
    file = SealFile(seal_file(settings.data_dir, identity))
    made = SealWriter(seals, signing_key(settings), file, identity, lambda: AT)
    made.resume()
    return made


def sealer(settings: Settings, dsn: str) -> Sealer:
    return Sealer(settings, lambda: Seals(dsn), Leadership(dsn, Seat.SEALER), lambda: AT, interval=0.05)


async def work(sealer: Sealer, until: Callable[[], Awaitable[bool]]) -> None:
    """Let a sealer work until something is so, at most 20 s."""
    stopping = asyncio.Event()
    task = asyncio.create_task(sealer.run(stopping))
    try:
        async with asyncio.timeout(20):
            while not await until():
                assert not task.done(), task.exception()
                await asyncio.sleep(0.05)
    finally:
        stopping.set()
        await asyncio.wait_for(task, 20)


def in_file(settings: Settings) -> list[Seal]:
    found = list((settings.data_dir / "seals").glob("*.jsonl"))
    return list(read(found[0])) if found else []


async def test_the_whole_log_is_sealed_and_table_file_and_topic_say_the_same(
    world: MemoryWorld, settings: Settings, store_dsn: str
) -> None:
    await ensure_topics(settings)
    await asyncio.to_thread(world.fire, "ServiceDown", service="payments")

    async def published() -> bool:
        sealed = await topic_of(settings)
        return bool(sealed) and sealed[-1].last == world.store.head()

    await work(sealer(settings, store_dsn), published)
    await asyncio.to_thread(world.ack, "INC-1")
    await work(sealer(settings, store_dsn), published)

    ledger = PostgresLedger(store_dsn)
    table = list(seals_of(ledger))
    assert [seal.number for seal in table] == [1, 2]
    assert table == in_file(settings) == await topic_of(settings)
    trusted = {public_hex(public_key(settings.data_dir / "seal.pub"))}
    verdict = Walk(ledger, "default", trusted).verify()
    assert verdict.findings == []
    assert verdict.sealed == verdict.head == world.store.head()
    ledger.close()


async def test_without_kafka_the_log_is_sealed_and_the_topic_gets_everything_later_in_order(
    world: MemoryWorld, settings: Settings, store_dsn: str
) -> None:
    away = settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{free_port()}"})
    for _ in range(3):
        await asyncio.to_thread(world.fire, "ServiceDown", service="payments")
        await asyncio.to_thread(world.end, "ServiceDown", service="payments")
        head = world.store.head()

        async def filed(head: int = head) -> bool:
            with suppress(IndexError):
                return in_file(away)[-1].last == head
            return False

        await work(sealer(away, store_dsn), filed)
    assert [seal.number for seal in in_file(away)] == [1, 2, 3]

    await ensure_topics(settings)

    async def published() -> bool:
        return len(await topic_of(settings)) == 3

    await work(sealer(settings, store_dsn), published)
    assert await topic_of(settings) == in_file(settings)


def test_another_machine_continues_and_has_every_seal(
    world: MemoryWorld, settings: Settings, store_dsn: str, tmp_path: Path
) -> None:
    assert writer(settings, store_dsn).seal()
    world.fire("ServiceDown", service="payments")
    other = settings.model_copy(
        update={"data_dir": tmp_path / "other", "seal_key_file": settings.data_dir / "seal.key"}
    )
    assert writer(other, store_dsn).seal()
    assert [seal.number for seal in in_file(other)] == [1, 2]
    assert [seal.number for seal in in_file(settings)] == [1]
    assert not writer(other, store_dsn).seal()


def test_seals_that_vanish_from_the_table_stop_the_sealing(
    world: MemoryWorld, settings: Settings, store_dsn: str
) -> None:
    writer(settings, store_dsn).seal()
    world.fire("ServiceDown", service="payments")
    writer(settings, store_dsn).seal()
    with psycopg.connect(store_dsn) as connection:
        connection.execute("delete from tocsin.seals where number = 2")
    with pytest.raises(SealsLost):
        writer(settings, store_dsn)
    found: list[object] = []
    compare_copy(seals_of(PostgresLedger(store_dsn)), in_file(settings), "the file", found.append)
    assert "has it and the table has not" in str(found[0])


def test_a_line_torn_by_a_crash_is_written_again(world: MemoryWorld, settings: Settings, store_dsn: str) -> None:
    first = writer(settings, store_dsn)
    first.seal()
    world.fire("ServiceDown", service="payments")
    first.seal()
    file = next((settings.data_dir / "seals").glob("*.jsonl"))
    file.write_bytes(file.read_bytes()[:-20])
    assert [seal.number for seal in in_file(settings)] == [1]
    writer(settings, store_dsn)
    assert [seal.number for seal in in_file(settings)] == [1, 2]


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "fresh")
    key = signing_key(settings)
    path = tmp_path / "fresh" / "seal.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signing_key(settings).private_bytes_raw() == key.private_bytes_raw()
    assert public_hex(public_key(path.with_suffix(".pub"))) == public_hex(key.public_key())
    path.write_text("not a key")
    with pytest.raises(BadKey, match="restore it"):
        signing_key(settings)


def test_a_key_that_the_settings_name_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="does not exist"):
        signing_key(load_settings(data_dir=tmp_path, seal_key_file=tmp_path / "given.pem"))
    assert isinstance(signing_key(load_settings(data_dir=tmp_path)), Ed25519PrivateKey)
