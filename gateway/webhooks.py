"""Webhooks: a machine's report becomes durable, then 202. A route per source that is registered in `schemas.sources`.

In this order: who is it (401, 403), is it JSON by its header (415), is it small enough (413), is it JSON (400),
is it what this source speaks (422), is it kept (503). A source that would send again for ever what is refused is told
202 instead of 422, and a person is told (ADR 0009). Source: contract page 00, "Rule for all".
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel
from structlog.contextvars import bind_contextvars

from domain.config import FieldMapping, Integration
from gateway import metrics
from gateway.auth import WebhookToken
from gateway.bodies import read_json_body
from gateway.direct import MachineRoute
from gateway.examples import WEBHOOKS, json_body
from gateway.receipts import url
from gateway.refusals import Refusal, documented
from gateway.state import Gateway, Here
from schemas.api import ReceiptAnswer
from schemas.problems import ProblemName
from schemas.received import AlertReceived, received
from schemas.settings import Settings
from schemas.sources import REPEATING, SOURCES, BadBody, Limits, Parsed, Parser, generic, rejected_whole

log = structlog.get_logger()

ALIASES: Mapping[str, tuple[str, ...]] = {"alertmanager": ("/alerts/webhook",)}
"""Other paths at which a source is heard. Source: contract page 00, section A."""
ELSEWHERE = frozenset({"elastic", "generic"})
"""Sources whose paths are not `/api/v1/webhooks/<source>`: see `gateway.elastic` and below."""

LARGE = 64 * 1024
"""Bytes from which a body is parsed on a thread, so that others are served meanwhile."""

RECEIPT_HEADERS = {
    "X-Receipt-Id": {"description": "the receipt", "schema": {"type": "string", "format": "uuid"}},
    "Location": {"description": "where to ask what became of it", "schema": {"type": "string"}},
}
REFUSED: tuple[ProblemName, ...] = (
    "bad_json",
    "unauthenticated",
    "forbidden",
    "body_too_large",
    "unsupported_media_type",
    "unavailable",
)
REFUSALS = documented(*REFUSED, "unsupported_payload")


def router() -> APIRouter:
    """A route for every registered source, and its aliases."""
    made = APIRouter(tags=["webhooks"], route_class=MachineRoute)
    for source, parse in SOURCES.items():
        if source not in ELSEWHERE:
            for path in (f"/api/v1/webhooks/{source}", *ALIASES.get(source, ())):
                _add(made, path, source, _taker(source, parse))
    _add(made, "/api/v1/webhooks/generic/{integration}", "generic", take_generic)
    return made


def _add(router: APIRouter, path: str, source: str, take: Callable[..., Awaitable[Response]]) -> None:
    router.add_api_route(
        path,
        take,
        methods=["POST"],
        status_code=202,
        response_model=ReceiptAnswer,
        response_description="The alerts are durable; members that could not be alerts are counted.",
        summary=f"Take a webhook of {source}",
        responses={202: {"headers": RECEIPT_HEADERS}, **(documented(*REFUSED) if source in REPEATING else REFUSALS)},
        openapi_extra=any_json(source),
    )


def _taker(source: str, parse: Parser) -> Callable[..., Awaitable[Response]]:
    guard = Depends(WebhookToken(source))

    async def take(request: Request, here: Here, integration: Annotated[Integration, guard]) -> Response:
        """Answers 202 once every alert is kept by all replicas, or by the database while Kafka is away.

        An empty list of alerts is fine: nothing to keep.
        """
        return await _take(request, here, integration, parse)

    take.__name__ = f"take_{source}"
    return take


async def take_generic(
    request: Request, here: Here, owner: Annotated[Integration, Depends(WebhookToken("generic"))], integration: str
) -> Response:
    """One alert as any JSON object; the integration's `mapping` says where its fields are.

    Without one they are looked for under their common names, such as `title`, `status`, `severity` and `service`.
    """
    if integration != owner.id:
        raise Refusal("forbidden", f"This is a token of the integration `{owner.id}`, not of the one in the path.")
    parse = partial(generic.parse, mapping=owner.mapping or FieldMapping())
    return await _take(request, here, owner, parse)


async def _take(request: Request, here: Gateway, integration: Integration, parse: Parser) -> Response:
    parsed, receipt = await read(request, here, integration, parse)
    await keep(here, receipt, integration)
    said = ReceiptAnswer(
        receipt=receipt.receipt,
        alerts=len(parsed.alerts),
        rejected=len(parsed.rejected),
        warnings=parsed.warnings,
    )
    return answer(said, 202, receipt.receipt)


def answer(said: BaseModel, status: int, receipt: str) -> Response:
    """The response that says `said` about a receipt."""
    headers = {"X-Receipt-Id": receipt, "Location": url(receipt)}
    return Response(said.model_dump_json(), status, headers, "application/json")


async def read(
    request: Request, here: Gateway, integration: Integration, parse: Parser
) -> tuple[Parsed, AlertReceived]:
    """A webhook's body, understood, and the receipt to be kept for it. Raises Refusal, BadBody."""
    parts = here.parts
    limits = _limits(parts.settings, integration)
    raw = await read_json_body(request, limits.max_body_bytes)
    work = partial(_parse, parse, raw, limits, integration.source in REPEATING)
    parsed = work() if len(raw) < LARGE else await asyncio.to_thread(work)
    receipt = received(
        receipt=parts.ids(),
        integration=integration.id,
        received_at=parts.clock(),
        alerts=parsed.alerts,
        raw=parsed.raw,
        salt=parts.salt(),
        rejected=parsed.rejected,
    )
    bind_contextvars(receipt=receipt.receipt, alerts=len(receipt.alerts))
    return parsed, receipt


def _limits(settings: Settings, integration: Integration) -> Limits:
    """What one webhook of this integration may hold: its own limits, as far as they are below what all may send."""
    return Limits(
        max_body_bytes=min(settings.max_body_bytes, integration.max_body_bytes or settings.max_body_bytes),
        max_alerts=min(settings.max_alerts, integration.max_alerts or settings.max_alerts),
    )


def _parse(parse: Parser, raw: bytes, limits: Limits, repeats: bool) -> Parsed:
    """Raises BadBody, but of JSON from a source that `repeats` what is refused."""
    try:
        return parse(raw, limits)
    except BadBody as error:
        if error.status == 422 and repeats:
            return rejected_whole(raw, limits, error)
        raise


async def keep(here: Gateway, receipt: AlertReceived, integration: Integration) -> None:
    """Make a receipt durable. Raises IntakeUnavailable, ReceiptTooLarge."""
    started, result = perf_counter(), "failed"
    try:
        await here.parts.intake.put(receipt, integration.shards)
        result = "kept"
    finally:
        metrics.produce_seconds(result).observe(perf_counter() - started)
    here.recent.put(receipt.receipt, integration.id, receipt.received_at)
    metrics.alerts(integration.id, integration.source).inc(len(receipt.alerts))
    if receipt.rejected:
        metrics.REJECTED.labels(integration.id, integration.source).inc(len(receipt.rejected))
        log.warning("members rejected", rejected=len(receipt.rejected), first=receipt.rejected[0].field)


def any_json(source: str) -> dict[str, Any]:
    """The OpenAPI description of a body that is checked by `source`'s parser."""
    body = {"type": "object", "description": f"The body that {source} posts, as it comes."}
    return json_body(body, **{source: WEBHOOKS[source]})
