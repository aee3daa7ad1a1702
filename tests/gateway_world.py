"""The gateway on the world in memory: the real app and deciders, intake and read models in memory, spoken to over HTTP.

What the gateway takes is folded by `arrive`, so that a test can post a webhook and acknowledge what came of it.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any, Self

import httpx

from domain.decision import Actor
from domain.incidents import Acknowledged, Incident, Opened, Resolved
from gateway.app import Parts, build
from gateway.intake import IntakeUnavailable, ReceiptTooLarge
from projections.queries import BadCursor
from schemas.api import IncidentList, IncidentView, PageView, Timeline, TimelineEntry
from schemas.received import AlertReceived, decode, encode, split
from schemas.settings import Settings
from streams.fold import Arrival
from streams.store.base import TrackingMove, Unavailable
from tests.memory_world import ORG, MemoryWorld
from tests.world import CONFIG

TOKEN = "webhook-token"
KEYS = {"viewer": "viewer-key", "responder": "responder-key", "admin": "admin-key"}


def hashed(token: str) -> str:
    return f"sha256:{sha256(token.encode()).hexdigest()}"


SECURED = CONFIG.replace(
    "{source: alertmanager}", f'{{source: alertmanager, shards: 4, token_hashes: ["{hashed(TOKEN)}"]}}'
) + "\n".join(
    [
        "api_keys:",
        f'  reading: {{role: viewer, hash: "{hashed(KEYS["viewer"])}"}}',
        f'  adas: {{role: responder, hash: "{hashed(KEYS["responder"])}", user: ada}}',
        f'  root: {{role: admin, hash: "{hashed(KEYS["admin"])}"}}',
    ]
)


class MemoryIntake:
    """See `gateway.intake.Intake`. `fails` is raised by the next calls; `largest` is the most bytes of one record."""

    def __init__(self, largest: int = 16 * 1024 * 1024) -> None:
        self.kept: list[tuple[bytes, AlertReceived]] = []
        self.fails: Exception | None = None
        self.largest = largest

    async def start(self) -> None:
        """Nothing to connect."""

    async def put(self, receipt: AlertReceived, shards: int) -> None:
        if self.fails:
            raise self.fails
        records = [(key, encode(part)) for key, part in split(ORG, receipt, shards)]
        if any(len(value) > self.largest for _, value in records):
            raise ReceiptTooLarge("a record is larger than this takes")
        self.kept += [(key, decode(value)) for key, value in records]

    async def check(self) -> None:
        if isinstance(self.fails, IntakeUnavailable):
            raise self.fails

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryQueries:
    """The questions of `projections.queries.Queries`, answered from the store. `behind` holds events back."""

    def __init__(self, world: MemoryWorld) -> None:
        self._world = world
        self.behind = 0
        self.down = False
        self.hangs = 0.0

    def _views(self) -> list[IncidentView]:
        self.ping()
        opened = [e for e in self._world.store.tail(0, self.position()) if isinstance(e.event, Opened)]
        return [self._view(event.stream, event.event) for event in reversed(opened) if isinstance(event.event, Opened)]

    def _view(self, stream: str, opened: Opened) -> IncidentView:
        state = self._world.store.load([stream])[stream].state
        assert isinstance(state, Incident)
        history = self._world.store.history(stream)
        acked = next((e for e in history if isinstance(e.event, Acknowledged)), None)
        resolved = next((e for e in history if isinstance(e.event, Resolved)), None)
        return IncidentView(
            id=stream.removeprefix("incident-"),
            name=state.name,
            number=state.number,
            title=state.title,
            status=state.status.value,
            severity=state.severity.value,
            service=state.service,
            team=state.team,
            policy=state.policy,
            started_at=opened.started_at,
            opened_at=opened.opened_at,
            acknowledged_at=acked.decision.decided_at if acked else None,
            acknowledged_by=_who(acked.decision.cause.actor) if acked else None,
            resolved_at=resolved.decision.decided_at if resolved else None,
            version=len(history),
            position=history[-1].position,
        )

    def incidents(
        self,
        status: tuple[str, ...] = (),
        severity: tuple[str, ...] = (),
        service: str | None = None,
        team: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> IncidentList:
        if cursor is not None and not cursor.isdecimal():
            raise BadCursor(cursor)
        found = [
            view
            for view in self._views()
            if (not status or view.status in status)
            and (not severity or view.severity in severity)
            and service in (None, view.service)
            and team in (None, view.team)
            and (cursor is None or view.number < int(cursor))
        ]
        more = str(found[limit - 1].number) if len(found) > limit else None
        return IncidentList(incidents=tuple(found[:limit]), next_cursor=more)

    def incident(self, ref: str) -> IncidentView | None:
        wanted = ref.lower().removeprefix("inc-").removeprefix("incident-")
        return next((view for view in self._views() if wanted in (str(view.number), view.id)), None)

    def timeline(self, ref: str) -> Timeline | None:
        view = self.incident(ref)
        if view is None:
            return None
        entries = tuple(
            TimelineEntry(
                position=event.position,
                at=event.decision.decided_at,
                type=event.type,
                text=event.type,
                actor=_who(event.decision.cause.actor),
                origin=event.decision.cause.origin,
                correlation_id=event.decision.cause.correlation_id,
            )
            for event in self._world.store.history(f"incident-{view.id}")
        )
        return Timeline(incident=view, entries=entries)

    def pages(self, ref: str) -> tuple[PageView, ...]:
        return ()

    def position(self) -> int:
        self.ping()
        return self._world.store.head() - self.behind

    def reached(self, position: int, timeout: float) -> bool:
        return self.position() >= position

    def ping(self) -> None:
        time.sleep(self.hangs)
        if self.down:
            raise Unavailable("Postgres does not answer")

    def close(self) -> None:
        """Nothing to let go of."""


def _who(actor: Actor) -> str:
    return f"{actor.kind}:{actor.id}"


class GatewayWorld(MemoryWorld):
    """A world with a gateway before it. Requests are made one at a time, from outside the app's event loop."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(config=SECURED)
        self.intake = MemoryIntake()
        self.queries = MemoryQueries(self)
        self.skew = timedelta()
        self._ids = itertools.count(1)
        self.parts = Parts(
            settings=Settings(**settings),
            store=self.store,
            queries=self.queries,  # type: ignore[arg-type]
            intake=self.intake,
            clock=self.now,
            ids=lambda: f"id-{next(self._ids):06}",
            salt=lambda: b"s" * 16,
            database_clock=lambda: self.now() + self.skew,
            wall=self.now,
        )
        self.app = build(self.parts)
        self._runner = asyncio.Runner()
        self._folded = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.close()

    def request(
        self, method: str, path: str, token: str | None = None, peer: str = "127.0.0.1", **more: Any
    ) -> httpx.Response:
        """One request; `token` is a bearer token, `peer` the address it comes from."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **more.pop("headers", {})}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(peer, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
                return await client.request(method, path, headers=headers, **more)

        return self._runner.run(ask())

    def run(self, work: Callable[[], Any]) -> Any:
        """Run a coroutine function in the app's event loop."""
        return self._runner.run(work())

    def webhook(
        self, body: dict[str, Any] | list[Any] | bytes, token: str | None = TOKEN, **more: Any
    ) -> httpx.Response:
        """Alertmanager posts."""
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.request("POST", "/api/v1/webhooks/alertmanager", token, **sent, **more)

    def ask(self, path: str, role: str = "viewer", **more: Any) -> httpx.Response:
        """Somebody reads."""
        return self.request("GET", path, KEYS[role], **more)

    def tell(self, ref: str, verb: str, role: str = "responder", **more: Any) -> httpx.Response:
        """Somebody acts on an incident."""
        return self.request("POST", f"/api/v1/incidents/{ref}/{verb}", KEYS[role], **more)

    def arrive(self) -> None:
        """What the gateway took reaches the fold, and the pager works."""
        for _, record in self.intake.kept[self._folded :]:
            move = TrackingMove("default", "alerts", 0, self.offset, self.offset + 1)
            self.offset += 1
            self.fold.save([Arrival(record, f"default/alerts/0@{self.offset}")], (move,))
        self._folded = len(self.intake.kept)
        self.settle()
