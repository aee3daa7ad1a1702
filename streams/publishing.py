"""An event as other systems see it: a CloudEvents 1.0 record whose value is the very bytes that are stored and hashed.

Binary mode, so the envelope is in headers. Source: CloudEvents Kafka protocol binding; ADR 8 lists the headers.
"""

from dataclasses import dataclass

from domain.ids import stream_uuid
from streams.store.base import Identity, RawEvent


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record; the key keeps what belongs together in one partition, in order."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def source_of(identity: Identity) -> str:
    """Which log events come from: a store, and how often it was restored."""
    return f"/tocsin/{identity.store}/{identity.epoch}"


def attributes(event: RawEvent, source: str) -> dict[str, str]:
    """The event's CloudEvents attributes, without the prefix that the Kafka binding gives them."""
    return {
        "specversion": "1.0",
        "id": f"{event.stream}/{event.version}",
        "source": source,
        "type": f"tocsin.{event.type}",
        "subject": event.stream,
        "time": event.decided_at.isoformat().replace("+00:00", "Z"),
        "sequence": str(event.position),
        "streamversion": str(event.version),
        "hash": event.hash.hex(),
    }


def record_of(event: RawEvent, about: str, source: str) -> Record:
    """The record of an event. `about` is the stream that it belongs to: an incident's, for escalations and pages."""
    headers = [(f"ce_{name}", value.encode()) for name, value in attributes(event, source).items()]
    return Record(stream_uuid(about).encode(), event.state, [*headers, ("content-type", b"application/json")])
