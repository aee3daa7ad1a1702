"""Probes, metrics, request ids, log lines, and what the API says of itself."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from gateway.intake import IntakeUnavailable
from schemas.problems import MEDIA_TYPE
from tests.asking import CAPTURED, problem_of
from tests.gateway_world import KEYS, TOKEN, GatewayWorld


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def health(world: GatewayWorld, path: str = "/readyz") -> tuple[int, dict[str, tuple[bool, str]]]:
    world.app.state.gateway.readiness._cached_until = 0.0
    world.app.state.gateway.readiness._settled_at = 0.0
    response = world.request("GET", path)
    return response.status_code, {d["name"]: (d["ok"], d["detail"]) for d in response.json()["dependencies"]}


def test_readiness_names_what_does_not_work(world: GatewayWorld) -> None:
    assert world.request("GET", "/healthz").json()["ok"] is True
    status, found = health(world)
    assert status == 200
    assert set(found) == {"kafka", "postgres", "configuration", "clock", "worker", "pager", "projector", "relay"}
    world.intake.fails = IntakeUnavailable("no broker answers")
    status, found = health(world)
    assert (status, found["kafka"]) == (200, (False, "no broker answers"))
    world.intake.fails = None
    world.skew = timedelta(seconds=-2.5)
    status, found = health(world)
    assert (status, found["clock"][0]) == (503, False)
    world.skew = timedelta(seconds=1.5)
    assert health(world)[0] == 200
    world.queries.down = True
    status, found = health(world)
    assert (status, found["postgres"][0]) == (200, False)
    world.intake.fails = IntakeUnavailable("no broker answers")
    assert health(world)[0] == 503
    assert world.request("GET", "/healthz").status_code == 200


def test_a_fresh_gateway_waits_for_both_stores(world: GatewayWorld) -> None:
    world.intake.fails = IntakeUnavailable("no broker answers")
    assert world.request("GET", "/readyz").status_code == 503
    assert health(world)[0] == 200


def test_a_role_that_stands_still_is_named_and_leaves_it_ready(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.standing.STANDS_STILL", 0.0001)
    assert health(world)[1]["projector"] == (True, "nothing waits")
    world.queries.behind = 3
    health(world)
    status, found = health(world)
    assert (status, found["projector"][0]) == (200, False)
    assert "3 events behind" in found["projector"][1]
    told = world.ask("/api/v1/status").json()
    [projector] = [role for role in told["roles"] if role["role"] == "projector"]
    assert (told["ok"], projector["waiting"]) == (False, 3)
    assert projector["since"]
    assert "projector runs" in projector["remedy"]
    world.queries.behind = 0
    health(world)
    assert world.ask("/api/v1/status").json()["ok"]


def test_a_dependency_that_hangs_is_asked_once(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.readiness.CHECK_TIMEOUT", 0.05)
    world.queries.hangs = 1.0
    _, found = health(world)
    assert found["postgres"][1].startswith("no answer within")
    asked = world.app.state.gateway.readiness._asked["postgres"]
    health(world)
    assert world.app.state.gateway.readiness._asked["postgres"] is asked


def test_metrics_are_for_this_machine_and_for_viewers(world: GatewayWorld) -> None:
    world.webhook(CAPTURED)
    text = world.request("GET", "/metrics").text
    assert 'tocsin_webhook_alerts_total{integration="alertmanager",source="alertmanager"}' in text
    assert 'route="/api/v1/webhooks/alertmanager",status="202"' in text
    problem_of(world.request("GET", "/metrics", peer="192.0.2.1"), 401, "unauthenticated")
    assert world.request("GET", "/metrics", KEYS["viewer"], peer="192.0.2.1").status_code == 200
    forwarded = {"X-Forwarded-For": "192.0.2.1"}
    problem_of(world.request("GET", "/metrics", headers=forwarded), 401, "unauthenticated")


def test_a_request_id_is_taken_when_it_can_be_used(world: GatewayWorld) -> None:
    for sent, echoed in (("abc-1", True), ("two words", False), ("x" * 129, False), ('"quoted"', False)):
        response = world.request("GET", "/healthz", headers={"X-Request-Id": sent})
        assert (response.headers["x-request-id"] == sent) is echoed


def test_one_log_line_follows_a_request_and_holds_no_secret(world: GatewayWorld) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        world.webhook(CAPTURED, headers={"X-Request-Id": "r-1"})
        world.request("GET", "/secret/path?token=secret", "secret")
    accepted, unknown = [line for line in lines if line["event"] == "request"]
    assert (accepted["request_id"], accepted["status"], accepted["alerts"]) == ("r-1", 202, 1)
    assert accepted["receipt"] == world.intake.kept[0][1].receipt
    assert unknown["route"] == "unmatched"
    assert "secret" not in json.dumps(lines, default=str)


def test_what_nobody_foresaw_is_a_problem_without_a_trace(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(type(world.queries), "incidents", broken)
    with capture_logs() as lines:
        response = world.ask("/api/v1/incidents")
    problem_of(response, 500, "internal")
    assert "secret detail" not in response.text
    assert any(line["event"] == "request failed" for line in lines)


def test_unknown_paths_and_methods_are_problems(world: GatewayWorld) -> None:
    problem_of(world.request("GET", "/nowhere"), 404, "not_found")
    problem_of(world.request("POST", "/api/v1/webhooks/unregistered", TOKEN, json={}), 404, "not_found")
    problem_of(world.request("GET", "/api/v1/incidents/"), 404, "not_found")
    response = world.request("DELETE", "/api/v1/incidents")
    problem_of(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
SENTENCE = {"application/json": {"schema": {"type": "string"}}}
"""What Alertmanager's API refuses with."""


def test_the_description_knows_every_refusal(world: GatewayWorld) -> None:
    document = world.request("GET", "/openapi.json").json()
    assert "HTTPValidationError" not in json.dumps(document)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"] and operation["description"], path
            for status, described in operation["responses"].items():
                if status >= "400" and path != "/readyz":
                    theirs = path.startswith("/api/v2/")
                    assert described["content"] == (SENTENCE if theirs else PROBLEM), (path, status)
    assert {"200", "401", "403", "404", "409", "422", "500", "503"} <= set(
        document["paths"]["/api/v1/incidents/{ref}/ack"]["post"]["responses"]
    )


@pytest.mark.parametrize("path", ["/docs", "/incidents/INC-7"])
def test_a_page_loads_nothing_from_elsewhere_and_is_everybodys(world: GatewayWorld, path: str) -> None:
    page = world.request("GET", path)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"(src|href)=\"?(https?:)?//", page.text)
