"""The gateway over HTTP, as its callers meet it: machines that post, people who read and act, probes."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from gateway.intake import IntakeUnavailable, ReceiptTooLarge
from schemas.problems import MEDIA_TYPE
from streams.store.base import Conflict, Unavailable
from tests.gateway_world import KEYS, TOKEN, GatewayWorld
from tests.world import alert, webhook

CAPTURED = json.loads(
    """
{"version":"4","groupKey":"{}:{alertname=\\"ServiceDown\\"}","truncatedAlerts":0,
 "status":"firing","receiver":"incident-api","notification_reason":"first notification",
 "groupLabels":{"alertname":"ServiceDown"},
 "commonLabels":{"alertname":"ServiceDown","severity":"page","team":"platform"},
 "commonAnnotations":{"summary":"down"},"routeLabels":{},
 "externalURL":"http://am.example:9093",
 "alerts":[{"status":"firing","labels":{"alertname":"ServiceDown","job":"my-service","severity":"page"},
   "annotations":{"summary":"down","runbook_url":"https://rb.example/x"},
   "startsAt":"2026-11-20T21:26:47.632Z","endsAt":"0001-01-01T00:00:00Z",
   "generatorURL":"http://prom:9090/graph?g0.expr=up","fingerprint":"955bdf9692ad12ea"}]}
"""
)
"""Source: contract page 02, section A (captured from Alertmanager)."""


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def problem_of(response: Any, status: int, name: str) -> dict[str, Any]:
    """The problem document of a refusal, which is complete."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    document: dict[str, Any] = response.json()
    assert document["type"] == f"/problems/{name}"
    assert document["status"] == status
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["title"] and document["detail"] and document["remedy"]
    return document


def opened(world: GatewayWorld, name: str = "Down", **labels: str) -> str:
    """An incident that came of a webhook."""
    assert world.webhook(webhook([alert(name, labels, world.now())])).status_code == 202
    world.arrive()
    return str(world.ask("/api/v1/incidents").json()["incidents"][0]["name"])


# -- webhooks ------------------------------------------------------------------------------------------------------


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


# -- people --------------------------------------------------------------------------------------------------------


def test_every_verb_is_decided_and_says_whether_it_changed_anything(world: GatewayWorld) -> None:
    name = opened(world)
    steps = [("ack", "acknowledged"), ("unack", "triggered"), ("start", "in_progress"), ("resolve", "resolved")]
    for verb, status in [*steps, ("reopen", "triggered")]:
        first = world.tell(name, verb).json()
        assert (first["status"], first["changed"]) == (status, True)
        assert (world.tell(name, verb).json()["changed"]) is False


def test_a_command_that_the_status_does_not_allow_says_what_to_do(world: GatewayWorld) -> None:
    name = opened(world)
    world.tell(name, "resolve")
    document = problem_of(world.tell(name, "ack"), 409, "incident_resolved")
    assert name in document["detail"]
    assert document["remedy"] == "Reopen it if it is not over; the next alert opens another in any case."


def test_an_incident_is_found_by_name_number_and_id(world: GatewayWorld) -> None:
    name = opened(world)
    identity = world.ask(f"/api/v1/incidents/{name}").json()["id"]
    for ref in (name, name.lower(), name[4:], identity, identity.upper()):
        assert world.ask(f"/api/v1/incidents/{ref}").json()["name"] == name
        assert world.tell(ref, "ack").json()["name"] == name


@pytest.mark.parametrize(
    "ref", ["INC-99", "99", "nonsense", "%00", "6f1f7b0e-5f0d-5a3c-9a55-0c6f1f6f7463", "INC-" + "9" * 40]
)
def test_there_is_no_such_incident(world: GatewayWorld, ref: str) -> None:
    for response in (world.ask(f"/api/v1/incidents/{ref}"), world.tell(ref, "ack")):
        problem_of(response, 404, "not_found")
    for part in ("timeline", "pages"):
        problem_of(world.ask(f"/api/v1/incidents/{ref}/{part}"), 404, "not_found")


def test_a_number_that_the_read_model_does_not_know_yet_is_not_denied(world: GatewayWorld) -> None:
    name = opened(world)
    identity = world.ask(f"/api/v1/incidents/{name}").json()["id"]
    world.queries.behind = world.store.head()
    problem_of(world.tell(name, "ack"), 503, "read_model_behind")
    assert world.tell(identity, "ack").json()["status"] == "acknowledged"


def test_a_question_for_a_position_not_reached_yet_is_not_answered_with_the_past(world: GatewayWorld) -> None:
    opened(world)
    head = world.store.head()
    response = world.ask(f"/api/v1/incidents?min_position={head + 1}")
    problem_of(response, 503, "read_model_behind")
    assert response.headers["retry-after"] == "1"
    assert world.ask(f"/api/v1/incidents?min_position={head}").status_code == 200


def test_incidents_are_filtered_by_any_of_their_names_and_paged(world: GatewayWorld) -> None:
    for name in ("One", "Two", "Three"):
        opened(world, name)
    world.tell("INC-2", "ack")

    def names(query: str) -> list[str]:
        return [one["name"] for one in world.ask(f"/api/v1/incidents?{query}").json()["incidents"]]

    assert names("") == ["INC-3", "INC-2", "INC-1"]
    assert names("status=acknowledged") == ["INC-2"]
    assert names("status=open") == names("status=triggered") == ["INC-3", "INC-1"]
    assert names("status=open,ACKNOWLEDGED&severity=critical&team=platform") == ["INC-3", "INC-2", "INC-1"]
    assert names("severity=page") == ["INC-3", "INC-2", "INC-1"]
    assert names("severity=info") == []
    first = world.ask("/api/v1/incidents?limit=2").json()
    assert names(f"limit=2&cursor={first['next_cursor']}") == ["INC-1"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=sleepy", "status"),
        ("severity=awful", "severity"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("cursor=nonsense", "cursor"),
        ("min_position=-1", "min_position"),
        (f"min_position={10**30}", "min_position"),
        ("service=%00", "service"),
    ],
)
def test_a_wrong_question_names_the_field_that_is_wrong(world: GatewayWorld, query: str, field: str) -> None:
    document = problem_of(world.ask(f"/api/v1/incidents?{query}"), 422, "bad_request_fields")
    assert document["field"] == field


def test_a_command_says_which_door_it_came_through(world: GatewayWorld) -> None:
    name = opened(world)
    world.tell(name, "ack", headers={"X-Tocsin-Origin": "cli"})
    entry = world.ask(f"/api/v1/incidents/{name}/timeline").json()["entries"][-1]
    assert (entry["origin"], entry["actor"]) == ("cli", "user:ada")
    world.tell(name, "unack", role="admin")
    entry = world.ask(f"/api/v1/incidents/{name}/timeline").json()["entries"][-1]
    assert (entry["origin"], entry["actor"]) == ("api", "user:root")
    problem_of(world.tell(name, "ack", headers={"X-Tocsin-Origin": "pager"}), 422, "bad_request_fields")


def test_the_database_away_or_contended_is_said_so(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    name = opened(world)
    world.queries.down = True
    response = world.ask("/api/v1/incidents")
    problem_of(response, 503, "unavailable")
    world.queries.down = False

    def contended(save: object) -> int:
        raise Conflict("again")

    monkeypatch.setattr(type(world.store), "save", lambda self, save: contended(save))
    problem_of(world.tell(name, "ack"), 409, "conflict")


# -- configuration -------------------------------------------------------------------------------------------------

ROTATED = "version: 1\napi_keys:\n  new: {role: viewer, hash: 'sha256:%s', user: grace}\n"


def apply(world: GatewayWorld, text: str, **more: Any) -> Any:
    body = {"documents": {"keys.yaml": text}, **more}
    return world.request("POST", "/api/v1/config/apply", KEYS["admin"], json=body)


def test_an_applied_key_works_at_once_and_has_an_author(world: GatewayWorld) -> None:
    text = ROTATED % sha256(b"fresh").hexdigest()
    assert world.request("GET", "/api/v1/incidents", "fresh").status_code == 401
    planned = apply(world, text, dry_run=True).json()
    [change] = planned["changes"]
    assert (change["kind"], change["id"], change["change"], planned["applied"]) == ("api_key", "new", "create", False)
    assert world.request("GET", "/api/v1/incidents", "fresh").status_code == 401
    done = apply(world, text).json()
    assert (done["applied"], done["revision"], done["position"]) == (True, world.store.head(), world.store.head())
    assert world.request("GET", "/api/v1/incidents", "fresh").status_code == 200
    assert world.store.tail(0, 1000)[-1].decision.cause.actor.id == "root"
    assert apply(world, text).json()["changes"] == []


def test_everything_wrong_with_a_configuration_is_listed(world: GatewayWorld) -> None:
    text = "version: 1\nteams:\n  t: {members: [{user: nobody, role: primary}]}\nservices:\n  s: {team: t}\n"
    before = world.store.head()
    document = problem_of(apply(world, text), 422, "bad_request_fields")
    assert [(error["file"], error["line"]) for error in document["errors"]] == [("keys.yaml", 3), ("keys.yaml", 5)]
    assert all(error["problem"] and error["remedy"] and error["column"] for error in document["errors"])
    assert world.store.head() == before


def test_a_request_to_apply_is_checked_after_the_key(world: GatewayWorld) -> None:
    for body in (b"no", b"{}", b'{"documents": {}}', b'{"documents": {"a": "version: 1"}, "more": true}'):
        response = world.request("POST", "/api/v1/config/apply", KEYS["admin"], content=body)
        problem_of(response, 422, "bad_request_fields")
        refused = world.request("POST", "/api/v1/config/apply", KEYS["viewer"], content=body)
        problem_of(refused, 403, "forbidden")


def test_the_configuration_can_be_read_back_and_holds_no_secret(world: GatewayWorld) -> None:
    shown = world.ask("/api/v1/config", "admin")
    assert shown.headers["content-type"].startswith("application/yaml")
    assert not any(secret in shown.text for secret in (TOKEN, *KEYS.values()))
    assert apply(world, shown.text).json()["changes"] == []


# -- probes, ids, documents ----------------------------------------------------------------------------------------


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


def test_the_description_knows_every_refusal(world: GatewayWorld) -> None:
    document = world.request("GET", "/openapi.json").json()
    assert "HTTPValidationError" not in json.dumps(document)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"] and operation["description"], path
            for status, described in operation["responses"].items():
                if status >= "400" and path != "/readyz":
                    assert described["content"] == {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}, (
                        path,
                        status,
                    )
    assert {"200", "401", "403", "404", "409", "422", "500", "503"} <= set(
        document["paths"]["/api/v1/incidents/{ref}/ack"]["post"]["responses"]
    )


def test_the_page_of_the_api_loads_nothing_from_elsewhere(world: GatewayWorld) -> None:
    page = world.request("GET", "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"(src|href)=\"?(https?:)?//", page.text)


# -- anything at all -----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        key: JSON | st.sampled_from(["firing", "resolved", "2026-03-02T03:00:00Z", ""])
        for key in ("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint")
    },
)
WEBHOOKS = st.fixed_dictionaries({"version": st.just("4"), "alerts": st.lists(MEMBERS | JSON, max_size=4)})
BODIES = st.binary(max_size=200) | (JSON | WEBHOOKS).map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Content-Length", "X-Request-Id", "X-Tocsin-Origin"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    max_size=2,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(body=BODIES, headers=HEADERS)
def test_no_body_is_answered_with_a_500(shared: GatewayWorld, body: bytes, headers: dict[str, str]) -> None:
    for path, token in (("/alerts/webhook", TOKEN), ("/api/v1/config/apply", KEYS["admin"])):
        response = shared.request("POST", path, token, content=body, headers=headers)
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            assert response.headers["content-type"] == MEDIA_TYPE


@FUZZ
@given(
    ref=st.text(max_size=30), query=st.dictionaries(st.sampled_from(["status", "limit", "cursor", "team"]), st.text())
)
def test_no_question_is_answered_with_a_500(shared: GatewayWorld, ref: str, query: dict[str, str]) -> None:
    for path in ("/api/v1/incidents", f"/api/v1/incidents/{quote(ref, safe='', errors='replace')}"):
        assert shared.ask(path, params=query).status_code < 500
