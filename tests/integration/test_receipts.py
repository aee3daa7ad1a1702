"""Receipts over HTTP: what became of a webhook, and who may ask. And the generic webhook, which answers with one."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from projections.receipt_queries import InboxTrace
from tests.gateway_world import KEYS, TOKEN, TOKENS, GatewayWorld
from tests.world import alert, webhook


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def receipt(world: GatewayWorld, *alerts: dict[str, Any]) -> str:
    return str(world.webhook(webhook(list(alerts))).json()["receipt"])


def ask(world: GatewayWorld, name: str, token: str = KEYS["viewer"]) -> Any:
    return world.request("GET", f"/api/v1/receipts/{name}", token)


def fired(world: GatewayWorld, name: str) -> dict[str, Any]:
    return alert(name, {"service": "payments"}, world.now())


def test_a_receipt_is_accepted_and_then_folded(world: GatewayWorld) -> None:
    name = receipt(world, fired(world, "Down"), fired(world, "Slow"))
    assert ask(world, name).json() == {
        "receipt": name,
        "integration": "alertmanager",
        "received_at": "2026-03-02T03:00:00Z",
        "state": "accepted",
        "alerts": [],
        "dead_letters": [],
    }
    world.arrive()
    view = ask(world, name).json()
    assert view["state"] == "folded"
    assert {one["incident"] for one in view["alerts"]} == {"INC-1", "INC-2"}
    assert len({one["alert"] for one in view["alerts"]}) == 2


def test_a_resolve_has_a_receipt_of_its_own(world: GatewayWorld) -> None:
    start = world.now()
    receipt(world, fired(world, "Down"))
    world.arrive()
    world.advance(minutes=2)
    name = receipt(world, alert("Down", {"service": "payments"}, start, world.now()))
    world.arrive()
    [one] = ask(world, name).json()["alerts"]
    assert (one["status"], one["incident"]) == ("resolved", "INC-1")


def test_a_repeat_that_changed_nothing_leaves_no_trace_but_this_gateways_memory(world: GatewayWorld) -> None:
    receipt(world, fired(world, "Down"))
    world.arrive()
    world.advance(seconds=30)
    name = receipt(world, fired(world, "Down") | {"startsAt": (world.now() - timedelta(seconds=30)).isoformat()})
    world.arrive()
    view = ask(world, name).json()
    assert (view["state"], view["alerts"]) == ("accepted", [])


def test_members_that_could_not_be_decided_are_said(world: GatewayWorld) -> None:
    name = receipt(world, fired(world, "Down"), {"status": "maybe"})
    world.arrive()
    view = ask(world, name).json()
    assert (view["state"], len(view["alerts"])) == ("folded", 1)
    [dead] = view["dead_letters"]
    assert dead["index"] == 1
    name = receipt(world, {"status": "maybe"})
    world.arrive()
    assert ask(world, name).json()["state"] == "dead_lettered"


def test_a_receipt_in_the_inbox_says_so(world: GatewayWorld) -> None:
    world.queries.inbox["r-1"] = (InboxTrace("alertmanager", world.now(), folded=False),)
    assert ask(world, "r-1").json()["state"] == "in_inbox"
    world.queries.inbox["r-1"] = (InboxTrace("alertmanager", world.now(), folded=True),)
    assert ask(world, "r-1").json()["state"] == "folded"


def test_who_may_ask(world: GatewayWorld) -> None:
    name = receipt(world, fired(world, "Down"))
    assert ask(world, name, TOKEN).status_code == 200
    assert ask(world, name, TOKENS["elastic"]).status_code == 404
    assert ask(world, name, "nobody").status_code == 401
    assert world.request("GET", f"/api/v1/receipts/{name}").status_code == 401
    assert ask(world, "r-unknown").status_code == 404


# -- the generic webhook -----------------------------------------------------------------------------------------------


def post(world: GatewayWorld, integration: str, body: Any, token: str | None = None) -> Any:
    path = f"/api/v1/webhooks/generic/{integration}"
    return world.request("POST", path, token or TOKENS[integration], json=body)


def test_anything_that_posts_json_opens_and_resolves_an_incident(world: GatewayWorld) -> None:
    body = {"title": "Disk full", "service": "payments", "severity": "high", "status": "firing"}
    answer = post(world, "generic", body)
    assert (answer.status_code, answer.json()["warnings"]) == (202, [])
    world.arrive()
    world.expect_page("ada", "INC-1")
    world.expect_incident("INC-1", title="Disk full (payments)", severity="high")
    world.advance(minutes=2)
    post(world, "generic", {**body, "status": "ok"})
    world.arrive()
    world.expect_incident("INC-1", status="resolved")


def test_a_mapping_says_where_the_fields_are(world: GatewayWorld) -> None:
    check = {"id": 7, "state": "RED", "name": "Backup"}
    assert post(world, "checks", {"check": check, "service": "payments"}).status_code == 202
    world.arrive()
    world.expect_page("ada", "INC-1")
    world.advance(minutes=2)
    post(world, "checks", {"check": {**check, "state": "GREEN", "name": "renamed"}})
    world.arrive()
    world.expect_incident("INC-1", title="Backup (payments)", status="resolved")
    assert post(world, "checks", {"check": {"state": "RED"}}).json()["field"] == "check.id"


def test_a_token_opens_its_own_path_only(world: GatewayWorld) -> None:
    assert post(world, "checks", {"title": "x"}, TOKENS["generic"]).status_code == 403
    assert post(world, "checks", {"title": "x"}, TOKEN).status_code == 403
    assert world.request("POST", "/api/v1/webhooks/generic", TOKENS["generic"], json={}).status_code == 404
