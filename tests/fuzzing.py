"""A gateway in which something has happened, for whoever asks it everything: on a real database, folding what it takes.

`Target.seen` counts what every operation answered, by status, and by the kind of problem where it refused.
"""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from schemathesis.python import asgi
from structlog.testing import capture_logs

from gateway import elastic
from gateway.app import add_routes
from gateway.examples import OBJECTS
from gateway.openapi import Api
from projections.database import READ_SCHEMA, STORE_SCHEMA
from projections.queries import Queries
from schemas.problems import MEDIA_TYPE, TYPE_BASE
from schemas.received import AlertReceived, decode, encode, split
from streams.fold import Arrival
from streams.store.base import TrackingMove
from streams.store.migrate import migrate
from tests.gateway_world import KEYS, ORG, PING, TOKEN, TOKENS, GatewayWorld, MemoryIntake
from tests.read_world import ReadWorld

BODY_LIMIT = 32 * 1024
"""Bytes of a body."""
NEVER_BY_INPUT = frozenset({"internal", "unavailable", "conflict"})
"""Problems that no request brings about by itself: something fails, or somebody else is faster."""


def described() -> dict[str, Any]:
    """The OpenAPI document."""
    app = Api(lifespan=lambda _: nullcontext())
    add_routes(app)
    return app.openapi()


OPERATIONS: Mapping[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, operations in described()["paths"].items()
    for method, operation in operations.items()
}
"""Every operation as it is described."""


def documented(label: str) -> dict[str, str]:
    """What an operation may answer: kinds of problems, and statuses that are no problem; each with its status."""
    found: dict[str, str] = {}
    for status, response in OPERATIONS[label]["responses"].items():
        named = re.findall(r"`(\w+)`", response["description"]) if status >= "400" else []
        found |= dict.fromkeys(named or [status], status)
    return found


def examples(label: str) -> tuple[Any, ...]:
    """The bodies that an operation's description gives as examples."""
    content = OPERATIONS[label].get("requestBody", {}).get("content", {})
    return tuple(one["value"] for media in content.values() for one in media.get("examples", {}).values())


def token_of(label: str) -> str:
    """Credentials that an operation lets pass."""
    if "ping_token" in (OPERATIONS[label].get("security") or [{}])[0]:
        return PING
    if "webhook_token" not in (OPERATIONS[label].get("security") or [{}])[0]:
        return KEYS["admin"]
    return next((token for source, token in TOKENS.items() if source in label), TOKEN)


class FoldingIntake(MemoryIntake):
    """Takes receipts and, while `world` is set, has every second of them folded at once."""

    def __init__(self) -> None:
        super().__init__()
        self.world: ReadWorld | None = None

    async def put(self, receipt: AlertReceived, shards: int) -> None:
        await super().put(receipt, shards)
        if self.world is not None and len(self.kept) % 2:
            await asyncio.to_thread(self._fold, self.world, receipt)

    def _fold(self, world: ReadWorld, receipt: AlertReceived) -> None:
        for _, part in split(ORG, receipt, 1):
            move = TrackingMove("default", "alerts", 0, world.offset, world.offset + 1)
            world.offset += 1
            world.fold.save([Arrival(decode(encode(part)), f"default/alerts/0@{world.offset}")], (move,))


@dataclass(frozen=True)
class Target:
    """An app in which something has happened, a client in its process, and its description."""

    schema: Any
    client: Any
    incidents: tuple[str, ...]
    receipts: tuple[str, ...]
    alerts: Mapping[str, str]
    cursors: tuple[str, ...]
    seen: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def count(self, label: str, response: Any) -> None:
        """Remember what came back. A problem that is not named (to HEAD, to amtool) is every one of its status."""
        said = {str(response.status_code)}
        if response.headers.get("content-type", [""])[0] == MEDIA_TYPE and response.content:
            said = {response.json()["type"].removeprefix(TYPE_BASE)}
        else:
            said = {name for name, status in documented(label).items() if status in said}
        self.seen[label].update(said)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """A request of an admin, to prepare another."""
        headers = {"Authorization": f"Bearer {KEYS['admin']}", **more.pop("headers", {})}
        response = self.client.request(method, f"http://localhost{path}", headers=headers, **more)
        assert response.status_code < 500, response.text
        return response


@contextmanager
def target(dsn: str) -> Iterator[Target]:
    """On a real database, because that is what refuses what a fake would take."""
    migrate(dsn, "streams.store", STORE_SCHEMA)
    migrate(dsn, "projections", READ_SCHEMA)
    intake = FoldingIntake()
    with capture_logs(), pytest.MonkeyPatch.context() as patch, GatewayWorld(intake) as front:
        reached = Queries.reached
        patch.setattr(Queries, "reached", lambda queries, position, _: reached(queries, position, 0.0))
        patch.setattr(elastic, "WAIT", 0.2)
        front.parts = replace(front.parts, ids=lambda: str(uuid4()), database_clock=lambda: world.now())
        world = ReadWorld(dsn, front, max_body_bytes=BODY_LIMIT)
        try:
            incidents, cursors = lived_through(world)
            alerts = {one["name"]: one["id"] for one in world.ask("/api/v1/alerts")["alerts"]}
            intake.world = world
            app: Any = front.app  # ASGI alike, but Starlette's types have other mappings
            with asgi.get_client(app, max_stream_events=1) as client:
                schema = schemathesis.openapi.from_asgi("/openapi.json", front.app)
                made = Target(schema, client, incidents, (), alerts, cursors)
                policy = OBJECTS["escalation_policies"]
                made.ask("PUT", "/api/v1/config/escalation_policies/platform-default", json=policy)
                yield replace(made, receipts=tuple(posted(made)))
        finally:
            world.let_go()


HUB, MANY, ALONE, SAME = "INC-5", "INC-6", "INC-7", "INC-9"
"""What others are merged into, what has several alerts in one group, what has one that nothing is moved from, and what
the read models, which do not follow, know as merged.
"""
NOT_TAKEN = "    - {matchers: ['kind=security'], ack: refused}\n"
"""A route whose incidents cannot be acknowledged; INC-4 is one of them."""


def lived_through(world: ReadWorld) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Let something happen; the names of incidents, and cursors of lists."""
    for name in ("Down", "Up", "Sideways"):
        world.fire(name, service="payments")
    world.advance(minutes=6)
    world.resolve("INC-2")
    world.configure(world.config.replace("  routes:\n", f"  routes:\n{NOT_TAKEN}"))
    world.fire("Breach", service="payments", kind="security")
    world.silence(minutes=1000, alertname="Quiet")
    world.fire("Quiet", service="payments")
    for name, pods in (("Hub", "1"), ("Many", "123"), ("Alone", "1"), ("Loose", "1"), ("Same", "1")):
        for pod in pods:
            world.fire(name, service="payments", pod=pod)
    world.merge(SAME, HUB)
    world.project()
    lists = ("/api/v1/incidents", "/api/v1/alerts", "/api/v1/due")
    cursors = tuple(world.ask(path, limit=1)["next_cursor"] for path in lists)
    return ("INC-1", "INC-2", "3", world.ask("/api/v1/incidents/INC-1")["id"]), cursors


def belongs(target: Target, verb: str, ref: str) -> tuple[str, dict[str, Any]]:
    """A command about what belongs to an incident, `ref` if it can be, that changes something: its ref and body."""
    match verb:
        case "merge":
            return ref, {"into": HUB}
        case "attach":
            return ref, {"alerts": [at_home(target, "Many", MANY)["id"]]}
        case "split":
            return MANY, {"alerts": [at_home(target, "Many", MANY)["id"]]}
        case "detach":
            return HUB, {"group": at_home(target, "Loose", HUB)["group"]}
    raise AssertionError(verb)


def at_home(target: Target, name: str, incident: str) -> Any:
    """The alert of this name, which belongs to that incident from now on: with its whole own, if that has no other."""
    found = target.ask("GET", f"/api/v1/alerts/{target.alerts[name]}").json()
    if target.ask("POST", f"/api/v1/incidents/{incident}/attach", json={"alerts": [found["id"]]}).status_code != 200:
        merged = target.ask("POST", f"/api/v1/incidents/{found['incident_id']}/merge", json={"into": incident})
        assert merged.status_code == 200, merged.text
    return found


def posted(made: Target) -> Iterator[str]:
    """Receipts: of one that was folded and of one that was not."""
    for name in ("Posted", "PostedAgain"):
        more = {"json": {"title": name}, "headers": {"Authorization": f"Bearer {TOKENS['generic']}"}}
        yield made.ask("POST", "/api/v1/webhooks/generic/generic", **more).json()["receipt"]
