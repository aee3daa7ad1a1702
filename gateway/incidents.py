"""Incidents over HTTP: reading them needs a viewer, acting on them a responder."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from domain import incidents
from domain.commands import PersonCommand
from domain.decision import Actor
from gateway import filters
from gateway.auth import AtLeast, Responder
from gateway.blocking import in_thread
from gateway.commands import READ_MODEL_WAIT, Origin, execute, no_incident, well_formed
from gateway.refusals import Refusal, documented, request_id_of
from gateway.state import Here
from projections.queries import DEFAULT_LIMIT, MAX_LIMIT
from schemas.api import CommandAnswer, IncidentList, IncidentView, PageView, Timeline

VERBS: Mapping[str, tuple[PersonCommand, str]] = {
    "ack": (incidents.Acknowledge(), "I have it: stop paging"),
    "unack": (incidents.Unacknowledge(), "I do not have it after all: page again"),
    "start": (incidents.Start(), "I am working on it"),
    "resolve": (incidents.Resolve(), "It is over"),
    "reopen": (incidents.Reopen(), "It is not over"),
}

READS = documented("unauthenticated", "forbidden", "bad_request_fields", "unavailable", "read_model_behind")
READS_ONE = {**READS, **documented("not_found")}
COMMANDS = documented(
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "incident_resolved",
    "bad_request_fields",
    "unavailable",
    "read_model_behind",
)
ETAG = {"headers": {"ETag": {"description": "the incident's version", "schema": {"type": "string"}}}}

Position = Annotated[
    int | None,
    Query(ge=0, lt=2**63, description="answer from a read model that holds this position; waits up to 1 s"),
]
Words = Annotated[list[str], Query(max_length=20, description="repeat it, or separate words by commas")]
Name = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]
Cursor = Annotated[
    str | None, Query(max_length=500, pattern=r"^[^\x00]*$", description="`next_cursor` of the page before")
]


@in_thread
def caught_up(here: Here, min_position: Position = None) -> None:
    """Wait for the read models to hold `min_position`. Raises Refusal (503) after a second."""
    if min_position is not None and not here.parts.queries.reached(min_position, READ_MODEL_WAIT):
        raise Refusal("read_model_behind", f"The read model does not hold position {min_position} yet.")


async def reference(
    ref: Annotated[str, Path(description="INC-7, 7, or the incident's uuid", examples=["INC-7"])],
) -> str:
    """The incident that a path names. Raises Refusal (404) for what cannot be a name."""
    if not well_formed(ref):
        raise no_incident(ref)
    return ref


Ref = Annotated[str, Depends(reference)]


def router() -> APIRouter:
    """Every route about incidents."""
    made = APIRouter(prefix="/api/v1/incidents", tags=["incidents"])
    reads = [Depends(AtLeast("viewer")), Depends(caught_up)]
    made.get("", summary="Incidents, newest first", dependencies=reads, responses=READS)(list_incidents)
    one = {200: ETAG, **READS_ONE}
    made.get("/{ref}", summary="One incident", dependencies=reads, responses=one)(show_incident)
    made.get("/{ref}/timeline", summary="What happened", dependencies=reads, responses=READS_ONE)(show_timeline)
    made.get("/{ref}/pages", summary="Who was told", dependencies=reads, responses=READS_ONE)(show_pages)
    for verb, (command, summary) in VERBS.items():
        made.post(f"/{{ref}}/{verb}", summary=summary, responses=COMMANDS)(_commander(verb, command))
    return made


@in_thread
def list_incidents(
    here: Here,
    status: Words = [],  # noqa: B006 - FastAPI copies it
    severity: Words = [],  # noqa: B006
    service: Name = None,
    team: Name = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> IncidentList:
    """Incidents that are as asked in every respect; aliases of statuses and severities are understood."""
    wanted = filters.statuses(status), filters.severities(severity)
    return here.parts.queries.incidents(*wanted, service, team, limit, cursor)


@in_thread
def show_incident(here: Here, ref: Ref, response: Response) -> IncidentView:
    """The incident as the read model has it; its ETag is its version."""
    view = here.parts.queries.incident(ref)
    if view is None:
        raise no_incident(ref)
    response.headers["ETag"] = f'"{view.version}"'
    return view


@in_thread
def show_timeline(here: Here, ref: Ref) -> Timeline:
    """Everything that happened to the incident, oldest first."""
    timeline = here.parts.queries.timeline(ref)
    if timeline is None:
        raise no_incident(ref)
    return timeline


@in_thread
def show_pages(here: Here, ref: Ref) -> tuple[PageView, ...]:
    """Who was told about the incident, or was to be told, in order."""
    if here.parts.queries.incident(ref) is None:
        raise no_incident(ref)
    return here.parts.queries.pages(ref)


def _commander(verb: str, command: PersonCommand) -> Callable[..., Awaitable[CommandAnswer]]:
    @in_thread
    def act(
        request: Request,
        here: Here,
        key: Responder,
        ref: Ref,
        x_tocsin_origin: Annotated[Literal["api", "cli"], Header(description="which door")] = "api",
    ) -> CommandAnswer:
        """Does nothing, and says so, when the incident already is as asked."""
        origin = Origin(x_tocsin_origin, request_id_of(request))
        return execute(here.parts, Actor("user", key.user or key.id), origin, ref, command)

    act.__name__ = f"{verb}_incident"
    return act
