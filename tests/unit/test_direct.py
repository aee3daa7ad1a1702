"""The short way to a machine's endpoint: the same guard, the same refusals, the same description as by the long one."""

from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import app
from gateway.auth import AtLeast
from gateway.direct import Direct, MachineRoute
from tests.gateway_world import KEYS, TOKEN, TOKENS, GatewayWorld

SHORT, LONG = "/api/v1/webhooks/alertmanager", "/api/v1/webhooks/generic/generic"


class NoShortWay:
    """In the place of `Direct`."""

    def __init__(self, app: ASGIApp, api: object) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


@pytest.fixture(params=[Direct, NoShortWay])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[GatewayWorld]:
    monkeypatch.setattr(app, "Direct", request.param)
    with GatewayWorld() as made:
        yield made


@pytest.mark.parametrize(
    ("method", "token", "status", "problem"),
    [
        ("POST", None, 401, "unauthenticated"),
        ("POST", KEYS["admin"], 401, "unauthenticated"),
        ("POST", TOKENS["elastic"], 403, "forbidden"),
        ("POST", TOKEN, 400, "bad_json"),
        ("GET", TOKEN, 405, "method_not_allowed"),
        ("PUT", TOKEN, 405, "method_not_allowed"),
    ],
)
def test_both_ways_refuse_alike(world: GatewayWorld, method: str, token: str | None, status: int, problem: str) -> None:
    answer = world.request(method, SHORT, token)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.json()["instance"] == SHORT


def test_both_ways_take_in_alike(world: GatewayWorld) -> None:
    answer = world.request("POST", SHORT, TOKEN, json={"version": "4", "alerts": []})
    assert answer.status_code == 202
    assert answer.json() == {"receipt": answer.headers["x-receipt-id"], "alerts": 0, "rejected": 0, "warnings": []}
    assert answer.headers["location"].endswith(answer.headers["x-receipt-id"])
    assert world.request("POST", LONG, TOKENS["generic"], json={"title": "Down"}).json()["alerts"] == 1
    assert world.request("POST", f"{SHORT}/", TOKEN, json={}).status_code == 404


def test_a_machines_route_without_its_guard_is_not_made() -> None:
    router = APIRouter(route_class=MachineRoute)

    async def take(request: Request, key: Annotated[object, Depends(AtLeast("viewer"))]) -> Response:
        return Response()

    with pytest.raises(ValueError, match="unpack"):
        router.add_api_route("/open", take, methods=["POST"])
