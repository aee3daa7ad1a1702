"""Follow Tocsin's public topics with nothing but aiokafka: each event once, in order per incident, and checked.

    python consume.py --bootstrap localhost:9092 --state consumed.json

Prints one line of JSON per event and waits for more; `--once` stops at the end of the topics. Started again, it goes
on where it stopped. Ends with code 1 and a sentence when a record is not what was decided.

Yours to copy: put your own work in the place of `write`. What is on the topics: docs/reference/asyncapi.yaml.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

TOPICS = ("incidents", "alert-groups", "config")
START_TIMEOUT = 30.0
"""Seconds for the broker to answer at the start."""
WAIT_MS = 500
"""Milliseconds that one look for records lasts when there are none."""


class Unusable(Exception):
    """What was read cannot be trusted, or cannot be read; the message says which record and why."""


@dataclass(frozen=True)
class Event:
    """One record. `sequence` is its position in Tocsin's log; `source` changes when that log is restored."""

    source: str
    sequence: int
    type: str
    subject: str
    time: str
    value: bytes


@dataclass(frozen=True)
class Position:
    """How far one partition was read: the next offset, and the last event that was handled."""

    offset: int
    source: str
    sequence: int


class Positions:
    """Positions by partition, in a file that is replaced whole.

    Better still is the database that your own work writes to, in the same transaction: then a crash repeats nothing.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self._kept = {name: Position(**position) for name, position in found.items()}

    def offset(self, place: TopicPartition) -> int | None:
        """Where to go on, None for a partition that was never read."""
        kept = self._kept.get(_name(place))
        return kept.offset if kept else None

    def is_new(self, place: TopicPartition, event: Event) -> bool:
        """Whether the event was not handled yet: within a partition, sequences of one source only rise."""
        kept = self._kept.get(_name(place))
        return kept is None or kept.source != event.source or event.sequence > kept.sequence

    def move(self, place: TopicPartition, offset: int, event: Event) -> None:
        """The event was handled, or had been before; `offset` is the next one."""
        if self.is_new(place, event):
            self._kept[_name(place)] = Position(offset, event.source, event.sequence)
        else:
            kept = self._kept[_name(place)]
            self._kept[_name(place)] = Position(offset, kept.source, kept.sequence)

    def save(self) -> None:
        """Write the file, so that it is the old or the new one and never half of either."""
        beside = self._file.with_name(f"{self._file.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump({name: asdict(position) for name, position in sorted(self._kept.items())}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._file)


def _name(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"


def read_event(record: Any) -> Event:
    """The event in a record, verified. Raises Unusable."""
    where = f"{record.topic}/{record.partition}@{record.offset}"
    try:
        headers = {name: value.decode() for name, value in record.headers}
        told, sequence = headers["ce_hash"], int(headers["ce_sequence"])
        event = Event(
            source=headers["ce_source"],
            sequence=sequence,
            type=headers["ce_type"].removeprefix("tocsin."),
            subject=headers["ce_subject"],
            time=headers["ce_time"],
            value=record.value,
        )
        computed = hash_event(event.subject, headers["ce_streamversion"], event.type, event.value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unusable(f"{where} is not one of Tocsin's records: {error!r}") from None
    if computed != told:
        raise Unusable(f"{where} (sequence {sequence}) is not what was decided: its hash is {computed}, not {told}")
    return event


def hash_event(subject: str, version: str, event_type: str, value: bytes) -> str:
    """sha256 over stream, version, type and value, each with its length (8 bytes, big endian) before it; hex."""
    digest = sha256()
    for part in (subject.encode(), version.encode(), event_type.encode(), value):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def write(event: Event) -> None:
    """What is done with an event. It has to be harmless to do it twice, or positions be kept with what it does."""
    document = json.loads(event.value)
    line = {"sequence": event.sequence, "type": event.type, "subject": event.subject, "time": event.time}
    sys.stdout.write(json.dumps({**line, "data": document["data"]}) + "\n")


async def follow(bootstrap: str, topics: Sequence[str], positions: Positions, once: bool) -> None:
    """Handle every event of `topics` after `positions`; with `once`, until the end that they have now.

    For TLS or SASL give both clients `security_protocol`, `ssl_context` and the `sasl_` arguments.
    """
    places = await partitions(bootstrap, topics)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="none",
    )
    await asyncio.wait_for(consumer.start(), START_TIMEOUT)
    try:
        beginnings, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        consumer.assign(places)
        for place in places:
            consumer.seek(place, start_of(place, positions.offset(place), beginnings[place], ends[place]))
        while not once or any([await consumer.position(place) < ends[place] for place in places]):
            for place, records in (await consumer.getmany(timeout_ms=WAIT_MS)).items():
                _handle(place, records, positions, write)
            sys.stdout.flush()
            positions.save()
    finally:
        await consumer.stop()


def start_of(place: TopicPartition, kept: int | None, beginning: int, end: int) -> int:
    """The offset to go on at. One that is not there is no reason to skip or to begin again: raises Unusable."""
    if kept is not None and not beginning <= kept <= end:
        raise Unusable(
            f"{_name(place)} has offsets {beginning} to {end} and we stopped at {kept}: is it another topic?"
        )
    return beginning if kept is None else kept


async def partitions(bootstrap: str, topics: Sequence[str]) -> list[TopicPartition]:
    """Every partition of `topics`. Raises Unusable when one of them does not exist."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await asyncio.wait_for(admin.start(), START_TIMEOUT)
    try:
        found = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    if missing := sorted(topic["topic"] for topic in found if topic["error_code"]):
        raise Unusable(f"there is no topic {', '.join(missing)}: is the prefix right?")
    return sorted(TopicPartition(topic["topic"], part["partition"]) for topic in found for part in topic["partitions"])


def _handle(
    place: TopicPartition, records: Sequence[Any], positions: Positions, handle: Callable[[Event], None]
) -> None:
    for record in records:
        event = read_event(record)
        if positions.is_new(place, event):
            handle(event)
        positions.move(place, record.offset + 1, event)


def main() -> None:
    """Read the command line and follow."""
    parser = argparse.ArgumentParser(description="Follow Tocsin's public topics.")
    parser.add_argument("--bootstrap", required=True, help="a broker, host:port")
    parser.add_argument("--prefix", default="", help="what names of topics begin with: TOCSIN_TOPIC_PREFIX")
    parser.add_argument("--topics", nargs="+", default=TOPICS, help="which of them (default: all)")
    parser.add_argument("--state", type=Path, default=Path("consumed.json"), help="file of positions")
    parser.add_argument("--once", action="store_true", help="stop at the end of the topics")
    given = parser.parse_args()
    topics = [given.prefix + name for name in given.topics]
    try:
        asyncio.run(follow(given.bootstrap, topics, Positions(given.state), given.once))
    except Unusable as error:
        sys.exit(str(error))
    except (KafkaError, TimeoutError) as error:
        sys.exit(f"Kafka: {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
