"""What people ask of incidents works whatever else is down, and whatever they send."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import incidents
from domain.decision import Actor
from gateway.acting import VERBS
from gateway.commands import Origin, execute
from gateway.intake import IntakeUnavailable
from gateway.objects import KINDS
from gateway.refusals import Refusal
from schemas.problems import MEDIA_TYPE
from streams.store.base import Unavailable
from tests.asking import create, opened, problem_of
from tests.gateway_world import KEYS, GatewayWorld

ACK = incidents.Acknowledge()


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def test_people_act_while_kafka_is_down(world: GatewayWorld) -> None:
    name = opened(world)
    world.expect_page("ada", name)
    world.intake.fails = IntakeUnavailable("no broker answers")
    assert world.webhook(b'{"version": "4", "alerts": []}').status_code in (202, 503)
    for verb, body, status in [
        ("ack", None, "acknowledged"),
        ("unack", None, "triggered"),
        ("start", None, "in_progress"),
        ("assign", {"users": ["grace"]}, "in_progress"),
        ("severity", {"severity": "low"}, "in_progress"),
        ("comment", {"text": "on it"}, "in_progress"),
        ("resolve", None, "resolved"),
        ("reopen", None, "triggered"),
    ]:
        more: dict[str, Any] = {"json": body} if body else {}
        assert world.tell(name, verb, **more).json()["status"] == status
    created = create(world, title="Kafka is down").json()["name"]
    world.settle()
    world.expect_page("ada", created, name)  # the worse one first
    world.close()


def test_without_postgres_nobody_is_told_that_it_was_done(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    name = opened(world)

    def away(*_: object) -> Any:
        raise Unavailable("Postgres does not answer")

    monkeypatch.setattr(type(world.store), "save", away)
    problem_of(world.tell(name, "ack"), 503, "unavailable")


def test_an_unknown_key_is_told_nothing_about_incidents(world: GatewayWorld) -> None:
    for ref in ("INC-1", "nonsense"):
        response = world.request("POST", f"/api/v1/incidents/{ref}/ack", "stranger", headers={"If-Match": "1"})
        problem_of(response, 401, "unauthenticated")


def test_execute_refuses_an_incident_that_does_not_exist(world: GatewayWorld) -> None:
    with pytest.raises(Refusal, match="no incident"):
        execute(world.parts, Actor("user", "ada"), Origin("api", "r"), "0" * 8 + "-0000" * 3 + "-" + "0" * 12, ACK)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
MEMBERS = ("users", "text", "severity", "title", "service", "team", "policy", "members", "steps", "source", "role")
OBJECTS = st.dictionaries(st.sampled_from(MEMBERS), ANYTHING | st.sampled_from(["ada", "platform", ["ada"]]))
BODIES = st.binary(max_size=100) | (ANYTHING | OBJECTS).map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["If-Match", "Idempotency-Key", "X-Tocsin-Origin", "Content-Type"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
    | st.sampled_from(['"1"', "*"]),
    max_size=2,
)
COMMANDS = [f"/api/v1/incidents/INC-1/{verb}" for verb in VERBS] + ["/api/v1/incidents"]
NAMED = [f"/api/v1/config/{section}/ada" for section in KINDS]


@pytest.fixture(scope="module")
def shared() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        opened(made)
        yield made


@settings(max_examples=200, deadline=None, derandomize=True)
@given(path=st.sampled_from(COMMANDS + NAMED), body=BODIES, headers=HEADERS)
def test_no_body_of_a_command_is_answered_with_a_500(
    shared: GatewayWorld, path: str, body: bytes, headers: dict[str, str]
) -> None:
    method = "POST" if path in COMMANDS else "PUT"
    response = shared.request(method, path, KEYS["admin"], content=body, headers=headers)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert response.headers["content-type"] == MEDIA_TYPE


@settings(max_examples=100, deadline=None, derandomize=True)
@given(kind=st.sampled_from([*KINDS, "history", "apply"]) | st.text(max_size=10), name=st.text(max_size=20))
def test_no_object_asked_for_is_answered_with_a_500(shared: GatewayWorld, kind: str, name: str) -> None:
    path = f"/api/v1/config/{quote(kind, safe='', errors='replace')}/{quote(name, safe='', errors='replace')}"
    for method in ("GET", "DELETE"):
        assert shared.request(method, path, KEYS["admin"]).status_code < 500
    query = {"kind": kind, "id": name}
    assert shared.request("GET", "/api/v1/config/history", KEYS["admin"], params=query).status_code < 500
