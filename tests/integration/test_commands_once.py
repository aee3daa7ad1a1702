"""A command is done once per idempotency key, and at the version that was seen."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from domain import incidents
from domain.commands import Note, Words
from domain.decision import Actor
from gateway.commands import Origin, execute
from gateway.once import Once
from schemas.api import CommandAnswer
from streams.store.base import Save, Unavailable
from tests.asking import create, opened, problem_of, state
from tests.gateway_world import GatewayWorld

ACK = incidents.Acknowledge()


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


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
    name = opened(world)
    once: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}}
    first = world.tell(name, "ack", **once).json()
    world.tell(name, "resolve")
    assert world.tell(name, "ack", **once).json() == first
    assert state(world, name).status == "resolved"


def test_a_command_that_changed_nothing_is_remembered_too(world: GatewayWorld) -> None:
    name = opened(world)
    once: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}}
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
