"""Webhooks: a machine's report becomes durable, then 202. A route per source that is registered in `schemas.sources`.

In this order: who is it (401, 403), is it JSON by its header (415), is it small enough (413), is it JSON (400),
is it what this source speaks (422), is it kept (503). Source: contract page 00, "Rule for all".
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Request, Response
from structlog.contextvars import bind_contextvars

from domain.config import Integration
from gateway import metrics
from gateway.auth import WebhookToken
from gateway.bodies import read_json_body
from gateway.parts import Parts
from gateway.refusals import documented
from gateway.state import Here
from schemas.api import ReceiptAnswer
from schemas.received import AlertReceived, received
from schemas.settings import Settings
from schemas.sources import SOURCES, Limits, Parsed, Parser

log = structlog.get_logger()

ALIASES: Mapping[str, tuple[str, ...]] = {"alertmanager": ("/alerts/webhook",)}
"""Other paths at which a source is heard. Source: contract page 00, section A."""

LARGE = 64 * 1024
"""Bytes from which a body is parsed on a thread, so that others are served meanwhile."""

RECEIPT_HEADER = {"X-Receipt-Id": {"description": "the receipt", "schema": {"type": "string", "format": "uuid"}}}
REFUSALS = documented(
    "bad_json",
    "unauthenticated",
    "forbidden",
    "body_too_large",
    "unsupported_media_type",
    "unsupported_payload",
    "unavailable",
)


def router() -> APIRouter:
    """A route for every registered source, and its aliases."""
    made = APIRouter(tags=["webhooks"])
    for source, parse in SOURCES.items():
        take = _taker(source, parse)
        for path in (f"/api/v1/webhooks/{source}", *ALIASES.get(source, ())):
            made.add_api_route(
                path,
                take,
                methods=["POST"],
                status_code=202,
                response_model=ReceiptAnswer,
                response_description="The alerts are durable; members that could not be alerts are counted.",
                summary=f"Take a webhook of {source}",
                responses={202: {"headers": RECEIPT_HEADER}, **REFUSALS},
                openapi_extra=_any_json(source),
            )
    return made


def _taker(source: str, parse: Parser) -> Callable[..., Awaitable[ReceiptAnswer]]:
    guard = Depends(WebhookToken(source))

    async def take(
        request: Request, response: Response, here: Here, integration: Annotated[Integration, guard]
    ) -> ReceiptAnswer:
        """Answers 202 once every alert is kept by all replicas. An empty list of alerts is fine: nothing to keep."""
        parts = here.parts
        raw = await read_json_body(request, parts.settings.max_body_bytes)
        parsed = await _parse(parse, raw, parts.settings)
        receipt = _receipt(parts, integration, parsed)
        bind_contextvars(receipt=receipt.receipt, alerts=len(receipt.alerts))
        await _keep(parts, receipt, integration)
        response.headers["X-Receipt-Id"] = receipt.receipt
        return ReceiptAnswer(
            receipt=receipt.receipt,
            alerts=len(parsed.alerts),
            rejected=len(parsed.rejected),
            warnings=parsed.warnings,
        )

    take.__name__ = f"take_{source}"
    return take


async def _parse(parse: Parser, raw: bytes, settings: Settings) -> Parsed:
    limits = Limits(max_body_bytes=settings.max_body_bytes, max_alerts=settings.max_alerts)
    if len(raw) < LARGE:
        return parse(raw, limits)
    return await asyncio.to_thread(parse, raw, limits)


def _receipt(parts: Parts, integration: Integration, parsed: Parsed) -> AlertReceived:
    return received(
        receipt=parts.ids(),
        integration=integration.id,
        received_at=parts.clock(),
        alerts=parsed.alerts,
        raw=parsed.raw,
        salt=parts.salt(),
        rejected=parsed.rejected,
    )


async def _keep(parts: Parts, receipt: AlertReceived, integration: Integration) -> None:
    started, result = perf_counter(), "failed"
    try:
        await parts.intake.put(receipt, integration.shards)
        result = "kept"
    finally:
        metrics.PRODUCE_SECONDS.labels(result).observe(perf_counter() - started)
    metrics.ALERTS.labels(integration.id, integration.source).inc(len(receipt.alerts))
    if receipt.rejected:
        metrics.REJECTED.labels(integration.id, integration.source).inc(len(receipt.rejected))
        log.warning("members rejected", rejected=len(receipt.rejected), first=receipt.rejected[0].field)


def _any_json(source: str) -> dict[str, Any]:
    body = {"type": "object", "description": f"The body that {source} posts, as it comes."}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}
