"""Heartbeats over HTTP: pings of whoever has to be heard of, and how they stand, for viewers.

A ping is one statement in Postgres: it takes neither Kafka nor a decision. That a heartbeat is missed, or heard of
again, is decided by the pager (`streams/heartbeating.py`).
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.alerts import AlertRow, AlertStatus
from domain.heartbeating import alert_of
from domain.heartbeats import Gap, Heartbeat, Ping, missed_at
from gateway.auth import Guard, Viewer
from gateway.blocking import in_thread
from gateway.refusals import Refusal, documented
from gateway.state import Here
from schemas.api_heartbeats import HeartbeatList, HeartbeatView, PingAnswer

_BEARER = HTTPBearer(scheme_name="ping_token", description="A token of one heartbeat.", auto_error=False)
InUrl = Annotated[
    str | None,
    Query(description="the token, for tools that know nothing but a URL; others have logs that URLs end up in"),
]


class PingToken(Guard):
    """Lets a heartbeat pass that presents a token of its own. An unknown name and a wrong token look the same."""

    async def __call__(
        self,
        here: Here,
        heartbeat: Annotated[str, Path(description="its name", examples=["backup"])],
        presented: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
        token: InUrl = None,
    ) -> Heartbeat:
        """The heartbeat that pings. Raises Refusal (401)."""
        keyring = await here.configured.keyring()
        found = keyring.heartbeat(presented.credentials if presented else token or "")
        if found is None or found.id != heartbeat:
            raise Refusal("unauthenticated", "This is not the name of a heartbeat with a token of its own.")
        return found


def router() -> APIRouter:
    """Every route about heartbeats."""
    made = APIRouter(prefix="/api/v1/heartbeats", tags=["heartbeats"])
    refusals = documented("unauthenticated", "unavailable")
    for method in ("GET", "POST"):
        made.add_api_route(
            "/{heartbeat}/ping",
            ping,
            methods=[method],
            summary="Say that it lives",
            responses=refusals,
            operation_id=f"ping_{method.lower()}",
        )
    made.get("", summary="Heartbeats", responses=refusals)(list_all)
    return made


@in_thread
def ping(here: Here, response: Response, known: Annotated[Heartbeat, Depends(PingToken())]) -> PingAnswer:
    """Heard, and remembered by the database: 200. A body is ignored.

    When Postgres does not answer it is 503, and the ping counts as not sent: try again within the grace.
    """
    at = here.parts.clock()
    here.parts.store.ping(known.id, at)
    response.headers["Cache-Control"] = "no-store"
    return PingAnswer(heartbeat=known.id, at=at, missed_at=at + known.patience)


@in_thread
def list_all(here: Here, _: Viewer) -> HeartbeatList:
    """Every heartbeat by name, and how it stands."""
    parts = here.parts
    store, org = parts.store, parts.settings.org
    heartbeats = store.config().heartbeats
    pings, gaps = store.pings(heartbeats), store.listening().gaps
    rows = store.alerts([alert_of(org, name) for name in heartbeats])
    views = [
        _view(heartbeat, pings.get(name), gaps, rows.get(alert_of(org, name)), alert_of(org, name))
        for name, heartbeat in sorted(heartbeats.items())
    ]
    return HeartbeatList(heartbeats=tuple(views))


def _view(
    heartbeat: Heartbeat, ping: Ping | None, gaps: tuple[Gap, ...], row: AlertRow | None, alert: str
) -> HeartbeatView:
    missed = row is not None and row.status is AlertStatus.FIRING
    return HeartbeatView(
        name=heartbeat.id,
        state="missed" if missed else "heard" if ping and ping.at else "waiting",
        interval=heartbeat.interval,
        grace=heartbeat.grace,
        service=heartbeat.service,
        team=heartbeat.team,
        severity=heartbeat.severity.value,
        armed=heartbeat.armed,
        last_ping=ping.at if ping else None,
        missed_at=missed_at(heartbeat, ping, gaps) if ping else None,
        alert=alert,
    )
