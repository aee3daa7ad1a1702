"""Alerts, deadlines and response times over HTTP, for viewers."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from gateway import filters
from gateway.asking import READS, Cursor, Limit, Moment, Words, viewers
from gateway.blocking import in_thread
from gateway.refusals import Refusal
from gateway.state import Here
from projections.queries import DEFAULT_LIMIT, AlertFilter
from schemas.api_reads import AlertList, By, DueList, ResponseMetrics

DEFAULT_WINDOW = timedelta(days=30)

Labels = Annotated[list[str], Query(max_length=20, description="`name=value`; repeat it for more labels")]
Reference = Annotated[str | None, Query(max_length=60, pattern=r"^[^\x00]*$", description="INC-7, 7, or a uuid")]
Acknowledged = Annotated[bool | None, Query(description="whether somebody has them")]
Beginning = Annotated[
    str | None,
    Query(alias="id", pattern=r"^[0-9a-fA-F-]{4,36}$", description="their uuid, or at least four digits of it"),
]
Suppressed = Annotated[bool | None, Query(description="whether a rule keeps Tocsin from speaking of them")]


def router() -> APIRouter:
    """Every question that is not about one incident."""
    made = APIRouter(dependencies=viewers())
    made.get("/api/v1/alerts", tags=["alerts"], summary="Alerts, the latest to appear first", responses=READS)(
        list_alerts
    )
    made.get("/alerts/active", tags=["alerts"], summary="Alerts that fire now", responses=READS)(list_active_alerts)
    made.get("/api/v1/due", tags=["incidents"], summary="What will happen next, and when", responses=READS)(list_due)
    made.get(
        "/api/v1/metrics/response", tags=["metrics"], summary="Times to detect, acknowledge, resolve", responses=READS
    )(response_times)
    return made


@in_thread
def list_alerts(
    here: Here,
    status: Words = [],  # noqa: B006 - FastAPI copies it
    severity: Words = [],  # noqa: B006
    integration: Words = [],  # noqa: B006
    incident: Reference = None,
    label: Labels = [],  # noqa: B006
    suppressed: Suppressed = None,
    acknowledged: Acknowledged = None,
    alert: Beginning = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> AlertList:
    """Alerts that are as asked in every respect. A page may be short and not be the last: see `next_cursor`."""
    wanted = _wanted(filters.alert_statuses(status), severity, integration, incident, label, suppressed)
    begins = alert.replace("-", "").lower()[:32] if alert else None
    wanted = replace(wanted, acknowledged=acknowledged, begins=begins)
    return here.parts.queries.alerts(wanted, limit, cursor)


@in_thread
def list_active_alerts(
    here: Here,
    severity: Words = [],  # noqa: B006
    integration: Words = [],  # noqa: B006
    incident: Reference = None,
    label: Labels = [],  # noqa: B006
    suppressed: Suppressed = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> AlertList:
    """The same as `/api/v1/alerts?status=firing`."""
    wanted = _wanted(("firing",), severity, integration, incident, label, suppressed)
    return here.parts.queries.alerts(wanted, limit, cursor)


def _wanted(
    status: tuple[str, ...],
    severity: list[str],
    integration: list[str],
    incident: str | None,
    label: list[str],
    suppressed: bool | None,
) -> AlertFilter:
    return AlertFilter(
        status=status,
        severity=filters.severities(severity),
        integration=filters.names("integration", integration),
        incident=filters.incident(incident),
        suppressed=suppressed,
        labels=filters.labels(label),
    )


@in_thread
def list_due(
    here: Here,
    kind: Words = [],  # noqa: B006
    incident: Reference = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> DueList:
    """Deadlines, the next first; of escalations with the people that the step would page as things are now."""
    kinds, key = filters.names("kind", kind), filters.incident(incident)
    return here.parts.queries.due(here.parts.store.config(), kinds, key, limit, cursor)


@in_thread
def response_times(
    here: Here,
    by: By = "team",
    since: Annotated[Moment, Query(alias="from")] = None,
    until: Annotated[Moment, Query(alias="to")] = None,
) -> ResponseMetrics:
    """Of the incidents opened in a window, by default the last 30 days; seconds.

    `from` is inclusive, `to` is not. An incident's first acknowledgement and first resolution count, even if it was
    given back or reopened since.
    """
    end = filters.moment("to", until) or here.parts.clock()
    begin = filters.moment("from", since) or end - DEFAULT_WINDOW
    if begin >= end:
        raise Refusal(
            "bad_request_fields",
            "from: the window ends before it begins.",
            field="from",
            remedy="Give a time before `to`, which is now unless it is given.",
        )
    return here.parts.queries.response(by, begin, end)
