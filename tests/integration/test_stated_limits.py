"""Every limit that docs/reference/limits.md states: as much is taken, and a little more is answered as it says."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from compose.reference_limits import SECTIONS, Limit
from schemas.problems import KINDS
from tests.gateway_world import KEYS, GatewayWorld
from tests.integration.test_gateway_server import served
from tests.world import START, alert, webhook

Ask = Callable[[GatewayWorld, int], httpx.Response]
LIMITS = {limit.what: limit for limits in SECTIONS.values() for limit in limits}
HEAD = "request line and headers"
"""Asked over a socket, because that is where it is refused."""


def webhook_of(**changes: Any) -> dict[str, Any]:
    """A webhook of one alert with other labels, annotations or members."""
    member = alert("Down", {}, START)
    for name, value in changes.items():
        member[name] = {**member[name], **value} if isinstance(value, dict) else value
    return webhook([member])


def labels(world: GatewayWorld, count: int) -> httpx.Response:
    more = {f"l{n:03}": "x" for n in range(count - 2)}
    return world.webhook(webhook_of(labels=more))


def annotations(world: GatewayWorld, count: int) -> httpx.Response:
    return world.webhook(webhook_of(annotations={f"a{n:03}": "x" for n in range(count - 2)}))


def nested(world: GatewayWorld, levels: int) -> httpx.Response:
    deep: Any = 1
    for _ in range(levels - 1):
        deep = [deep]
    return world.webhook({**webhook([]), "deep": deep})


def alerts(world: GatewayWorld, count: int) -> httpx.Response:
    return world.webhook(webhook([alert(f"Down{n}", {}, world.now()) for n in range(count)]))


def body(world: GatewayWorld, size: int) -> httpx.Response:
    raw = json.dumps(webhook([])).encode()
    return world.webhook(raw + b" " * (size - len(raw)))


def said(verb: str, field: str, value: Callable[[int], Any]) -> Ask:
    """A command on an incident with a field of some length."""
    return lambda world, size: world.tell("INC-1", verb, json={field: value(size)})


def headed(name: str, value: Callable[[int], str]) -> Ask:
    """A command with a header of some length."""
    return lambda world, size: world.tell("INC-1", "ack", headers={name: value(size)})


def asked(path: str, **query: Callable[[int], Any]) -> Ask:
    """A question with a parameter of some size."""
    return lambda world, size: world.ask(path, params={name: value(size) for name, value in query.items()})


def created(world: GatewayWorld, size: int) -> httpx.Response:
    return world.request(
        "POST", "/api/v1/incidents", KEYS["responder"], json={"title": "x" * size, "service": "payments"}
    )


def applied(documents: Callable[[int], dict[str, str]]) -> Ask:
    """An apply of documents of some size."""
    return lambda world, size: world.request(
        "POST", "/api/v1/config/apply", KEYS["admin"], json={"documents": documents(size), "dry_run": True}
    )


EMPTY = "version: 1\n"
ASKS: dict[str, Ask] = {
    "a body": body,
    "levels of lists and objects": nested,
    "alerts in a webhook": alerts,
    "labels of an alert": labels,
    "annotations of an alert": annotations,
    "the name of a label": lambda world, size: world.webhook(webhook_of(labels={"n" * size: "x"})),
    "the value of a label": lambda world, size: world.webhook(webhook_of(labels={"a": "x" * size})),
    "the value of an annotation": lambda world, size: world.webhook(webhook_of(annotations={"a": "x" * size})),
    "a link": lambda world, size: world.webhook(webhook_of(generatorURL="http://x.test/".ljust(size, "a"))),
    "a comment": said("comment", "text", lambda size: "x" * size),
    "a title": created,
    "users of an assignment": said("assign", "users", lambda size: ["ada"] * size),
    "an Idempotency-Key": headed("Idempotency-Key", lambda size: "k" * size),
    "an If-Match": headed("If-Match", lambda size: "*".ljust(size)),
    "one page of a list": asked("/api/v1/incidents", limit=lambda size: size),
    "words of a filter": asked("/api/v1/incidents", team=lambda size: [f"t{n}" for n in range(size)]),
    "a name in a filter": asked("/api/v1/incidents", team=lambda size: "t" * size),
    "a cursor": asked("/api/v1/incidents", cursor=lambda size: "9".rjust(size, "0")),
    "documents of an apply": applied(lambda size: {f"{n}.yaml": EMPTY for n in range(size)}),
    "a document": applied(lambda size: {"a.yaml": EMPTY.ljust(size)}),
    "levels of a document": applied(lambda size: {"a.yaml": EMPTY + "route: " + "[" * (size - 1) + "]" * (size - 1)}),
}


@pytest.fixture(scope="module")
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        made.fire("Down", service="payments")
        yield made


def test_every_stated_limit_is_asked_for() -> None:
    assert LIMITS.keys() == {HEAD, *ASKS}


@pytest.mark.parametrize("what", ASKS)
def test_as_much_is_taken_and_a_little_more_is_answered_as_stated(world: GatewayWorld, what: str) -> None:
    limit = LIMITS[what]
    at, beyond = ASKS[what](world, limit.most), ASKS[what](world, limit.most + 1)
    if what == "levels of a document":  # it says nothing that a configuration could, so that only the words differ
        assert "nests deeper" not in at.text
        assert "nests deeper" in beyond.text
    else:
        assert at.is_success, at.text
        assert not at.json().get("warnings"), at.text
    refused(limit, beyond)


def refused(limit: Limit, beyond: httpx.Response) -> None:
    """It is refused as stated and says what to do; or taken, and a warning says what was bent."""
    if limit.beyond is None:
        assert beyond.status_code == 202
        assert beyond.json()["warnings"], beyond.text
        return
    problem = beyond.json()
    assert problem["type"] == f"/problems/{limit.beyond}", beyond.text
    assert beyond.status_code == KINDS[limit.beyond].status
    assert problem["remedy"]


async def test_the_largest_head_is_taken_and_a_larger_one_is_not(world: GatewayWorld) -> None:
    async with served(world.app) as (url, _, _), httpx.AsyncClient(base_url=url) as client:
        taken = await client.get("/healthz", headers={"X-Long": "x" * (LIMITS[HEAD].most - 500)})
        too_large = await client.get("/healthz", headers={"X-Long": "x" * LIMITS[HEAD].most})
    assert taken.status_code == 200
    refused(LIMITS[HEAD], too_large)
