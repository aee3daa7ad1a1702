"""Who may do what: every route of the app is walked, as nobody, as every role and as a machine."""

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import RouteContext, iter_route_contexts

from domain.config import ApiKey, Config, Integration
from gateway import configured as configuring
from gateway.auth import PUBLIC, ROLES, refuse_unguarded
from gateway.configured import Configured
from gateway.keyring import Keyring
from tests.gateway_world import KEYS, PING, TOKEN, TOKENS, GatewayWorld

ACCESS = {
    **{f"{method} {path}": None for method in ("GET", "HEAD") for path in ("/healthz", "/readyz")},
    "/docs": None,
    "/openapi.json": None,
    "GET /metrics": "viewer",
    "HEAD /metrics": "viewer",
    "/alerts/active": "viewer",
    "/incidents/{ref}": None,
    "/api/v1/alerts": "viewer",
    "/api/v1/alerts/{alert}": "viewer",
    "/api/v1/alerts/{alert}/ack": "responder",
    "/api/v1/alerts/{alert}/unack": "responder",
    "/api/v1/alerts/{alert}/resolve": "responder",
    "/api/v1/due": "viewer",
    "/api/v2/status": "viewer",
    "GET /api/v2/silences": "viewer",
    "GET /api/v2/silence/{silence_id}": "viewer",
    "POST /api/v2/silences": "responder",
    "/api/v1/silences": "responder",
    "DELETE /api/v2/silence/{silence_id}": "responder",
    "/api/v1/explain": "viewer",
    "/api/v1/incidents/{ref}/alerts": "viewer",
    "/api/v1/incidents/{ref}/deliveries": "viewer",
    "/api/v1/metrics/response": "viewer",
    "/api/v1/status": "viewer",
    "GET /api/v1/incidents": "viewer",
    "POST /api/v1/incidents": "responder",
    "/api/v1/incidents/{ref}": "viewer",
    "/api/v1/incidents/{ref}/assign": "responder",
    "/api/v1/incidents/{ref}/severity": "responder",
    "/api/v1/incidents/{ref}/comment": "responder",
    "/api/v1/incidents/{ref}/timeline": "viewer",
    "/api/v1/incidents/{ref}/pages": "viewer",
    "/api/v1/incidents/{ref}/ack": "responder",
    "/api/v1/incidents/{ref}/unack": "responder",
    "/api/v1/incidents/{ref}/start": "responder",
    "/api/v1/incidents/{ref}/resolve": "responder",
    "/api/v1/incidents/{ref}/reopen": "responder",
    "/api/v1/incidents/{ref}/merge": "responder",
    "/api/v1/incidents/{ref}/unmerge": "responder",
    "/api/v1/incidents/{ref}/split": "responder",
    "/api/v1/incidents/{ref}/attach": "responder",
    "/api/v1/incidents/{ref}/detach": "responder",
    "/api/v1/config": "admin",
    "/api/v1/config/apply": "admin",
    "/api/v1/config/history": "admin",
    "/api/v1/config/{kind}": "admin",
    "GET /api/v1/config/{kind}/{name}": "admin",
    "PUT /api/v1/config/{kind}/{name}": "admin",
    "DELETE /api/v1/config/{kind}/{name}": "admin",
    "/api/v1/webhooks/alertmanager": "machine",
    "/alerts/webhook": "machine",
    "/v1/alerts/elastic": "elastic",
    "/api/v1/webhooks/generic/{integration}": "generic",
    "/api/v1/receipts/{receipt}": "known",
    "/api/v1/heartbeats": "viewer",
    "GET /api/v1/heartbeats/{heartbeat}/ping": "heartbeat",
    "POST /api/v1/heartbeats/{heartbeat}/ping": "heartbeat",
}
"""Path -> who is let in: everybody, a role and the ones above it, an integration, or whoever is known. A new route
needs a line here.

Where one path has several routes, each is named with its method.
"""

MACHINES = {"machine": TOKEN, "elastic": TOKENS["elastic"], "generic": TOKENS["generic"]}
ELSEWHERE = "192.0.2.1"


@pytest.fixture(scope="module")
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def named(world: GatewayWorld) -> dict[str, RouteContext]:
    """Every route by its path, with its method where that is needed to tell it from others."""
    routes = list(iter_route_contexts(world.app.routes))
    shared = Counter(route.path for route in routes)
    return {(r.path or "") if shared[r.path] == 1 else f"{next(iter(r.methods or ()))} {r.path}": r for r in routes}


def status(world: GatewayWorld, name: str, token: str | None) -> list[int]:
    """What each method of a route answers to this token, from another machine."""
    route = named(world)[name]
    path = route.path.replace("{integration}", "generic").replace("{heartbeat}", "backup")
    url = re.sub(r"{[a-z]+}", "INC-1", path)
    return [world.request(method, url, token, peer=ELSEWHERE).status_code for method in route.methods or ()]


def test_every_route_is_listed_here(world: GatewayWorld) -> None:
    assert set(named(world)) == set(ACCESS)
    assert {name.rpartition(" ")[2] for name, who in ACCESS.items() if who is None} == PUBLIC


def let_in(who: str) -> set[str]:
    """The names of the tokens that open what is for `who`."""
    if who in ROLES:
        return set(ROLES[ROLES.index(who) :])
    return {*ROLES, *MACHINES} if who == "known" else {who}


@pytest.mark.parametrize("path", ACCESS)
def test_a_route_lets_in_whom_it_should_and_nobody_else(world: GatewayWorld, path: str) -> None:
    who = ACCESS[path]
    tokens: dict[str, str | None] = {"nobody": None, "stranger": "unknown", "heartbeat": PING, **MACHINES, **KEYS}
    for name, token in tokens.items():
        answered = status(world, path, token)
        assert answered
        if who is None or name in let_in(who):
            assert not {401, 403} & set(answered), name
        elif name in (ROLES if who in ROLES else MACHINES if who in MACHINES else ()):
            assert answered == [403], name
        else:
            assert answered == [401], name


def test_an_app_with_an_unguarded_route_is_refused() -> None:
    router, app = APIRouter(), FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @router.get("/open")
    async def open_to_all() -> None:
        """Nobody guards it."""

    app.include_router(router)
    with pytest.raises(RuntimeError, match="/open has no guard"):
        refuse_unguarded(iter_route_contexts(app.routes))


def test_a_mounted_app_is_refused_too() -> None:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/other", FastAPI())
    with pytest.raises(RuntimeError, match="/other"):
        refuse_unguarded(iter_route_contexts(app.routes))


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Basic {KEYS['admin']}", KEYS["admin"], f"Bearer {KEYS['admin']} ", "Bearer é"]
)
def test_only_a_whole_bearer_token_counts(world: GatewayWorld, header: str) -> None:
    response = world.request("GET", "/api/v1/config", headers={"Authorization": header.encode("latin-1")})
    assert response.status_code == (200 if header == f"Bearer {KEYS['admin']} " else 401)


def test_the_scheme_is_read_in_any_case(world: GatewayWorld) -> None:
    headers = {"Authorization": f"bEARER {KEYS['viewer']}"}
    assert world.request("GET", "/api/v1/incidents", headers=headers).status_code == 200


def test_a_machines_token_at_the_api_is_told_what_it_is(world: GatewayWorld) -> None:
    assert "webhook token" in world.request("GET", "/api/v1/incidents", TOKEN).json()["detail"]


def test_an_integration_of_another_source_is_told_its_address() -> None:
    with GatewayWorld() as world:
        other = Integration("board", "grafana", (sha256(b"board").hexdigest(),))
        configured = Configured(lambda: Config(revision=1, integrations={"board": other}))
        world.app.state.gateway = replace(world.app.state.gateway, configured=configured)
        response = world.request("POST", "/alerts/webhook", "board", json={})
        assert response.status_code == 403
        assert "/api/v1/webhooks/grafana" in response.json()["remedy"]


def test_a_keyring_finds_by_digest_in_either_case_and_keeps_kinds_apart() -> None:
    digest = sha256(b"t").hexdigest()
    integrations = {name: Integration(name, "alertmanager", (digest.upper(),)) for name in ("b", "a")}
    keyring = Keyring.of(Config(integrations=integrations))
    found = keyring.integration("t")
    assert found is not None and found.id == "a"
    assert keyring.api_key("t") is None
    assert keyring.integration(digest) is None
    assert Keyring.of(Config(api_keys={"k": ApiKey("k", "viewer", digest)})).integration("t") is None


async def test_a_withdrawn_key_works_no_longer_than_a_second() -> None:
    keys = {"k": ApiKey("k", "viewer", sha256(b"t").hexdigest())}
    configs = iter([Config(revision=1, api_keys=keys), Config(revision=2)])
    asked = 0

    def read() -> Config:
        nonlocal asked
        asked += 1
        return next(configs)

    configured = Configured(read)
    assert (await configured.keyring()).api_key("t") is not None
    assert (await configured.keyring()).api_key("t") is not None
    assert asked == 1
    configured._fresh_until = 0.0
    assert (await configured.keyring()).api_key("t") is None


async def test_a_database_that_hangs_delays_one_request_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuring, "PATIENCE", 2.0)
    thawed = threading.Event()

    def frozen() -> Config:
        thawed.wait(30)
        return Config(revision=2)

    configured = Configured(lambda: Config(revision=1))
    await configured.keyring()
    configured._read, configured._fresh_until = frozen, 0.0
    waits = []
    for _ in range(3):
        started = time.monotonic()
        await configured.keyring()
        waits.append(time.monotonic() - started)
    thawed.set()
    assert waits[0] >= 1.8
    assert max(waits[1:]) < 1


async def test_a_change_during_a_reading_is_read_again() -> None:
    reading, go_on, asked = threading.Event(), threading.Event(), 0

    def read() -> Config:
        nonlocal asked
        asked += 1
        reading.set()
        go_on.wait(5)
        return Config(revision=asked)

    configured = Configured(read)
    first = asyncio.create_task(configured.keyring())
    await asyncio.to_thread(reading.wait, 5)
    configured.forget()
    go_on.set()
    await first
    await configured.keyring()
    assert asked == 2
