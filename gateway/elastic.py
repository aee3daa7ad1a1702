"""`POST /v1/alerts/elastic`: an alert is made durable, and its sender told what became of it, if that is known in time.

Source: contract page 01, "Our inbound endpoint". What was decided is seen in the store itself, not in the read models:
the alert's row says which report it has last, and the incident's events which of them this one caused.
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Literal

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from domain import ids, incidents
from domain.alerts import AlertRow, AlertStatus
from domain.config import Integration
from gateway.auth import WebhookToken
from gateway.blocking import in_thread
from gateway.direct import MachineRoute
from gateway.parts import Parts
from gateway.receipts import url
from gateway.state import Here
from gateway.webhooks import RECEIPT_HEADERS, REFUSALS, answer, any_json, keep, read
from schemas.api_receipts import ElasticAnswer
from schemas.sources import elastic
from streams.store.base import StoreError, Unavailable

log = structlog.get_logger()

WAIT = 0.8
"""Seconds that the sender waits for the fold."""
FIRST_LOOK, SLOWEST_LOOK = 0.03, 0.15
"""Seconds between looks, doubled each time."""
BEFORE = 0.1
"""Seconds to find out how the alert stood before."""

Outcome = Literal["incident_created", "incident_updated", "incident_resolved", "ignored"]


def router() -> APIRouter:
    """The one route."""
    made = APIRouter(tags=["webhooks"], route_class=MachineRoute)
    made.post(
        "/v1/alerts/elastic",
        response_model=ElasticAnswer,
        summary="Take an alert of Elastic's rules",
        response_description="What became of it",
        responses={
            200: {"headers": RECEIPT_HEADERS},
            202: {"model": ElasticAnswer, "headers": RECEIPT_HEADERS, "description": "Durable, and not decided yet"},
            **REFUSALS,
        },
        openapi_extra=any_json("elastic"),
    )(take_elastic)
    return made


async def take_elastic(
    request: Request, here: Here, integration: Annotated[Integration, Depends(WebhookToken("elastic"))]
) -> Response:
    """Answers once the alert is durable; waits up to 0.8 s to say what became of it."""
    parsed, receipt = await read(request, here, integration, elastic.parse)
    alert = ids.alert_id(here.parts.settings.org, integration.id, parsed.alerts[0].fingerprint)
    looking = asyncio.create_task(_before(here.parts, alert))
    try:
        await keep(here, receipt, integration)
        became = await _became(here.parts, receipt.receipt, alert, await looking)
    finally:
        looking.cancel()
    said = ElasticAnswer(
        status=became.outcome if became else "accepted",
        incident_id=became.incident if became else None,
        receipt=receipt.receipt,
        receipt_url=url(receipt.receipt),
        warnings=parsed.warnings,
    )
    return answer(said, 200 if became else 202, receipt.receipt)


@dataclass(frozen=True, slots=True)
class _Became:
    outcome: Outcome
    incident: str | None


@dataclass(frozen=True, slots=True)
class _Before:
    """How the alert stood; `row` is None when nothing had been heard of it."""

    row: AlertRow | None


async def _before(parts: Parts, alert: str) -> _Before | None:
    """How the alert stands before it is reported again; None when the database does not say so at once."""
    try:
        async with asyncio.timeout(BEFORE):
            return _Before(await _row(parts, alert))
    except (TimeoutError, StoreError) as error:
        log.debug("what became of it will not be known", because=type(error).__name__)
        return None


async def _became(parts: Parts, receipt: str, alert: str, before: _Before | None) -> _Became | None:
    """What became of the one alert of `receipt`; None when that is not known in time."""
    if before is None:
        return None
    pause = FIRST_LOOK
    try:
        async with asyncio.timeout(WAIT):
            while True:
                await asyncio.sleep(pause)
                after = await _row(parts, alert)
                if after is not None and after.receipt == receipt:
                    return await _outcome(parts, receipt, before.row, after)
                pause = min(SLOWEST_LOOK, 2 * pause)
    except (TimeoutError, Unavailable):
        return None


@in_thread
def _row(parts: Parts, alert: str) -> AlertRow | None:
    return parts.store.alerts([alert]).get(alert)


@in_thread
def _outcome(parts: Parts, receipt: str, before: AlertRow | None, after: AlertRow) -> _Became:
    """What a report that was folded changed."""
    if after.incident is None:
        return _Became("ignored", None)
    history = parts.store.history(after.incident)
    opened = next(one.event for one in history if isinstance(one.event, incidents.Opened))
    caused = {type(one.event) for one in history if one.decision.cause.correlation_id == receipt}
    return _Became(_word(caused, before, after), f"INC-{opened.number}")


def _word(caused: set[type], before: AlertRow | None, after: AlertRow) -> Outcome:
    if incidents.Opened in caused:
        return "incident_created"
    if incidents.Resolved in caused:
        return "incident_resolved"
    status = before.status if before else AlertStatus.RESOLVED
    return "incident_updated" if caused or status is not after.status else "ignored"
