"""Heartbeats over HTTP: who may ping, what is said, and that the token stays where it is."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from compose import people
from compose.cli import main
from compose.client import ATTEMPTS, Access, Client, Refusal
from streams.store.base import Unavailable
from tests.asking import problem_of
from tests.gateway_world import KEYS, PING, TOKEN, GatewayWorld
from tests.services import Services
from tests.stack import CALM, Installation, RealWorld, until
from tests.unit.test_outgoing_heartbeat import SECRET, serving
from tests.world import CONFIG

Answer = Callable[[httpx.Request], httpx.Response]
PATH = "/api/v1/heartbeats/backup/ping"


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def views(world: GatewayWorld) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.ask("/api/v1/heartbeats").json()["heartbeats"]
    return found


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", [PATH, f"{PATH}?token={PING}"])
def test_a_ping_is_heard(world: GatewayWorld, method: str, path: str) -> None:
    response = world.request(method, path, None if "token" in path else PING)
    assert response.status_code == 200
    at, missed_at = world.now(), world.now() + timedelta(hours=1)
    assert response.json() == {"heartbeat": "backup", "at": stamp(at), "missed_at": stamp(missed_at)}
    assert response.headers["cache-control"] == "no-store"
    assert world.store.pings(["backup"])["backup"].at == at


def stamp(at: Any) -> str:
    return str(at.isoformat()).replace("+00:00", "Z")


def test_from_first_ping_to_alert_and_back(world: GatewayWorld) -> None:
    [view] = views(world)
    assert (view["state"], view["last_ping"], view["missed_at"]) == ("waiting", None, None)
    world.request("POST", PATH, PING)
    world.settle()
    [view] = views(world)
    assert (view["state"], view["last_ping"]) == ("heard", stamp(world.now()))
    world.advance(hours=1)
    world.expect_page("ada", "INC-1")
    [view] = views(world)
    assert (view["state"], view["missed_at"]) == ("missed", stamp(world.now()))
    world.request("POST", PATH, PING)
    world.settle()
    assert views(world)[0]["state"] == "heard"
    assert world.ask("/api/v1/incidents/INC-1").json()["status"] == "resolved"
    world.close()


@pytest.mark.parametrize(
    ("path", "token"),
    [
        (PATH, None),
        (PATH, "another"),
        (PATH, TOKEN),
        (PATH, KEYS["admin"]),
        (f"{PATH}?token=another", None),
        (f"{PATH}?token=", None),
        (f"{PATH}?token={PING}", "another"),
        ("/api/v1/heartbeats/unknown/ping", PING),
        ("/api/v1/heartbeats/unknown/ping", "another"),
        ("/api/v1/heartbeats/%00/ping", PING),
    ],
)
def test_an_unknown_name_and_a_wrong_token_look_the_same(world: GatewayWorld, path: str, token: str | None) -> None:
    document = problem_of(world.request("POST", path, token), 401, "unauthenticated")
    known = problem_of(world.request("POST", PATH, "wrong"), 401, "unauthenticated")
    assert {**document, "instance": "", "request_id": ""} == {**known, "instance": "", "request_id": ""}
    assert world.store.pings(["backup"]) == {}


def test_a_ping_token_does_nothing_else(world: GatewayWorld) -> None:
    problem_of(world.request("GET", "/api/v1/heartbeats", PING), 401, "unauthenticated")
    problem_of(world.webhook({}, token=PING), 401, "unauthenticated")


@pytest.mark.parametrize("token", [PING, "a-wrong-one"])
def test_a_token_in_a_url_is_never_written_down(world: GatewayWorld, token: str) -> None:
    with capture_logs() as logs:
        response = world.request("POST", f"{PATH}?token={token}")
    assert logs
    assert token not in json.dumps(logs, default=repr)
    assert token not in response.text
    metrics = world.request("GET", "/metrics", KEYS["viewer"]).text
    assert token not in metrics


def test_without_kafka_pings_are_heard_and_without_postgres_refused(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.intake.fails = Unavailable("Kafka does not answer")
    assert world.request("POST", PATH, PING).status_code == 200

    def away(*_: object) -> None:
        raise Unavailable("Postgres does not answer")

    monkeypatch.setattr(type(world.store), "ping", away)
    response = world.request("POST", PATH, PING)
    problem_of(response, 503, "unavailable")
    assert response.headers["retry-after"]


def test_it_is_declared_over_the_api_as_everything_else(world: GatewayWorld) -> None:
    path = "/api/v1/config/heartbeats/night"
    body = {"interval": "1d", "grace": "30m", "service": "payments", "armed": True, "labels": {"site": "north"}}
    assert world.request("PUT", path, KEYS["admin"], json=body).status_code == 201
    shown = world.request("GET", path, KEYS["admin"]).json()
    assert shown == {**body, "severity": "high", "token_hashes": []}
    world.settle()
    assert [(view["name"], view["state"]) for view in views(world)] == [("backup", "waiting"), ("night", "waiting")]
    world.advance(hours=24, minutes=30)
    world.expect_page("ada", "INC-1")
    assert world.request("DELETE", path, KEYS["admin"]).status_code == 200
    world.settle()
    assert world.ask("/api/v1/incidents/INC-1").json()["status"] == "resolved"
    world.close()


def test_on_the_real_thing(
    real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> None:
    digest = sha256(PING.encode()).hexdigest()
    backup = f"  backup: {{interval: 10m, service: payments, token_hashes: ['sha256:{digest}']}}\n"
    with serving() as (peer, url):
        given = {"HEARTBEAT_URL": url, "HEARTBEAT_INTERVAL": "1", **CALM}
        installation = Installation(real_services, new_database(), topic_prefix, tmp_path, **given)
        world = RealWorld(installation, f"{CONFIG}heartbeats:\n{backup}")
        try:
            with Client(Access(installation.running.gateway_url, PING)) as job:
                until("a ping that is heard", lambda: quiet(lambda: job.ping("backup")))
                world.advance(minutes=11)
                until("the alert", lambda: world.incidents() or None)
                until("the page", lambda: world.leftover() or None)
                world.expect_page("ada", "INC-1")
                job.ping("backup")
                until("its end", lambda: world.incidents()[0].status == "resolved" or None)
            plain = httpx.get(f"{installation.running.gateway_url}{PATH}?token={PING}", trust_env=False)
            assert plain.status_code == 200
            until("Tocsin's own heartbeat", lambda: peer.asked or None)
            world.close()
        finally:
            installation.close()
    assert PING not in installation.logs()
    assert SECRET not in installation.logs()


def quiet(ask: Callable[[], Any]) -> Any:
    """What is answered; None for a refusal: gateways know a new configuration after a second."""
    try:
        return ask()
    except Refusal:
        return None


@pytest.fixture
def tocsin(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `tocsin heartbeat` with these arguments against the world's gateway."""
    monkeypatch.setattr("compose.heartbeats.time.sleep", lambda _: None)

    def run(*arguments: str, answer: Answer | None = None) -> Result:
        def ask(request: httpx.Request) -> httpx.Response:
            path = request.url.raw_path.decode()
            found = world.request(request.method, path, headers=dict(request.headers))
            return httpx.Response(found.status_code, content=found.content)

        transport = httpx.MockTransport(answer or ask)
        monkeypatch.setattr(people, "Client", lambda access: Client(access, transport))
        with capture_logs():
            return CliRunner().invoke(main, ["heartbeat", *arguments, "--url", "http://gateway.test"])

    return run


def test_from_the_command_line(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    listed = tocsin("list", "--key", KEYS["viewer"])
    assert listed.output.splitlines()[1].split() == ["backup", "waiting", "1h", "never", "payments", "high"]
    pinged = tocsin("ping", "backup", "--token", PING)
    assert pinged.output == "backup was heard; it is missed unless it pings again before 2026-03-02 04:00:00Z.\n"
    assert world.store.pings(["backup"])["backup"].at == world.now()
    shown = json.loads(tocsin("list", "--json", "--key", KEYS["viewer"]).output)
    assert shown["heartbeats"] == views(world)
    refused = tocsin("ping", "backup", "--token", "wrong-token")
    assert refused.exit_code == 1
    assert "wrong-token" not in refused.output


@pytest.mark.parametrize("status", [0, 503])
def test_a_ping_from_the_command_line_is_tried_again(tocsin: Callable[..., Result], status: int) -> None:
    asked: list[str] = []

    def away(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if not status:
            raise httpx.ConnectError("refused")
        return httpx.Response(status, json={})

    assert tocsin("ping", "backup", "--token", PING, answer=away).exit_code == 1
    assert asked == [PATH] * ATTEMPTS


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"interval": "32d"}, "interval"),
        ({"interval": "0s"}, "interval"),
        ({"labels": {"severity": "low"}}, "labels"),
        ({"service": "nothing"}, "service"),
        ({"fed_by": {"matchers": []}}, "fed_by.matchers"),
        ({"token_hashes": ["secret"]}, "token_hashes[0]"),
    ],
)
def test_what_no_heartbeat_can_be_is_refused(world: GatewayWorld, changed: dict[str, Any], field: str) -> None:
    body = {"interval": "1h", **changed}
    response = world.request("PUT", "/api/v1/config/heartbeats/night", KEYS["admin"], json=body)
    assert problem_of(response, 422, "bad_request_fields")["field"] == field
    assert "secret" not in response.text


def test_no_integration_has_the_name_of_that_of_missed_heartbeats(world: GatewayWorld) -> None:
    response = world.request("PUT", "/api/v1/config/integrations/heartbeat", KEYS["admin"], json={"source": "generic"})
    problem_of(response, 422, "bad_request_fields")
