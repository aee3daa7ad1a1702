"""What people ask of incidents over HTTP: once per idempotency key, at the version they saw, whatever else is down."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import incidents
from domain.commands import Note, Words
from domain.decision import Actor, Cause
from domain.escalations import Escalation
from gateway.acting import VERBS
from gateway.commands import Once, Origin, execute
from gateway.intake import IntakeUnavailable
from gateway.objects import KINDS
from gateway.refusals import Refusal
from schemas.api import CommandAnswer
from schemas.problems import MEDIA_TYPE
from streams.configuring import apply, objects_of
from streams.store.base import Save, Unavailable
from tests.gateway_world import KEYS, GatewayWorld
from tests.integration.test_gateway import opened, problem_of
from tests.memory_world import ORG

ACK = incidents.Acknowledge()


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def create(world: GatewayWorld, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return world.request("POST", "/api/v1/incidents", KEYS["responder"], json=body, headers=headers or {})


def state(world: GatewayWorld, name: str) -> incidents.Incident:
    stream = f"incident-{world.ask(f'/api/v1/incidents/{name}').json()['id']}"
    found = world.store.load([stream])[stream].state
    assert isinstance(found, incidents.Incident)
    return found


# -- assign, severity, comment -------------------------------------------------------------------------------------


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
    assert world.store._payloads[event.event.text.ref] == text.encode()  # type: ignore[attr-defined]


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


# -- create --------------------------------------------------------------------------------------------------------


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
    assert world.store._payloads[event.event.words.ref] == b"The example shop is slow"  # type: ignore[attr-defined]
    assert event.event.title == "Reported for team platform"


def test_team_and_policy_are_the_services_or_the_roots_or_said(world: GatewayWorld) -> None:
    for body, team, policy in [
        ({}, "platform", "two-steps"),
        ({"service": "catalogue"}, "search", "search-only"),
        ({"service": "catalogue", "policy": "nobody"}, "search", "nobody"),
        ({"team": "search", "policy": "search-only"}, "search", "search-only"),
        ({"team": "platform"}, "platform", "two-steps"),
    ]:
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
    [running] = [e for e in world.store.tail(0, 1000) if e.type == "escalation.started.v1" and e.event.run == 2]  # type: ignore[union-attr]
    found = world.store.load([running.stream])[running.stream].state
    assert isinstance(found, Escalation) and found.policy and found.policy.id == "two-steps"
    assert running.event.incident == opened_.stream  # type: ignore[union-attr]


def remove(world: GatewayWorld, kind: str, name: str) -> None:
    """Take one object out of the configuration."""
    objects = {key: item for key, item in objects_of(world.store.config()).items() if key != (kind, name)}
    cause = Cause(Actor("user", "root"), "api", "command/test", "test", "test")
    apply(world.store, ORG, objects, cause, world.now(), b"salt", prune=True)


# -- once ----------------------------------------------------------------------------------------------------------


def test_the_same_request_under_one_key_is_decided_once(world: GatewayWorld) -> None:
    once = {"Idempotency-Key": "my-key-1"}
    first = create(world, once, title="x")
    head = world.store.head()
    again = create(world, once, title="x")
    assert (again.status_code, again.json()) == (201, first.json())
    assert (again.headers["etag"], again.headers["location"]) == (first.headers["etag"], first.headers["location"])
    assert world.store.head() == head == first.json()["position"]
    assert create(world, {"Idempotency-Key": "my-key-2"}, title="x").json()["name"] != first.json()["name"]


def test_an_answer_stays_when_the_incident_moves_on(world: GatewayWorld) -> None:
    name, once = opened(world), {"headers": {"Idempotency-Key": "k"}}
    first = world.tell(name, "ack", **once).json()
    world.tell(name, "resolve")
    assert world.tell(name, "ack", **once).json() == first
    assert state(world, name).status == "resolved"


def test_a_command_that_changed_nothing_is_remembered_too(world: GatewayWorld) -> None:
    name, once = opened(world), {"headers": {"Idempotency-Key": "k"}}
    world.tell(name, "ack")
    first = world.tell(name, "ack", **once).json()
    assert first["changed"] is False
    world.tell(name, "unack")
    assert world.tell(name, "ack", **once).json() == first


def test_another_request_under_the_same_key_is_refused(world: GatewayWorld) -> None:
    name, once = opened(world), {"Idempotency-Key": "k"}
    assert world.tell(name, "assign", json={"users": ["ada"]}, headers=once).status_code == 200
    head = world.store.head()
    for response in (
        world.tell(name, "assign", json={"users": ["grace"]}, headers=once),
        world.tell(name, "ack", headers=once),
        world.tell(name, "assign", content=b'{"users":  ["ada"]}', headers=once),
    ):
        assert problem_of(response, 422, "idempotency_key_reused")["field"] == "Idempotency-Key"
    assert world.store.head() == head


def test_a_key_belongs_to_who_sends_it(world: GatewayWorld) -> None:
    name, once = opened(world), {"Idempotency-Key": "k"}
    assert world.tell(name, "ack", headers=once).json()["changed"] is True
    assert world.tell(name, "resolve", role="admin", headers=once).json()["changed"] is True


def test_a_refused_command_is_decided_again(world: GatewayWorld) -> None:
    name, once = opened(world), {"Idempotency-Key": "k"}
    world.tell(name, "resolve")
    problem_of(world.tell(name, "ack", headers=once), 409, "incident_resolved")
    world.tell(name, "reopen")
    assert world.tell(name, "ack", headers=once).json()["changed"] is True


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "caf\xe9"])
def test_a_key_is_visible_ascii(world: GatewayWorld, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    document = problem_of(world.tell("INC-1", "ack", headers=headers), 422, "bad_request_fields")
    assert document["field"].lower() == "idempotency-key"


def test_a_connection_lost_after_the_commit_is_found_out(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    name, once = opened(world), {"Idempotency-Key": "k"}
    save = type(world.store).save

    def lost(store: Any, what: Save) -> int:
        save(store, what)
        raise Unavailable("the connection was lost")

    monkeypatch.setattr(type(world.store), "save", lost)
    problem_of(world.tell(name, "comment", json={"text": "once"}, headers=once), 503, "unavailable")
    monkeypatch.undo()
    head = world.store.head()
    again = world.tell(name, "comment", json={"text": "once"}, headers=once).json()
    assert (again["changed"], again["position"], world.store.head()) == (True, head, head)


def test_duplicates_at_the_same_time_are_decided_once(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    name, count = opened(world), 8
    at_once, answered = threading.Barrier(count), type(world.store).answered
    looked: set[int] = set()

    def together(store: Any, api_key: str, key: str) -> Any:
        found = answered(store, api_key, key)
        if threading.get_ident() not in looked:  # everybody has looked before anybody saves
            looked.add(threading.get_ident())
            at_once.wait(10)
        return found

    monkeypatch.setattr(type(world.store), "answered", together)
    origin = Origin("api", "r", Once("adas", "k", b"digest"))

    def ask(_: int) -> CommandAnswer:
        return execute(world.parts, Actor("user", "ada"), origin, name, Note(Words("once", b"salt")))

    with ThreadPoolExecutor(count) as threads:
        answers = list(threads.map(ask, range(count)))
    assert len({answer.model_dump_json() for answer in answers}) == 1
    assert answers[0].position == world.store.head()
    assert [e.type for e in world.store.tail(0, 1000)].count("incident.commented.v1") == 1


# -- at the version that was seen ----------------------------------------------------------------------------------


def test_a_command_for_another_version_is_refused_and_says_what_happened(world: GatewayWorld) -> None:
    name = opened(world)
    seen = world.ask(f"/api/v1/incidents/{name}").headers["etag"]
    acked = world.tell(name, "ack", headers={"If-Match": seen})
    assert acked.headers["etag"] == world.ask(f"/api/v1/incidents/{name}").headers["etag"] != seen
    document = problem_of(world.tell(name, "resolve", headers={"If-Match": seen}), 412, "precondition_failed")
    assert document["detail"] == "It is at version 2: acknowledged by user ada at 2026-03-02 03:00:00 UTC."
    assert state(world, name).status == "acknowledged"
    either = f'{seen}, "other", {acked.headers["etag"]}'
    assert world.tell(name, "resolve", headers={"If-Match": either}).json()["status"] == "resolved"
    assert world.tell(name, "reopen", headers={"If-Match": "*"}).json()["status"] == "triggered"


def test_weak_and_foreign_tags_match_nothing_and_others_are_wrong(world: GatewayWorld) -> None:
    name = opened(world)
    for tag in ('W/"1"', '"x"', '"1.0"'):
        problem_of(world.tell(name, "ack", headers={"If-Match": tag}), 412, "precondition_failed")
    for tag in ("1", '"1', '"1", nonsense', ""):
        document = problem_of(world.tell(name, "ack", headers={"If-Match": tag}), 422, "bad_request_fields")
        assert document["field"] == "If-Match"


def test_a_repeated_request_is_answered_whatever_its_if_match_says_by_now(world: GatewayWorld) -> None:
    name = opened(world)
    headers = {"If-Match": '"1"', "Idempotency-Key": "k"}
    first = world.tell(name, "ack", headers=headers)
    assert world.tell(name, "ack", headers=headers).json() == first.json()


def test_a_command_that_comes_too_late_says_who_was_first(world: GatewayWorld) -> None:
    name = opened(world)
    world.advance(minutes=1)
    world.tell(name, "resolve", role="admin")
    world.tell(name, "comment", json={"text": "after"})
    document = problem_of(world.tell(name, "ack"), 409, "incident_resolved")
    assert document["detail"] == f"{name} is resolved: resolved by user root at 2026-03-02 03:01:00 UTC."
    assert document["remedy"] == "Reopen it if it is not over; the next alert opens another in any case."


# -- whatever else is down -----------------------------------------------------------------------------------------


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
    world.expect_page("ada", name, created)
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


# -- anything at all -----------------------------------------------------------------------------------------------

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
