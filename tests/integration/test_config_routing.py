"""Routes, time intervals, inhibition rules and the catalogue over HTTP: put, read back, held together."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway_world import KEYS, GatewayWorld

NIGHTS = [{"times": [{"start_time": "22:00", "end_time": "24:00"}], "weekdays": ["monday:friday"]}]
RULE = {"source_matchers": ['severity="critical"'], "target_matchers": ['@team="platform"'], "equal": ["service"]}

JOIN = {"matchers": ['severity!="critical"'], "within": "10m", "over": "dependency", "direction": "both", "depth": 3}


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def ask(world: GatewayWorld, method: str, path: str, body: Any = None) -> Any:
    more = {} if body is None else {"json": body}
    return world.request(method, f"/api/v1/config/{path}", KEYS["admin"], **more)


def test_intervals_and_rules_are_read_back_as_they_were_put(world: GatewayWorld) -> None:
    for path, body in (
        ("time_intervals/nights", NIGHTS),
        ("inhibition_rules/site", RULE),
        ("correlation_rules/up", JOIN),
    ):
        assert ask(world, "PUT", path, body).status_code == 201
        assert ask(world, "GET", path).json() == body
        assert ask(world, "PUT", path, body).json()["changes"] == []


def test_a_route_with_every_option_is_read_back_and_keeps_its_interval(world: GatewayWorld) -> None:
    ask(world, "PUT", "time_intervals/nights", NIGHTS)
    child = {
        "matchers": ['@environment="production"'],
        "continue": True,
        "group_by": ["..."],
        "group_interval": "5m",
        "repeat_interval": "4h",
        "mute_time_intervals": ["nights"],
        "severity": "high",
        "runbook": "https://runbooks.example.test/shop",
        "ack": "refused",
        "suppress_for": "1m",
        "reopen_within": "10m",
        "flap_threshold": 5,
        "flap_window": "15m",
        "flap_quiet": "30m",
    }
    tree = {**ask(world, "GET", "route/default").json(), "routes": [child]}
    assert ask(world, "PUT", "route/default", tree).status_code == 200
    assert ask(world, "GET", "route/default").json() == tree
    refused = ask(world, "DELETE", "time_intervals/nights")
    assert refused.status_code == 409
    assert "routes[0].mute_time_intervals[0]" in refused.json()["detail"]


def test_a_service_says_what_it_needs_and_is_needed(world: GatewayWorld) -> None:
    payments = ask(world, "GET", "services/payments").json()
    whole = {**payments, "environment": "production", "tier": 1, "links": {"logs": "https://logs.example.test/"}}
    shop = {**payments, "dependencies": ["payments", "shop"]}
    assert ask(world, "PUT", "services/payments", whole).status_code == 200
    assert ask(world, "PUT", "services/shop", shop).status_code == 201
    assert ask(world, "GET", "services/payments").json() == whole


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("time_intervals/n", [{"months": ["smarch"]}], "[0].months[0]"),
        ("time_intervals/n", {"months": ["may"]}, "body"),
        ("inhibition_rules/n", {**RULE, "equal": ["@annotation.summary"]}, "equal[0]"),
        ("correlation_rules/n", {**JOIN, "within": "2d"}, "within"),
        ("services/n", {"team": "platform", "policy": "two-steps", "tier": 0}, "tier"),
    ],
)
def test_what_is_wrong_is_named(world: GatewayWorld, path: str, body: Any, field: str) -> None:
    refused = ask(world, "PUT", path, body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert refused.json()["remedy"]
