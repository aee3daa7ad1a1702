"""What people ask of incidents over HTTP. A responder may; `commands.execute` decides.

Every command takes an `Idempotency-Key` (asked twice within 24 hours, it is decided once) and `If-Match` (decided only
if the incident is still as its sender saw it).
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel

from domain import incidents, merging
from domain.commands import Create, Note, PersonCommand, Words
from domain.decision import Actor
from domain.severity import Severity
from gateway import examples, filters
from gateway.asking import Ref
from gateway.auth import Responder
from gateway.blocking import in_thread
from gateway.bodies import read_body, read_json_body, validated
from gateway.commands import Origin, execute
from gateway.once import IdempotencyKey, once_of
from gateway.parts import Parts
from gateway.refusals import Refusal, documented, request_id_of
from gateway.state import Here
from schemas.api import (
    AssignRequest,
    AttachRequest,
    CommandAnswer,
    CommentRequest,
    CreateRequest,
    DetachRequest,
    MergeRequest,
    SeverityRequest,
    SplitRequest,
)
from schemas.problems import ProblemName

CREATES: tuple[ProblemName, ...] = (
    "unauthenticated",
    "forbidden",
    "conflict",
    "body_too_large",
    "unsupported_media_type",
    "bad_request_fields",
    "idempotency_key_reused",
    "unavailable",
)
COMMANDS: tuple[ProblemName, ...] = (
    *CREATES,
    "not_found",
    "precondition_failed",
    "read_model_behind",
)
ETAG = {"headers": {"ETag": {"description": "the incident's version afterwards", "schema": {"type": "string"}}}}

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


@dataclass(frozen=True, slots=True)
class Verb:
    """A command of the API: what it says, the body it takes if any, and what of that is asked of the incident.

    `always` says that a resolved incident does not refuse it, `anywhere` that none does, `takes` that it takes the
    incident, which some refuse, `moves` that it leaves the incident, or another, without some of its alerts.
    """

    summary: str
    command: Callable[[Any, Parts], PersonCommand]
    body: type[BaseModel] | None = None
    always: bool = False
    anywhere: bool = False
    takes: bool = False
    moves: bool = False


def _create(body: CreateRequest, parts: Parts) -> PersonCommand:
    title = Words(body.title, parts.salt())
    return Create(title, _severity(body.severity), body.service, body.team, body.policy)


def _severity(word: str) -> Severity:
    found = filters.severities([word])
    if len(found) != 1:
        raise Refusal("bad_request_fields", "severity: one word is wanted.", field="severity")
    return Severity(found[0])


def _group(uuid: str) -> str:
    return f"group-{uuid}"


def _attach(body: AttachRequest, _: Parts) -> PersonCommand:
    return merging.Attach(_group(body.group) if body.group else None, body.alerts)


CREATE = Verb("Open an incident that no alert reports", _create, CreateRequest)
VERBS: Mapping[str, Verb] = {
    "ack": Verb("I have it: stop paging", lambda *_: incidents.Acknowledge(), takes=True),
    "unack": Verb("I do not have it after all: page again", lambda *_: incidents.Unacknowledge()),
    "start": Verb("I am working on it", lambda *_: incidents.Start(), takes=True),
    "resolve": Verb("It is over", lambda *_: incidents.Resolve(), always=True),
    "reopen": Verb("It is not over", lambda *_: incidents.Reopen(), always=True),
    "assign": Verb("Give it to these users", lambda body, _: incidents.Assign(body.users), AssignRequest),
    "severity": Verb(
        "It is more or less severe", lambda body, _: incidents.SetSeverity(_severity(body.severity)), SeverityRequest
    ),
    "merge": Verb(
        "It is the same as another incident", lambda body, _: merging.Merge(body.into), MergeRequest, takes=True
    ),
    "unmerge": Verb("It is not the same after all", lambda *_: merging.Unmerge()),
    "split": Verb(
        "Some of its alerts are something else", lambda body, _: merging.Split(body.alerts), SplitRequest, moves=True
    ),
    "attach": Verb("Alerts of another incident belong to it", _attach, AttachRequest, takes=True, moves=True),
    "detach": Verb(
        "An alert group does not belong to it",
        lambda body, _: merging.Detach(_group(body.group)),
        DetachRequest,
        moves=True,
    ),
    "comment": Verb(
        "Write this down",
        lambda body, parts: Note(Words(body.text, parts.salt())),
        CommentRequest,
        always=True,
        anywhere=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it came: who asks, how, and what."""

    actor: Actor
    origin: Origin
    command: PersonCommand


def router() -> APIRouter:
    """Every route that changes an incident."""
    made = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])
    opened = {"description": "It is open, and somebody is paged", **ETAG}
    created = {201: opened, **documented(*CREATES, "bad_json")}
    takes = _takes("create", CREATE)
    made.post("", summary=CREATE.summary, status_code=201, responses=created, openapi_extra=takes)(_creator())
    for name, verb in VERBS.items():
        responses, takes = {200: ETAG, **_refusals(verb)}, _takes(name, verb)
        made.post(f"/{{ref}}/{name}", summary=verb.summary, responses=responses, openapi_extra=takes)(
            _commander(name, verb)
        )
    return made


def _refusals(verb: Verb) -> dict[int | str, dict[str, Any]]:
    resolved: tuple[ProblemName, ...] = () if verb.always else ("incident_resolved",)
    merged: tuple[ProblemName, ...] = () if verb.anywhere else ("incident_merged",)
    unread: tuple[ProblemName, ...] = ("bad_json",) if verb.body else ()
    taking: tuple[ProblemName, ...] = ("ack_not_allowed",) if verb.takes else ()
    moving: tuple[ProblemName, ...] = ("nothing_left",) if verb.moves else ()
    return documented(*COMMANDS, *resolved, *merged, *taking, *moving, *unread)


def _takes(name: str, verb: Verb) -> dict[str, Any]:
    if verb.body is None:
        return {}
    return examples.json_body(verb.body.model_json_schema(), **{name: examples.COMMANDS[name]})


def _asker(verb: Verb) -> Callable[..., Awaitable[Asked]]:
    """The dependency that reads a command, once the key is known."""

    async def asked(
        request: Request,
        here: Here,
        key: Responder,
        idempotency_key: IdempotencyKey = None,
        if_match: Annotated[
            str | None, Header(max_length=1000, description="ETags: only if the incident is still at one of them")
        ] = None,
        x_tocsin_origin: Annotated[Literal["api", "cli"], Header(description="which door")] = "api",
    ) -> Asked:
        limit = here.parts.settings.max_body_bytes
        raw = await (read_json_body(request, limit) if verb.body else read_body(request, limit))
        once = once_of(request, raw, key, idempotency_key)
        origin = Origin(x_tocsin_origin, request_id_of(request), once, versions_of(if_match))
        body = validated(verb.body, raw) if verb.body else None
        return Asked(Actor("user", key.user or key.id), origin, verb.command(body, here.parts))

    return asked


def versions_of(if_match: str | None) -> frozenset[int] | None:
    """The versions that an If-Match header names, None for any (absent, or `*`). Weak tags match nothing (RFC 9110).

    Raises Refusal (422) for what is no list of entity tags.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [_TAG.fullmatch(tag.strip()) for tag in if_match.split(",")]
    if None in tags:
        remedy = 'Send the ETag of GET as it came, e.g. If-Match: "4".'
        raise Refusal("bad_request_fields", "If-Match holds no entity tags.", field="If-Match", remedy=remedy)
    strong = {tag[2] for tag in tags if tag and not tag[1]}
    return frozenset(int(tag) for tag in strong if re.fullmatch("[0-9]{1,18}", tag))


def _commander(name: str, verb: Verb) -> Callable[..., Awaitable[CommandAnswer]]:
    @in_thread
    def act(here: Here, asked: Annotated[Asked, Depends(_asker(verb))], ref: Ref, response: Response) -> CommandAnswer:
        """Does nothing, and says so, when the incident already is as asked."""
        answer = execute(here.parts, asked.actor, asked.origin, ref, asked.command)
        response.headers["ETag"] = f'"{answer.version}"'
        return answer

    act.__name__ = f"{name}_incident"
    return act


def _creator() -> Callable[..., Awaitable[CommandAnswer]]:
    @in_thread
    def create_incident(
        here: Here, asked: Annotated[Asked, Depends(_asker(CREATE))], response: Response
    ) -> CommandAnswer:
        """Its escalation begins at once. The title can be erased; names of services, teams and policies stay."""
        answer = execute(here.parts, asked.actor, asked.origin, None, asked.command)
        response.headers["ETag"] = f'"{answer.version}"'
        response.headers["Location"] = f"/api/v1/incidents/{answer.id}"
        return answer

    return create_incident
