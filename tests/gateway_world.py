"""The gateway on the world in memory: the real app and deciders, intake and read models in memory, spoken to over HTTP.

What the gateway takes is folded by `arrive`, so that a test can post a webhook and acknowledge what came of it.
"""

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Self

import httpx

from domain.config import Config
from domain.decision import Actor
from domain.incidents import Acknowledged, Incident, Opened, Resolved
from gateway.app import Parts, build
from gateway.intake import IntakeUnavailable, ReceiptTooLarge
from projections.critical_queries import CriticalAlerts
from projections.lag import Marks
from projections.queries import ANY_INCIDENT, AlertFilter, BadCursor, IncidentFilter
from projections.receipt_queries import InboxTrace, ReceiptTrace
from projections.references import Key
from schemas.api import IncidentList, IncidentView, PageView, Timeline, TimelineEntry
from schemas.api_reads import AlertList, By, DeliveryView, DueList, ResponseMetrics, ResponseTimes, Spread
from schemas.received import AlertReceived, decode, encode, split
from schemas.settings import Settings
from streams.fold import Arrival
from streams.offsets import EndOffsets
from streams.store.base import TrackingMove, Unavailable
from streams.store.outages import TELL_WITHIN, Ended
from tests.memory_world import ORG, MemoryWorld
from tests.world import CONFIG

TOKEN = "webhook-token"
TOKENS = {"elastic": "elastic-token", "generic": "generic-token", "checks": "checks-token"}
PING = "ping-token"
KEYS = {"viewer": "viewer-key", "responder": "responder-key", "admin": "admin-key"}


def hashed(token: str) -> str:
    return f"sha256:{sha256(token.encode()).hexdigest()}"


MAPPING = (
    "{fingerprint: check.id, status: check.state, title: check.name, status_values: {RED: firing, GREEN: resolved}}"
)
SECURED = CONFIG.replace(
    "{source: alertmanager,", f'{{source: alertmanager, shards: 4, token_hashes: ["{hashed(TOKEN)}"],'
) + "\n".join(
    [
        *(f'  {name}: {{source: {name}, token_hashes: ["{hashed(TOKENS[name])}"]}}' for name in ("elastic", "generic")),
        f'  checks: {{source: generic, token_hashes: ["{hashed(TOKENS["checks"])}"], mapping: {MAPPING}}}',
        "heartbeats:",
        f'  backup: {{interval: 1h, service: payments, token_hashes: ["{hashed(PING)}"]}}',
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

    @property
    def acknowledged(self) -> Mapping[int, int]:
        return {0: len(self.kept) - 1} if self.kept else {}

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
        self.inbox: dict[str, tuple[InboxTrace, ...]] = {}

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
            merged_into=f"INC-{state.into_number}" if state.into else None,
            merged_into_id=state.into.removeprefix("incident-") if state.into else None,
            version=len(history),
            position=history[-1].position,
        )

    def incidents(
        self, wanted: IncidentFilter = ANY_INCIDENT, limit: int = 50, cursor: str | None = None
    ) -> IncidentList:
        if cursor is not None and not cursor.isdecimal():
            raise BadCursor(cursor)
        found = [
            view
            for view in self._views()
            if (not wanted.status or view.status in wanted.status)
            and (not wanted.severity or view.severity in wanted.severity)
            and (not wanted.service or view.service in wanted.service)
            and (not wanted.team or view.team in wanted.team)
            and (cursor is None or view.number < int(cursor))
        ]
        more = str(found[limit - 1].number) if len(found) > limit else None
        return IncidentList(incidents=tuple(found[:limit]), next_cursor=more)

    def incident(self, ref: str) -> IncidentView | None:
        wanted = ref.lower().removeprefix("inc-").removeprefix("incident-")
        return next((view for view in self._views() if wanted in (str(view.number), view.id)), None)

    def timeline(self, ref: str, limit: int = 1_000, cursor: str | None = None) -> Timeline | None:
        if cursor is not None:
            raise BadCursor(cursor)
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
        more = "more" if len(entries) > limit else None
        return Timeline(incident=view, entries=entries[-limit:], next_cursor=more)

    def pages(self, ref: str) -> tuple[PageView, ...]:
        return ()

    def deliveries(self, ref: str) -> tuple[DeliveryView, ...]:
        return ()

    def alerts(self, wanted: AlertFilter, limit: int = 50, cursor: str | None = None) -> AlertList:
        if cursor is not None:
            raise BadCursor(cursor)
        return AlertList(alerts=())

    def critical_alerts(self) -> CriticalAlerts:
        self.ping()
        return CriticalAlerts((), True)

    def due(
        self, config: Config, kinds: tuple[str, ...], incident: Key | None, limit: int, cursor: str | None
    ) -> DueList:
        if cursor is not None:
            raise BadCursor(cursor)
        return DueList(due=())

    def response(self, by: By, since: datetime, until: datetime) -> ResponseMetrics:
        none = {name: Spread() for name in ("detect", "acknowledge", "acknowledge_after_page", "resolve")}
        return ResponseMetrics(by=by, since=since, until=until, overall=ResponseTimes(**none), groups=())

    def receipt(self, receipt: str) -> ReceiptTrace:
        self.ping()
        told = {
            event.position: f"INC-{state.number}"
            for event in self._world.store.tail(0, self.position())
            if event.type.startswith("group.alert_") and event.decision.cause.correlation_id == receipt
            for incident in filter(None, [getattr(event.event, "incident", "")])
            for state in [self._world.store.load([incident])[incident].state]
            if isinstance(state, Incident)
        }
        return ReceiptTrace(told, self.inbox.get(receipt, ()))

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


class MemoryLags:
    """See `projections.lag.LagReader`. `more` replaces fields of what is seen."""

    def __init__(self, world: "GatewayWorld") -> None:
        self._world = world
        self.more: dict[str, Any] = {}

    def look(self, now: datetime) -> Marks:
        reached = self._world.queries.position()
        head = self._world.store.head()
        return replace(Marks(head, {"projector": reached, "relay": head}, {0: self._world.offset}), **self.more)


class MemoryOutages:
    """See `streams.store.outages.Outages`; two watchdogs may share one. `down` makes it not answer."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.open: dict[str, Ended] = {}
        self.ending: dict[str, tuple[Ended, float]] = {}
        self.down = False
        self._now = now

    def begin(self, roles: Collection[str], at: datetime) -> frozenset[str]:
        self._ask()
        new = frozenset(role for role in roles if role not in self.open or not self.open[role].told)
        self.open |= {role: Ended(role, at, told=False) for role in new}
        return new

    def told(self, roles: Collection[str]) -> None:
        self._ask()
        self.open |= {role: replace(self.open[role], told=True) for role in roles}

    def end(self, roles: Collection[str], at: datetime) -> tuple[Ended, ...]:
        self._ask()
        over = {role: (self.open.pop(role), -math.inf) for role in roles if role in self.open}
        waiting = {role: self.ending[role] for role in roles if role in self.ending} | over
        free = {role for role, (_, claimed) in waiting.items() if self._now() - claimed > TELL_WITHIN}
        self.ending |= {role: (waiting[role][0], self._now()) for role in free}
        return tuple(replace(ended, ours=role in free) for role, (ended, _) in waiting.items())

    def end_told(self, roles: Collection[str]) -> None:
        self._ask()
        for role in roles:
            self.ending.pop(role, None)

    def _ask(self) -> None:
        if self.down:
            raise Unavailable("Postgres does not answer")


def _who(actor: Actor) -> str:
    return f"{actor.kind}:{actor.id}"


class GatewayWorld(MemoryWorld):
    """A world with a gateway before it. Requests are made one at a time, from outside the app's event loop."""

    def __init__(self, intake: MemoryIntake | None = None, **settings: Any) -> None:
        super().__init__(config=SECURED)
        self.intake = intake or MemoryIntake()
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
            lags=MemoryLags(self),
            ends=EndOffsets(Settings(**settings), self.now),
            outages=MemoryOutages(),  # type: ignore[arg-type]
            channels={"email": self.channel},
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
