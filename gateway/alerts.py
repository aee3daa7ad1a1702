"""One alert over HTTP: what is known of it, for viewers, and what responders say of it. `alert_commands` decides."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from domain import groups
from domain.alert_commands import AcknowledgeAlert, AlertCommand, CloseAlert, UnacknowledgeAlert
from domain.decision import Actor
from domain.suppression import Suppression
from gateway.acting import versions_of
from gateway.alert_commands import alert_uuid, execute, no_alert
from gateway.asking import READS_ONE, viewers
from gateway.auth import Responder
from gateway.blocking import in_thread
from gateway.bodies import read_body
from gateway.commands import Origin
from gateway.once import IdempotencyKey, once_of
from gateway.refusals import documented, request_id_of
from gateway.state import Here
from schemas.api_alerts import AlertAnswer, AlertDetail, SuppressedUntil
from schemas.problems import ProblemName
from streams.store.base import Store

COMMANDS: tuple[ProblemName, ...] = (
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "precondition_failed",
    "body_too_large",
    "unsupported_media_type",
    "bad_request_fields",
    "idempotency_key_reused",
    "unavailable",
)
ETAG = {"headers": {"ETag": {"description": "the alert's version", "schema": {"type": "string"}}}}


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: what it says, what is asked of the alert, and which refusals of the rules it may meet."""

    summary: str
    command: AlertCommand
    refusals: tuple[ProblemName, ...] = ()


VERBS: Mapping[str, Verb] = {
    "ack": Verb(
        "I have this alert",
        AcknowledgeAlert(),
        ("alert_resolved", "alert_suppressed", "incident_resolved", "ack_not_allowed"),
    ),
    "unack": Verb("I do not have this alert after all", UnacknowledgeAlert(), ("alert_resolved",)),
    "resolve": Verb("This alert is over", CloseAlert()),
}


async def reference(alert: Annotated[str, Path(description="the alert's uuid")]) -> str:
    """The alert that a path names. Raises Refusal (404) for what cannot be one."""
    return alert_uuid(alert)


Ref = Annotated[str, Depends(reference)]
Match = Annotated[str | None, Header(max_length=1000, description="ETags: only if the alert is still at one of them")]
Door = Annotated[Literal["api", "cli"], Header(description="which door")]


def router() -> APIRouter:
    """Every route of one alert."""
    made = APIRouter(prefix="/api/v1/alerts/{alert}", tags=["alerts"])
    shown = {200: ETAG, **READS_ONE}
    made.get("", summary="One alert", responses=shown, dependencies=viewers())(show_alert)
    for name, verb in VERBS.items():
        responses = {200: ETAG, **documented(*COMMANDS, *verb.refusals)}
        made.post(f"/{name}", summary=verb.summary, responses=responses)(_commander(name, verb))
    return made


@in_thread
def show_alert(here: Here, alert: Ref, response: Response) -> AlertDetail:
    """Its texts, where it belongs, why nothing is said of it if so, and what happened to it."""
    parts = here.parts
    view = parts.queries.alert(alert, parts.store.config())
    if view is None:
        raise no_alert(alert)
    response.headers["ETag"] = f'"{view.version}"'
    stream = f"group-{view.group}"
    group = parts.store.load([stream])[stream].state if view.group else None
    return _placed(parts.store, view, group) if isinstance(group, groups.Group) else view


def _placed(store: Store, view: AlertDetail, group: groups.Group) -> AlertDetail:
    """With what only the alert's group knows."""
    why = group.suppressed.get(view.id)
    quiet = _quiet(store, view, why) if why else None
    known = {"group_key": group.key, "group_firing": len(group.firing), "suppressed": quiet}
    return view.model_copy(update=known)


def _quiet(store: Store, view: AlertDetail, why: Suppression) -> SuppressedUntil:
    """Why nothing is said of it, by which version of the rule: that is in the decision, which its history points at."""
    said = (entry.position for entry in reversed(view.history) if entry.type == groups.AlertSuppressed.type)
    recorded = next((event for position in said for event in store.tail(position - 1, 1)), None)
    revision = None
    if recorded and isinstance(recorded.event, groups.AlertSuppressed) and _of(recorded.event) == why:
        revision = recorded.decision.config_revision
    return SuppressedUntil(reason=why.reason, rule=why.rule, until=why.until, by=why.by, revision=revision)


def _of(event: groups.AlertSuppressed) -> Suppression:
    """What an event says: one that says something else than the group knows is older, the history is behind."""
    return Suppression(event.reason, event.rule, event.until, event.by, event.by_group)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, and how."""

    actor: Actor
    origin: Origin


async def asked(
    request: Request,
    here: Here,
    key: Responder,
    idempotency_key: IdempotencyKey = None,
    if_match: Match = None,
    x_tocsin_origin: Door = "api",
) -> Asked:
    """The request, read once the key is known; a body says nothing. Raises Refusal (413, 422)."""
    raw = await read_body(request, here.parts.settings.max_body_bytes)
    once = once_of(request, raw, key, idempotency_key)
    origin = Origin(x_tocsin_origin, request_id_of(request), once, versions_of(if_match))
    return Asked(Actor("user", key.user or key.id), origin)


def _commander(name: str, verb: Verb) -> Callable[..., Awaitable[AlertAnswer]]:
    @in_thread
    def act(here: Here, asked: Annotated[Asked, Depends(asked)], alert: Ref, response: Response) -> AlertAnswer:
        """Does nothing, and says so, when the alert already is as asked."""
        answer = execute(here.parts, asked.actor, asked.origin, alert, verb.command)
        response.headers["ETag"] = f'"{answer.version}"'
        return answer

    act.__name__ = f"{name}_alert"
    return act
