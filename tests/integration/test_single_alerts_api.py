"""One alert over HTTP: acknowledged, given back and closed by people, once per key and at the version that was seen."""

from collections.abc import Iterator
from typing import Any

import pytest

from domain import ids
from tests.asking import opened, problem_of, state
from tests.gateway_world import KEYS, ORG, GatewayWorld
from tests.world import alert, webhook


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def id_of(world: GatewayWorld, name: str = "Down", **labels: str) -> str:
    return ids.alert_id(ORG, "alertmanager", alert(name, labels, world.now())["fingerprint"])


def tell(world: GatewayWorld, alert_id: str, verb: str, role: str = "responder", **more: Any) -> Any:
    return world.request("POST", f"/api/v1/alerts/{alert_id}/{verb}", KEYS[role], **more)


def test_acknowledging_the_only_alert_takes_the_incident(world: GatewayWorld) -> None:
    name = opened(world)
    response = tell(world, id_of(world), "ack")
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["changed"], answer["acknowledged_by"], answer["status"]) == (True, "user:ada", "firing")
    assert (answer["incident"], answer["incident_status"]) == (name, "acknowledged")
    assert response.headers["etag"] == f'"{answer["version"]}"'
    assert answer["position"] == world.store.head()
    assert state(world, name).status == "acknowledged"
    again = tell(world, id_of(world).upper(), "ack").json()
    assert (again["changed"], again["version"]) == (False, answer["version"])


def test_giving_it_back_and_closing_it(world: GatewayWorld) -> None:
    name = opened(world)
    tell(world, id_of(world), "ack")
    back = tell(world, id_of(world), "unack").json()
    assert (back["acknowledged_by"], back["incident_status"]) == (None, "triggered")
    over = tell(world, id_of(world), "resolve").json()
    assert (over["status"], over["incident"], over["incident_status"]) == ("resolved", name, "resolved")
    assert tell(world, id_of(world), "resolve").json()["changed"] is False


def test_the_same_request_under_one_key_is_decided_once(world: GatewayWorld) -> None:
    opened(world)
    once: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}}
    first = tell(world, id_of(world), "ack", **once)
    tell(world, id_of(world), "unack")
    head = world.store.head()
    again = tell(world, id_of(world), "ack", **once)
    assert (again.json(), again.headers["etag"]) == (first.json(), first.headers["etag"])
    assert world.store.head() == head
    reused = tell(world, id_of(world), "resolve", **once)
    assert problem_of(reused, 422, "idempotency_key_reused")["field"] == "Idempotency-Key"


def test_a_key_is_one_for_alerts_and_incidents(world: GatewayWorld) -> None:
    name = opened(world)
    once: dict[str, Any] = {"headers": {"Idempotency-Key": "k"}}
    tell(world, id_of(world), "ack", **once)
    problem_of(world.tell(name, "unack", **once), 422, "idempotency_key_reused")
    assert state(world, name).status == "acknowledged"


def test_only_at_the_version_that_was_seen(world: GatewayWorld) -> None:
    opened(world)
    tag = tell(world, id_of(world), "unack").headers["etag"]
    world.webhook(webhook([alert("Down", {}, world.now())]))
    world.arrive()
    refused = tell(world, id_of(world), "ack", headers={"If-Match": tag})
    assert problem_of(refused, 412, "precondition_failed")["field"] == "If-Match"
    now = tell(world, id_of(world), "unack").headers["etag"]
    assert tell(world, id_of(world), "ack", headers={"If-Match": f'"1", {now}'}).status_code == 200
    assert tell(world, id_of(world), "ack", headers={"If-Match": "*"}).status_code == 200
    problem_of(tell(world, id_of(world), "ack", headers={"If-Match": "3"}), 422, "bad_request_fields")


@pytest.mark.parametrize("verb", ["ack", "unack", "resolve"])
def test_what_is_no_alert_is_not_found(world: GatewayWorld, verb: str) -> None:
    for ref in ("nobody", "INC-1", "6f0c2d3e-8d0f-4c39-9f52-2f2d3a1b5c11"):
        problem_of(tell(world, ref, verb), 404, "not_found")


def test_refusals_of_the_rules(world: GatewayWorld) -> None:
    name = opened(world)
    world.tell(name, "resolve")
    problem_of(tell(world, id_of(world), "ack"), 409, "incident_resolved")
    tell(world, id_of(world), "resolve")
    problem_of(tell(world, id_of(world), "ack"), 409, "alert_resolved")
    world.silence(30, alertname="Quiet")
    world.webhook(webhook([alert("Quiet", {}, world.now())]))
    world.arrive()
    said = problem_of(tell(world, id_of(world, "Quiet"), "ack"), 409, "alert_suppressed")
    assert "silence/silence-1" in said["detail"]


def test_viewers_may_not(world: GatewayWorld) -> None:
    opened(world)
    problem_of(tell(world, id_of(world), "ack", role="viewer"), 403, "forbidden")
    problem_of(world.request("POST", f"/api/v1/alerts/{id_of(world)}/ack"), 401, "unauthenticated")
