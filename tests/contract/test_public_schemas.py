"""The document of the public topics holds together, and whatever may be stored fits its schema.

That those in docs/reference/ are these: `tests/unit/test_reference.py`. What is really on the topics:
`test_public_topics.py`.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from domain.decision import Decision
from domain.events import EVENT_TYPES, Event
from schemas import asyncapi
from schemas.events import encode
from schemas.seals import Seal
from schemas.seals import encode as encode_seal
from schemas.settings import Settings
from schemas.topics import PUBLIC, topics
from tests.contract.test_events import EVENTS, GOLDEN
from tests.samples import CONFIG_SAMPLES, DECISION, SAMPLES
from tests.unit.test_received import GOLDEN as GOLDEN_RECEIVED

DOCUMENT = asyncapi.document()
SCHEMAS = asyncapi.schemas()


@cache
def validator(name: str) -> Draft202012Validator:
    """Of the schema of this event type."""
    schema = SCHEMAS[name]
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (value["$ref"],) if isinstance(value.get("$ref"), str) else ()
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolve(ref: str, document: Any) -> Any:
    """What `ref` in `document` points at. Fails when there is nothing."""
    file, _, pointer = ref.partition("#")
    if file:
        document = SCHEMAS[file.removeprefix("./schemas/").removesuffix(".json")]
    for part in pointer.split("/")[1:]:
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


def test_the_document_has_the_parts_that_asyncapi_3_asks_for() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = operation["channel"]["$ref"]
        assert channel.startswith("#/channels/")
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])


def test_every_reference_points_at_something() -> None:
    refs = set(references(DOCUMENT))
    assert any(ref.startswith("./schemas/") for ref in refs)
    for ref in refs:
        assert resolve(ref, DOCUMENT), ref


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_reference_in_a_schema_points_at_something(name: str) -> None:
    schema = validator(name).schema
    for ref in references(schema):
        assert resolve(ref, schema), ref


def test_every_event_type_has_its_message_on_its_topic() -> None:
    for event_type in EVENT_TYPES:
        channel = DOCUMENT["channels"][PUBLIC[event_type.partition(".")[0]]]
        message = resolve(channel["messages"][event_type]["$ref"], DOCUMENT)
        assert message["name"] == f"tocsin.{event_type}"
        assert message["payload"]["schema"]["$ref"] == f"./schemas/{event_type}.json"


def test_every_topic_is_a_channel_as_it_is_made() -> None:
    made = {topic.name: topic for topic in topics(Settings.model_construct())}
    assert set(DOCUMENT["channels"]) == set(made)
    for name, topic in made.items():
        binding = DOCUMENT["channels"][name]["bindings"]["kafka"]
        assert binding["partitions"] == topic.partitions
        assert binding["topicConfiguration"] == {key: int(value) for key, value in topic.config.items()}


@pytest.mark.parametrize("event", [*SAMPLES, *CONFIG_SAMPLES], ids=lambda event: event.type)
def test_a_sample_fits_its_schema(event: Event) -> None:
    validator(event.type).validate(json.loads(encode(event, DECISION, bytes(32))))


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))
def test_a_golden_event_fits_its_schema_and_nothing_less_does(event_type: str) -> None:
    golden = json.loads((GOLDEN / f"{event_type}.json").read_text(encoding="utf-8"))
    check = validator(event_type)
    check.validate(golden)
    assert isinstance(check.schema, dict)
    for path in ((), ("data",), ("decision",), ("decision", "cause")):
        for name in resolve_required(check.schema, path):
            with pytest.raises(ValidationError):
                check.validate(without(golden, (*path, name)))
    for wrong in ({**golden, "prev": "no hash"}, {**golden, "data": []}, {**golden, "decision": {}}):
        with pytest.raises(ValidationError):
            check.validate(wrong)


def resolve_required(schema: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """The members that must be there at `path`."""
    here = schema
    for name in path:
        here = here["properties"][name]
        here = resolve(here["$ref"], schema) if "$ref" in here else here
    return list(here.get("required", []))


def without(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    name, *rest = path
    if rest:
        return {**document, name: without(document[name], tuple(rest))}
    return {key: value for key, value in document.items() if key != name}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(EVENTS, st.from_type(Decision))
def test_whatever_is_stored_fits_its_schema(event: Event, decision: Decision) -> None:
    validator(event.type).validate(json.loads(encode(event, decision, b"")))


def test_a_record_of_the_alerts_topic_fits_its_schema() -> None:
    validator("alert_received.v1").validate(json.loads(GOLDEN_RECEIVED))
    with pytest.raises(ValidationError):
        validator("alert_received.v1").validate({**json.loads(GOLDEN_RECEIVED), "salt": "no hex"})


def test_a_seal_fits_its_schema() -> None:
    seal = Seal(1, "5b2f0c9e-0000-5000-8000-000000000001", 1, 1, 9, "ab" * 32, "", DECISION.decided_at, "cd" * 32)
    validator("seal.v1").validate(json.loads(encode_seal(seal)))
