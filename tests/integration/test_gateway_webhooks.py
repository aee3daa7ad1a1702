"""What machines post to the gateway over HTTP: what is taken, and what is refused and how."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.intake import IntakeUnavailable, ReceiptTooLarge
from streams.store.base import Unavailable
from tests.asking import CAPTURED, opened, problem_of
from tests.gateway_world import KEYS, TOKEN, GatewayWorld
from tests.world import alert, webhook


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


@pytest.mark.parametrize("path", ["/api/v1/webhooks/alertmanager", "/alerts/webhook"])
def test_a_captured_webhook_is_durable_before_it_is_accepted(world: GatewayWorld, path: str) -> None:
    response = world.request("POST", path, TOKEN, json=CAPTURED)
    assert response.status_code == 202
    receipt = response.json()["receipt"]
    assert response.headers["x-receipt-id"] == receipt
    assert response.json() == {"receipt": receipt, "alerts": 1, "rejected": 0, "warnings": []}
    [(key, record)] = world.intake.kept
    assert re.fullmatch(rb"alertmanager:[0-3]", key)
    assert (record.receipt, record.integration, record.received_at) == (receipt, "alertmanager", world.now())
    assert record.alerts[0].fingerprint == "955bdf9692ad12ea"
    assert record.salt == b"s".hex() * 16


def test_an_alert_is_followed_from_receipt_to_resolution(world: GatewayWorld) -> None:
    name = opened(world, service="payments")
    world.expect_page("ada", name)
    shown = world.ask(f"/api/v1/incidents/{name}")
    assert shown.headers["etag"] == f'"{shown.json()["version"]}"'
    assert (shown.json()["status"], shown.json()["service"]) == ("triggered", "payments")
    acked = world.tell(name, "ack", headers={"X-Request-Id": "my-request"})
    assert acked.json() == {
        "id": shown.json()["id"],
        "name": name,
        "status": "acknowledged",
        "changed": True,
        "other": None,
        "version": 2,
        "position": world.store.head(),
    }
    again = world.ask(f"/api/v1/incidents/{name}?min_position={acked.json()['position']}").json()
    assert (again["status"], again["acknowledged_by"]) == ("acknowledged", "user:ada")
    timeline = world.ask(f"/api/v1/incidents/{name}/timeline").json()["entries"]
    assert [entry["correlation_id"] for entry in timeline][-1] == "my-request"
    assert world.tell(name, "resolve").json()["status"] == "resolved"
    world.close()


def test_nothing_to_keep_is_accepted_and_nothing_is_kept(world: GatewayWorld) -> None:
    assert world.webhook(webhook([])).json()["alerts"] == 0
    assert world.intake.kept == []


def test_members_that_are_no_alerts_are_kept_and_counted(world: GatewayWorld) -> None:
    body = webhook([alert("Down", {}, world.now()), {"status": "?"}])
    assert world.webhook(body).json()["rejected"] == 1
    assert [rejected.index for _, record in world.intake.kept for rejected in record.rejected] == [1]


@pytest.mark.parametrize("token", [None, "wrong", KEYS["admin"], ""])
def test_only_an_integrations_token_may_post(world: GatewayWorld, token: str | None) -> None:
    response = world.webhook(CAPTURED, token)
    problem_of(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert world.intake.kept == []


def test_what_cannot_be_kept_is_refused_with_the_time_to_come_again(world: GatewayWorld) -> None:
    world.intake.fails = IntakeUnavailable("Kafka did not acknowledge within 0.3 s")
    response = world.webhook(CAPTURED)
    problem_of(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) > 0
    world.intake.fails = ReceiptTooLarge("a record is larger than the topic takes")
    problem_of(world.webhook(CAPTURED), 413, "body_too_large")


def test_a_body_is_refused_for_what_it_is() -> None:
    with GatewayWorld(max_body_bytes=2048, max_alerts=1) as world:
        problem_of(world.webhook(b"not json"), 400, "bad_json")
        text = {"Content-Type": "text/plain"}
        problem_of(world.webhook(b"{}", headers=text), 415, "unsupported_media_type")
        large = world.webhook(b" " * 2049)
        problem_of(large, 413, "body_too_large")
        assert large.headers["connection"] == "close"
        assert world.intake.kept == []


def test_json_that_alertmanager_never_sends_is_taken_and_becomes_a_dead_letter_that_a_person_hears_of() -> None:
    with GatewayWorld(max_alerts=1) as world:
        two = webhook([alert(name, {}, world.now()) for name in "ab"])
        for body in (b"[]", {**CAPTURED, "version": "1"}, two):
            answer = world.webhook(body)
            assert (answer.status_code, answer.json()["alerts"], answer.json()["rejected"]) == (202, 0, 1)
        receipt = answer.json()["receipt"]
        world.arrive()
        [dead] = world.store.dead_letters(receipt)
        assert (dead.index, dead.reason) == (-1, "alerts: The webhook has 2 alerts; at most 1 are taken at once.")
        assert json.loads(dead.body) == two
        world.expect_page("ada", "INC-1")


def test_a_body_without_a_length_is_read_no_further_than_the_limit() -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 1000:
            sent += 1
            yield b" " * 1024

    with GatewayWorld(max_body_bytes=4096) as world:
        response = world.request("POST", "/alerts/webhook", TOKEN, content=endless())
        problem_of(response, 413, "body_too_large")
    assert sent < 10


def test_a_missing_content_type_is_taken_for_json(world: GatewayWorld) -> None:
    assert world.webhook(json.dumps(CAPTURED).encode()).status_code == 202


def test_a_large_webhook_is_split_over_shards(world: GatewayWorld) -> None:
    members = [alert("Down", {"host": f"h{n}", "pad": "x" * 500}, world.now()) for n in range(200)]
    assert world.webhook(webhook(members)).json()["alerts"] == 200
    assert sorted(record.part for _, record in world.intake.kept) == [1, 2, 3, 4]
    assert sum(len(record.alerts) for _, record in world.intake.kept) == 200


def test_webhooks_are_taken_while_postgres_is_away(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.webhook(CAPTURED).status_code == 202

    def away() -> Any:
        raise Unavailable("Postgres does not answer")

    configured = world.app.state.gateway.configured
    monkeypatch.setattr(configured, "_read", away)
    configured.forget()
    assert world.webhook(CAPTURED).status_code == 202
    assert len(world.intake.kept) == 2


def test_without_any_configuration_nothing_is_taken(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise Unavailable("Postgres does not answer")

    monkeypatch.setattr(world.app.state.gateway.configured, "_read", away)
    problem_of(world.webhook(CAPTURED), 503, "unavailable")
