"""The worker and the relay on a real broker and a real database, as processes that are killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from compose.prepare import migrate_all
from domain.book import Book
from domain.decision import Actor, Cause
from schemas.config_files import parse_config
from schemas.received import encode, received, split
from schemas.settings import Settings, as_environment, load_settings
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from schemas.topics import alerts_topic, client_arguments, public_topic
from streams.configuring import apply
from streams.store.base import Save, TrackingMove
from streams.store.postgres import PostgresStore
from streams.topics import ensure_topics
from tests.stack import ROOT, until
from tests.topics import all_records
from tests.world import CONFIG, alert, webhook

RUNNING: list["subprocess.Popen[bytes]"] = []
CAUSE = Cause(Actor("system", "test"), "cli", "command/test", "test", "test")


@pytest.fixture
def settings(kafka_bootstrap: str, postgres_dsn: str, topic_prefix: str, tmp_path: Path) -> Settings:
    made = load_settings(
        kafka_bootstrap=kafka_bootstrap,
        postgres_dsn=postgres_dsn,
        topic_prefix=topic_prefix,
        alerts_partitions=4,
        data_dir=tmp_path,
    )
    migrate_all(made)
    asyncio.run(ensure_topics(made))
    return made


@pytest.fixture
def store(settings: Settings) -> Iterator[PostgresStore]:
    assert settings.postgres_dsn is not None
    opened = PostgresStore(settings.postgres_dsn.get_secret_value())
    apply(opened, "default", parse_config(CONFIG, "world.yaml"), CAUSE, datetime.now(UTC), b"salt")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def no_role_is_left_behind() -> Iterator[None]:
    """A test that fails half-way leaves no process."""
    yield
    for process in RUNNING:
        if process.poll() is None:
            process.kill()
            process.wait(10)
    RUNNING.clear()


class Role:
    """A role in a process of its own."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name, self._settings = name, settings
        self.start()

    def start(self) -> None:
        with (self._settings.data_dir / f"{self._name}.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "compose.cli", self._name],
                cwd=ROOT,
                env={**os.environ, **as_environment(self._settings)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        RUNNING.append(self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0


async def post(settings: Settings, numbers: Sequence[int]) -> None:
    """Write a record for each number to the alerts topic, over all partitions."""
    producer = AIOKafkaProducer(**client_arguments(settings), acks="all", linger_ms=2)
    await producer.start()
    sent = []
    for number in numbers:
        member = alert("Load", {"service": "payments", "instance": str(number)}, datetime.now(UTC))
        parsed = SOURCES["alertmanager"](json.dumps(webhook([member])).encode(), DEFAULT_LIMITS)
        whole = received(f"r-{number}", "alertmanager", datetime.now(UTC), parsed.alerts, parsed.raw, b"salt")
        for key, part in split("default", whole, 16):
            sent.append(await producer.send(alerts_topic(settings), encode(part), key=key))
    await asyncio.gather(*sent)
    await producer.stop()


def counts(settings: Settings) -> dict[int, int]:
    """How often each number's alert was counted."""
    assert settings.postgres_dsn is not None
    query = """select convert_from(body, 'UTF8')::jsonb -> 'labels' ->> 'instance', count
               from tocsin.alert_state join tocsin.payloads on ref = payload"""
    with psycopg.connect(settings.postgres_dsn.get_secret_value()) as connection:
        return {int(number): count for number, count in connection.execute(query)}


@pytest.mark.timeout(400)
def test_a_worker_killed_again_and_again_loses_nothing_and_doubles_nothing(
    settings: Settings, store: PostgresStore
) -> None:
    worker = Role("worker", settings)
    total = 601
    for part in range(3):
        asyncio.run(post(settings, range(part * 200, part * 200 + 200)))
        until("some of it", lambda part=part: len(counts(settings)) > part * 200 or None)  # type: ignore[misc]
        worker.kill()
        worker.start()
    asyncio.run(post(settings, range(total - 1, total)))  # whoever folds it has begun, and can be told to stop
    until("all of it", lambda: len(counts(settings)) == total or None)
    assert counts(settings) == dict.fromkeys(range(total), 1)
    assert sum(offset + 1 for offset in store.tracking("default", alerts_topic(settings)).values()) == total
    worker.stop()


def test_kafkas_committed_offsets_mean_nothing(settings: Settings, store: PostgresStore) -> None:
    asyncio.run(post(settings, range(50)))
    asyncio.run(commit_to_the_end(settings))
    worker = Role("worker", settings)
    until("all of it", lambda: len(counts(settings)) == 50 or None)
    worker.stop()


async def commit_to_the_end(settings: Settings) -> None:
    """What Faust does when it stops: tell Kafka that everything is done."""
    consumer = AIOKafkaConsumer(
        **client_arguments(settings), group_id=f"{settings.topic_prefix}tocsin-fold", enable_auto_commit=False
    )
    await consumer.start()
    places = [TopicPartition(alerts_topic(settings), partition) for partition in range(4)]
    consumer.assign(places)
    await consumer.commit(await consumer.end_offsets(places))
    await consumer.stop()


def test_two_workers_share_the_work_and_one_takes_over_from_the_other(settings: Settings, store: PostgresStore) -> None:
    first, second = Role("worker", settings), Role("worker", settings)
    asyncio.run(post(settings, range(100)))
    until("the first half", lambda: len(counts(settings)) == 100 or None)
    first.kill()
    asyncio.run(post(settings, range(100, 200)))
    until("the second half", lambda: len(counts(settings)) == 200 or None)
    assert counts(settings) == dict.fromkeys(range(200), 1)
    second.stop()


@pytest.mark.timeout(400)
def test_a_relay_killed_again_and_again_publishes_everything_once_and_in_order(
    settings: Settings, store: PostgresStore
) -> None:
    worker, projector = Role("worker", settings), Role("projector", settings)
    for part in range(3):
        asyncio.run(post(settings, range(part * 100, part * 100 + 100)))
        until("some of it", lambda part=part: len(counts(settings)) > part * 100 or None)  # type: ignore[misc]
        projector.kill()
        projector.start()
    until("all of it", lambda: len(counts(settings)) == 300 or None)
    published = until("the topics", lambda: whole_log(settings, store))
    for records in published.values():
        assert records == sorted(set(records)), "a partition is out of order or has an event twice"
    every = sorted(sequence for records in published.values() for sequence in records)
    assert every == list(range(1, store.head() + 1))
    worker.stop()
    projector.stop()


def whole_log(settings: Settings, store: PostgresStore) -> dict[TopicPartition, list[int]] | None:
    """The sequences on each partition of the public topics, once there are as many as the store has events."""
    found = asyncio.run(read_public(settings))
    return found if sum(map(len, found.values())) >= store.head() else None


async def read_public(settings: Settings) -> dict[TopicPartition, list[int]]:
    names = {public_topic(settings, kind) for kind in ("incident", "group", "config")}
    found: dict[TopicPartition, list[int]] = defaultdict(list)
    for record in await all_records(names, **client_arguments(settings)):
        found[TopicPartition(record.topic, record.partition)].append(int(dict(record.headers)["ce_sequence"]))
    return found


def test_a_record_that_cannot_be_read_does_not_stop_the_partition(settings: Settings, store: PostgresStore) -> None:
    asyncio.run(write_raw(settings, b"\x00\xff not a record"))
    asyncio.run(post(settings, range(20)))
    worker = Role("worker", settings)
    until("the rest", lambda: len(counts(settings)) == 20 or None)
    dead = query(settings, "select integration, index, body from tocsin.dead_letters")
    assert dead == [("alertmanager", -1, b"\x00\xff not a record")]
    worker.stop()


def test_a_topic_that_was_made_again_stops_the_worker_with_a_sentence(settings: Settings, store: PostgresStore) -> None:
    save = [TrackingMove("default", alerts_topic(settings), partition, -1, 1000) for partition in range(4)]
    store.save(Save(Book("default", store.config(), {}), tuple(save)))
    worker = Role("worker", settings)
    assert worker.process.wait(120) != 0
    assert "was made again or truncated" in (settings.data_dir / "worker.log").read_text()


def test_records_deleted_before_they_were_folded_are_told_and_the_rest_is_folded(
    settings: Settings, store: PostgresStore
) -> None:
    asyncio.run(post(settings, range(50)))
    asyncio.run(delete_records(settings))
    asyncio.run(post(settings, range(50, 70)))
    worker = Role("worker", settings)
    until("the rest", lambda: len(counts(settings)) == 20 or None)
    lost = query(settings, "select count(*) from tocsin.stored_events where topic = 'intake.alerts_lost.v1'")
    assert lost[0][0] >= 1
    worker.stop()


async def write_raw(settings: Settings, value: bytes) -> None:
    producer = AIOKafkaProducer(**client_arguments(settings), acks="all")
    await producer.start()
    await producer.send_and_wait(alerts_topic(settings), value, key=b"alertmanager:0")
    await producer.stop()


async def delete_records(settings: Settings) -> None:
    """As retention does it: everything that is there now is gone."""
    consumer = AIOKafkaConsumer(**client_arguments(settings))
    await consumer.start()
    places = [TopicPartition(alerts_topic(settings), partition) for partition in range(4)]
    ends = {place: end for place, end in (await consumer.end_offsets(places)).items() if end}
    await consumer.stop()
    admin = AIOKafkaAdminClient(**client_arguments(settings))
    await admin.start()
    await admin.delete_records({place: RecordsToDelete(before_offset=end) for place, end in ends.items()})
    await admin.close()


def query(settings: Settings, text: str) -> list[tuple[Any, ...]]:
    assert settings.postgres_dsn is not None
    with psycopg.connect(settings.postgres_dsn.get_secret_value()) as connection:
        return connection.execute(text.encode()).fetchall()
