"""The configuration over HTTP: applied, refused with every mistake, read back."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from tests.asking import problem_of
from tests.gateway_world import KEYS, TOKEN, GatewayWorld


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


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
    wrong = (b"{}", b'{"documents": {}}', b'{"documents": {"a": "version: 1"}, "more": true}')
    for body in (b"no", *wrong):
        response = world.request("POST", "/api/v1/config/apply", KEYS["admin"], content=body)
        problem_of(response, *((422, "bad_request_fields") if body in wrong else (400, "bad_json")))
        refused = world.request("POST", "/api/v1/config/apply", KEYS["viewer"], content=body)
        problem_of(refused, 403, "forbidden")


def test_the_configuration_can_be_read_back_and_holds_no_secret(world: GatewayWorld) -> None:
    shown = world.ask("/api/v1/config", "admin")
    assert shown.headers["content-type"].startswith("application/yaml")
    assert not any(secret in shown.text for secret in (TOKEN, *KEYS.values()))
    assert apply(world, shown.text).json()["changes"] == []
