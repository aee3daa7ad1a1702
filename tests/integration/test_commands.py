"""What people ask of incidents over HTTP: assign, severity, comment, create."""

from collections.abc import Iterator
from typing import Any

import pytest

from domain import incidents
from domain.decision import Actor, Cause
from domain.escalations import Escalation
from streams.configuring import apply, objects_of
from tests.asking import create, opened, problem_of, state
from tests.gateway_world import GatewayWorld
from tests.memory_world import ORG

ACK = incidents.Acknowledge()


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def test_an_incident_is_given_to_users_who_exist(world: GatewayWorld) -> None:
    name = opened(world)
    answer = world.tell(name, "assign", json={"users": ["grace", "ada", "grace"]}).json()
    assert answer["changed"] is True
    assert state(world, name).assignees == ("grace", "ada")
    assert world.tell(name, "assign", json={"users": ["grace", "ada"]}).json()["changed"] is False
    document = problem_of(world.tell(name, "assign", json={"users": ["ada", "nobody"]}), 422, "bad_request_fields")
    assert (document["field"], document["remedy"]) == ("users", "Known: ada, edsger, grace.")
    assert world.tell(name, "assign", json={"users": []}).json()["changed"] is True
    assert state(world, name).assignees == ()


def test_a_person_lowers_and_raises_the_severity_in_any_words(world: GatewayWorld) -> None:
    name = opened(world)
    for word, severity in (("P3", "low"), ("page", "critical")):
        assert world.tell(name, "severity", json={"severity": word}).json()["changed"] is True
        assert world.ask(f"/api/v1/incidents/{name}").json()["severity"] == severity
    assert world.tell(name, "severity", json={"severity": "critical"}).json()["changed"] is False
    for word in ("awful", "", "low,high"):
        document = problem_of(world.tell(name, "severity", json={"severity": word}), 422, "bad_request_fields")
        assert document["field"] == "severity"


def test_a_comment_is_kept_beside_the_events(world: GatewayWorld) -> None:
    name, text = opened(world), "it was the example\N{EM DASH}switch\nagain"
    world.tell(name, "resolve")
    assert world.tell(name, "comment", json={"text": text}).json()["changed"] is True
    last = world.store.raw_tail(world.store.head() - 1, 1)[0]
    assert last.type == "incident.commented.v1"
    assert b"switch" not in b"".join(event.state for event in world.store.raw_tail(0, 1000))
    [event] = world.store.tail(world.store.head() - 1, 1)
    assert isinstance(event.event, incidents.Commented)
    assert world.store.payload(event.event.text.ref) == text.encode()


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("comment", {"text": ""}, "text"),
        ("comment", {"text": " \n"}, "text"),
        ("comment", {"text": "x" * 10_001}, "text"),
        ("comment", {}, "text"),
        ("assign", {"users": "ada"}, "users"),
        ("assign", {"users": ["x"] * 101}, "users"),
        ("severity", {"severity": "low", "more": 1}, "more"),
    ],
)
def test_a_wrong_body_names_the_field(world: GatewayWorld, verb: str, body: dict[str, Any], field: str) -> None:
    document = problem_of(world.tell(opened(world), verb, json=body), 422, "bad_request_fields")
    assert document["field"].split(".")[0] == field


def test_a_person_opens_an_incident_and_somebody_is_paged(world: GatewayWorld) -> None:
    answer = create(world, title="The example shop is slow", service="payments", severity="high")
    assert answer.status_code == 201
    name = answer.json()["name"]
    assert answer.headers["location"] == f"/api/v1/incidents/{answer.json()['id']}"
    world.settle()
    assert "The example shop is slow" in world.expect_page("ada", name).subject
    shown = world.ask(f"/api/v1/incidents/{name}").json()
    assert (shown["team"], shown["policy"], shown["severity"]) == ("platform", "two-steps", "high")
    assert world.tell(name, "ack", headers={"If-Match": answer.headers["etag"]}).json()["status"] == "acknowledged"
    world.advance(minutes=30)
    world.close()


def test_what_a_person_calls_it_is_in_no_event(world: GatewayWorld) -> None:
    create(world, title="The example shop is slow")
    assert b"example shop" not in b"".join(event.state for event in world.store.raw_tail(0, 1000))
    [event] = [e for e in world.store.tail(0, 1000) if isinstance(e.event, incidents.Opened)]
    assert isinstance(event.event, incidents.Opened) and event.event.words
    assert event.event.words.ref == f"{event.stream}/1"
    assert world.store.payload(event.event.words.ref) == b"The example shop is slow"
    assert event.event.title == "Reported for team platform"


def test_team_and_policy_are_the_services_or_the_roots_or_said(world: GatewayWorld) -> None:
    said: list[tuple[dict[str, Any], str, str]] = [
        ({}, "platform", "two-steps"),
        ({"service": "catalogue"}, "search", "search-only"),
        ({"service": "catalogue", "policy": "nobody"}, "search", "nobody"),
        ({"team": "search", "policy": "search-only"}, "search", "search-only"),
        ({"team": "platform"}, "platform", "two-steps"),
    ]
    for body, team, policy in said:
        made = state(world, create(world, title="x", **body).json()["name"])
        assert (made.team, made.policy) == (team, policy)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": "x", "service": "nothing"}, "service"),
        ({"title": "x", "team": "search"}, "policy"),
        ({"title": "x", "team": "nothing", "policy": "nobody"}, "team"),
        ({"title": "x", "policy": "nothing"}, "policy"),
        ({"title": "x", "severity": "awful"}, "severity"),
        ({"title": "two\nlines"}, "title"),
        ({"title": " "}, "title"),
        ({}, "title"),
    ],
)
def test_what_cannot_be_opened_names_the_field(world: GatewayWorld, body: dict[str, Any], field: str) -> None:
    document = problem_of(create(world, **body), 422, "bad_request_fields")
    assert document["field"] == field
    assert world.ask("/api/v1/incidents").json()["incidents"] == []


def test_an_incident_whose_policy_is_gone_is_reopened_by_the_roots(world: GatewayWorld) -> None:
    name = create(world, title="x", policy="nobody").json()["name"]
    world.tell(name, "resolve")
    [opened_] = [e for e in world.store.tail(0, 1000) if isinstance(e.event, incidents.Opened)]
    remove(world, "policy", "nobody")
    assert world.tell(name, "reopen").json()["status"] == "triggered"
    [running] = [e for e in world.store.tail(0, 1000) if e.type == "escalation.started.v1" and e.event.run == 2]
    found = world.store.load([running.stream])[running.stream].state
    assert isinstance(found, Escalation) and found.policy and found.policy.id == "two-steps"
    assert running.event.incident == opened_.stream


def remove(world: GatewayWorld, kind: str, name: str) -> None:
    """Take one object out of the configuration."""
    objects = {key: item for key, item in objects_of(world.store.config()).items() if key != (kind, name)}
    cause = Cause(Actor("user", "root"), "api", "command/test", "test", "test")
    apply(world.store, ORG, objects, cause, world.now(), b"salt", prune=True)
