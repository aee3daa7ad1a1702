"""The topics described for machines: an AsyncAPI 3.0 document, and a JSON Schema (2020-12) for each event type.

Both follow from `domain.events` and `schemas.topics`; `python -m compose.reference` writes them to docs/reference/. A
record's value is the stored event (`schemas.events`), its headers are CloudEvents 1.0 in Kafka's binary mode
(`streams.relay`, ADR 0008). Sources: AsyncAPI 3.0.0; its Kafka bindings 0.5.0; CloudEvents Kafka protocol binding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, make_dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from domain.decision import Decision
from domain.events import EVENT_TYPES, KINDS
from schemas.received import AlertReceived
from schemas.seals import Seal
from schemas.settings import Settings
from schemas.topics import PUBLIC, Topic, topics

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FORMAT = "application/schema+json;version=2020-12"
BINDING = "0.5.0"
TYPE_PREFIX = "tocsin."
"""What comes before an event's type in `ce_type`."""

CHANNELS: Mapping[str, str] = MappingProxyType(
    {
        "alerts": "Internal: what machines told us. Written by gateways, read by the fold. Its shape may change with "
        "any version and it holds free text and personal data: consume the public topics instead.",
        "incidents": "Public: everything decided about incidents, their escalations and the pages to people. The key "
        "is the incident's uuid, so what belongs to one incident is in one partition, in order.",
        "alert-groups": "Public: which alerts fire, end and belong together, and which were lost before they could be "
        "read. The key is the stream's uuid.",
        "config": "Public, with care: every change of the configuration and who made it. The key is the object's uuid. "
        "It holds hashes of tokens and keys: restrict who may read it.",
        "seals": "Public: signed checkpoints over the log, by which a copy of it can be verified. The same seal may be "
        "there twice: `number` tells.",
    }
)
"""Topic (without TOCSIN_TOPIC_PREFIX) -> what it is for."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is on a topic that holds no events: the name of its message, its shape, and what its key is."""

    name: str
    shape: type
    doc: str
    key: str


RECORDS: Mapping[str, Record] = MappingProxyType(
    {
        "alerts": Record("alert_received.v1", AlertReceived, "A part of a receipt.", "<integration>:<shard>"),
        "seals": Record("seal.v1", Seal, Seal.__doc__ or "", "the store's uuid"),
    }
)

DESCRIPTION = """\
The store's events, copied in order and once. Read with `isolation.level=read_committed` and drop every record whose
`ce_sequence` you have seen. Names of topics begin with TOCSIN_TOPIC_PREFIX where that is set. Members may be added to a
type; whatever else changes makes a new type (`.v2`): ignore members and types that you do not know."""

_HEADERS: Mapping[str, tuple[str, Json]] = MappingProxyType(
    {
        "ce_specversion": ("", {"const": "1.0"}),
        "ce_id": ("<stream>/<version>; with ce_source it is unique", {"pattern": "^[a-z]+-[0-9a-f-]{36}/[1-9][0-9]*$"}),
        "ce_source": (
            "/tocsin/<store uuid>/<epoch>; a restore from a backup raises the epoch",
            {"pattern": "^/tocsin/[^/]+/[1-9][0-9]*$"},
        ),
        "ce_type": ("`tocsin.` and the event's type", {}),
        "ce_subject": ("the stream: its kind and a uuid", {"pattern": "^[a-z]+-[0-9a-f-]{36}$"}),
        "ce_time": ("when it was decided, UTC", {"format": "date-time", "pattern": "Z$"}),
        "ce_sequence": (
            "the position in the log, decimal: gapless over all public topics",
            {"pattern": "^[1-9][0-9]*$"},
        ),
        "ce_streamversion": ("the version within the stream, decimal, from 1", {"pattern": "^[1-9][0-9]*$"}),
        "ce_hash": (
            "sha256 over stream, version, type and value, each with its length (8 bytes, big endian) before it; hex",
            {"pattern": "^[0-9a-f]{64}$"},
        ),
        "content-type": ("of the value", {"const": "application/json"}),
    }
)


class _Generator(GenerateJsonSchema):
    """pydantic's, without a title for every field; and a tag (`kind`) always has to be there."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def dataclass_schema(self, schema: Any) -> Json:
        made = super().dataclass_schema(schema)
        tags = [name for name, member in made.get("properties", {}).items() if "const" in member]
        if tags:
            made["required"] = sorted({*made.get("required", ()), *tags})
        return made


def schemas() -> dict[str, Json]:
    """The JSON Schema of every record's value, by name: of each event type, and of what is on the other topics."""
    others = {record.name: _titled(record.name, record.doc, _generated(record.shape)) for record in RECORDS.values()}
    return {**others, **{event_type: event_schema(event_type) for event_type in sorted(EVENT_TYPES)}}


def event_schema(event_type: str) -> Json:
    """The JSON Schema of a stored event: `data`, the `decision` behind it, and `prev`. Raises KeyError."""
    prev = Annotated[
        str,
        Field(pattern="^([0-9a-f]{64})?$", description="ce_hash of the stream's previous event; empty for the first"),
    ]
    event = EVENT_TYPES[event_type]
    whole = make_dataclass("Envelope", [("data", event), ("decision", Decision), ("prev", prev)])
    return _titled(event_type, event.__doc__ or "", _generated(whole))


def _generated(shape: type) -> Json:
    return TypeAdapter(shape).json_schema(mode="serialization", schema_generator=_Generator)


def _titled(name: str, doc: str, body: Json) -> Json:
    made = {"$schema": DIALECT, "$id": f"urn:tocsin:schema:{name}", "title": name, "description": _plain(doc)}
    definitions = body.pop("$defs", {})
    return {**made, **{key: value for key, value in body.items() if key not in made}, "$defs": definitions}


def document() -> Json:
    """The AsyncAPI document. Payloads are in files beside it: `schemas/<event type>.json`."""
    made = {topic.name: topic for topic in topics(Settings.model_construct())}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Tocsin's topics", "version": "1.0.0", "description": _plain(DESCRIPTION)},
        "defaultContentType": "application/json",
        "servers": {"kafka": _server()},
        "channels": {name: _channel(topic) for name, topic in made.items()},
        "operations": {name: operation for topic in made for name, operation in _operations(topic)},
        "components": {
            "messages": {
                **{name: _event_message(name) for topic in made for name in _event_types(topic)},
                **{record.name: _message(record) for record in RECORDS.values()},
            },
            "schemas": {"headers": _headers(), "key": {"type": "string", "format": "uuid"}},
            "correlationIds": {"decision": {"location": "$message.payload#/decision/cause/correlation_id"}},
        },
    }


def _server() -> Json:
    variable = {"default": "localhost:9092", "description": "host:port, as in TOCSIN_KAFKA_BOOTSTRAP"}
    return {"host": "{bootstrap}", "protocol": "kafka", "variables": {"bootstrap": variable}}


def _channel(topic: Topic) -> Json:
    settings = {key: int(value) for key, value in sorted(topic.config.items())}
    bindings = {"topic": topic.name, "partitions": topic.partitions, "topicConfiguration": settings}
    return {
        "address": topic.name,
        "description": CHANNELS[topic.name],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _types(topic.name)},
        "bindings": {"kafka": {**bindings, "bindingVersion": BINDING}},
    }


def _operations(topic: str) -> Iterator[tuple[str, Json]]:
    """What Tocsin does with the topic: `send` and `receive` are from its own view."""
    about = {
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in _types(topic)],
    }
    yield f"send-{topic}", {"action": "send", **about}
    if topic == "alerts":
        yield f"receive-{topic}", {"action": "receive", **about}


def _types(topic: str) -> list[str]:
    """The messages of a topic."""
    return [RECORDS[topic].name] if topic in RECORDS else _event_types(topic)


def _event_types(topic: str) -> list[str]:
    return [event.type for kind, table in KINDS.items() if PUBLIC[kind] == topic for event in table.events]


def _message(record: Record) -> Json:
    return {
        "summary": _summary(record.doc),
        **_value_and_key(record.name, {"type": "string", "description": record.key}),
    }


def _event_message(name: str) -> Json:
    own_type = {"type": "object", "properties": {"ce_type": {"const": TYPE_PREFIX + name}}}
    return {
        "name": TYPE_PREFIX + name,
        "summary": _summary(EVENT_TYPES[name].__doc__ or ""),
        "headers": {"allOf": [{"$ref": "#/components/schemas/headers"}, own_type]},
        "correlationId": {"$ref": "#/components/correlationIds/decision"},
        **_value_and_key(name, {"$ref": "#/components/schemas/key"}),
    }


def _value_and_key(name: str, key: Json) -> Json:
    return {
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./schemas/{name}.json"}},
        "bindings": {"kafka": {"key": key, "bindingVersion": BINDING}},
    }


def _headers() -> Json:
    """The headers of every public record, all of them UTF-8 text."""
    properties = {
        name: {"type": "string", **({"description": text} if text else {}), **rule}
        for name, (text, rule) in _HEADERS.items()
    }
    return {"type": "object", "required": list(_HEADERS), "properties": properties}


def _summary(doc: str) -> str:
    """The first paragraph."""
    return _plain(doc).partition("\n\n")[0]


def _plain(doc: str) -> str:
    """Lines that a docstring wrapped, joined; paragraphs stay."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in doc.split("\n\n")).strip()
