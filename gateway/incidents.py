"""Incidents over HTTP, for viewers to read. What people do to them is in `acting`."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from gateway import filters
from gateway.asking import READS, READS_ONE, Cursor, Limit, Moment, Ref, Words, viewers
from gateway.blocking import in_thread
from gateway.commands import known
from gateway.refusals import Refusal
from gateway.state import Here
from projections.queries import DEFAULT_LIMIT, AlertFilter, IncidentFilter
from projections.references import incident_key
from schemas.api import MAX_ENTRIES, IncidentList, IncidentView, LinkView, MergedAnswer, PageView, Timeline
from schemas.api_reads import AlertList, DeliveryView

HEADERS = {
    "headers": {
        "ETag": {"description": "the incident's version", "schema": {"type": "string"}},
        "Link": {
            "description": 'of one that is merged: the address of what is worked on instead, rel="canonical"',
            "schema": {"type": "string"},
        },
    }
}
ELSEWHERE = {
    "description": "It is merged: see the incident that is worked on instead",
    "model": MergedAnswer,
    "headers": {
        "Location": {
            "description": "the address of that incident, with the rest of the query",
            "schema": {"type": "string", "format": "uri-reference"},
        }
    },
}

Entries = Annotated[int, Query(ge=1, le=MAX_ENTRIES, description="how many of its entries, the latest")]
Redirect = Annotated[bool, Query(description="false: one that is merged is answered itself")]

Title = Annotated[
    str | None,
    Query(max_length=filters.LONGEST, pattern=r"^[^\x00]*$", description="a part of the title, in any case"),
]


def router() -> APIRouter:
    """Every question about incidents."""
    made = APIRouter(prefix="/api/v1/incidents", tags=["incidents"], dependencies=viewers())
    made.get("", summary="Incidents, newest first", responses=READS)(list_incidents)
    made.get(
        "/{ref}",
        summary="One incident",
        response_model=IncidentView,
        responses={200: HEADERS, 307: ELSEWHERE, **READS_ONE},
    )(show_incident)
    made.get("/{ref}/timeline", summary="What happened", responses=READS_ONE)(show_timeline)
    made.get("/{ref}/alerts", summary="The alerts that it has or has had", responses=READS_ONE)(show_alerts)
    made.get("/{ref}/pages", summary="Who was told", responses=READS_ONE)(show_pages)
    made.get("/{ref}/deliveries", summary="In which messages they were told", responses=READS_ONE)(show_deliveries)
    return made


@in_thread
def list_incidents(
    here: Here,
    status: Words = [],  # noqa: B006 - FastAPI copies it
    severity: Words = [],  # noqa: B006
    service: Words = [],  # noqa: B006
    team: Words = [],  # noqa: B006
    assignee: Words = [],  # noqa: B006
    title: Title = None,
    opened_after: Moment = None,
    opened_before: Moment = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> IncidentList:
    """Incidents that are as asked in every respect, and in one with several words as one of them says.

    Aliases of statuses and severities are understood; `opened_after` is inclusive, `opened_before` is not.
    """
    after, before = filters.moment("opened_after", opened_after), filters.moment("opened_before", opened_before)
    if after and before and after >= before:
        raise Refusal(
            "bad_request_fields",
            "opened_before: nothing is between these times.",
            field="opened_before",
            remedy="Give a time after `opened_after`.",
        )
    wanted = IncidentFilter(
        status=filters.statuses(status),
        severity=filters.severities(severity),
        service=filters.names("service", service),
        team=filters.names("team", team),
        assignee=filters.names("assignee", assignee),
        title=title,
        opened_after=after,
        opened_before=before,
    )
    return here.parts.queries.incidents(wanted, limit, cursor)


@in_thread
def show_incident(
    here: Here, ref: Ref, request: Request, response: Response, redirect: Redirect = True
) -> IncidentView | Response:
    """The incident as the read model has it; its ETag is its version. One that is merged leads to the other.

    That one may have been merged since, and leads on. No merge closes a ring, so this has an end.
    """
    view = _incident(here, ref)
    if redirect and view.merged_into and view.merged_into_id:
        said = MergedAnswer(
            id=view.id, name=view.name, merged_into=view.merged_into, merged_into_id=view.merged_into_id
        )
        return _elsewhere(request, said)
    response.headers["ETag"] = f'"{view.version}"'
    if view.merged_into_id:
        response.headers["Link"] = f'<{_address(view.merged_into_id)}>; rel="canonical"'
    return _linked(here, view)


@in_thread
def show_timeline(here: Here, ref: Ref, limit: Entries = MAX_ENTRIES, cursor: Cursor = None) -> Timeline:
    """What happened to the incident, oldest first: the last of it, when it is more than one answer has."""
    timeline = known(here.parts, ref, lambda name: here.parts.queries.timeline(name, limit, cursor))
    return timeline.model_copy(update={"incident": _linked(here, timeline.incident)})


@in_thread
def show_alerts(here: Here, ref: Ref, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> AlertList:
    """Its alerts as they are now, the latest to appear first; one that fired again may belong to a later incident."""
    _incident(here, ref)
    return here.parts.queries.alerts(AlertFilter(incident=incident_key(ref)), limit, cursor)


@in_thread
def show_pages(here: Here, ref: Ref) -> tuple[PageView, ...]:
    """Who was told about the incident, or was to be told, in order."""
    _incident(here, ref)
    return here.parts.queries.pages(ref)


@in_thread
def show_deliveries(here: Here, ref: Ref) -> tuple[DeliveryView, ...]:
    """Which messages carried its pages, with what else was in them, each attempt's outcome and possible repeats."""
    _incident(here, ref)
    return here.parts.queries.deliveries(ref)


def _elsewhere(request: Request, said: MergedAnswer) -> Response:
    """The way from a merged incident to the other, for now: a merge can be undone. The rest of the query goes along."""
    query = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "redirect"])
    location = _address(said.merged_into_id) + (f"?{query}" if query else "")
    return JSONResponse(said.model_dump(), 307, {"Location": location})


def _address(incident: str) -> str:
    return f"/api/v1/incidents/{incident}"


def _linked(here: Here, view: IncidentView) -> IncidentView:
    """An incident with its service's pages."""
    service = here.parts.store.config().services.get(view.service)
    links = tuple(LinkView(name=link.name, url=link.url) for link in service.links) if service else ()
    return view.model_copy(update={"links": links})


def _incident(here: Here, ref: str) -> IncidentView:
    """The incident that `ref` names. Raises Refusal (404, or 503 while the read models are behind)."""
    return known(here.parts, ref, here.parts.queries.incident)
