"""For whoever runs Tocsin: is it alive, can it work, what does it count.

/metrics is open to a peer on the same machine that is not a proxy, because that is where Prometheus or its agent
runs; everybody else needs a viewer's key. /healthz and /readyz say nothing secret and are open to all.
"""

from functools import partial
from ipaddress import ip_address
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from gateway.auth import AtLeast, Guard, Presented
from gateway.exposition import metrics
from gateway.refusals import documented
from gateway.state import Here
from schemas.api import Health
from schemas.status import Status

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""Headers by which a proxy says that somebody else asks."""


class LocalOrViewer(Guard):
    """Lets peers on this machine pass, and viewers from anywhere."""

    async def __call__(self, request: Request, here: Here, presented: Presented) -> None:
        """Raises Refusal (401, 403)."""
        if not is_local(request):
            await AtLeast("viewer")(here, presented)


def is_local(request: Request) -> bool:
    """Whether the one who asks is on this machine: a loopback address, and nobody spoken for."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def router() -> APIRouter:
    """Health, readiness and metrics. What monitors ask for is answered to HEAD as well."""
    made = APIRouter(tags=["operations"])
    unready: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "Webhooks cannot be taken here"}}
    refusals = documented("unauthenticated", "unavailable")
    made.get("/healthz", summary="Is the process alive?")(healthz)
    made.get("/readyz", summary="Can webhooks be taken, and how is everything else?", responses=unready)(readyz)
    local = [Depends(LocalOrViewer())]
    made.get(
        "/metrics",
        summary="Prometheus metrics",
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **refusals},
        response_class=Response,
        dependencies=local,
    )(metrics)
    head = partial(made.head, include_in_schema=False)  # RFC 9110: what GET answers, without the body
    head("/healthz")(healthz)
    head("/readyz")(readyz)
    head("/metrics", dependencies=local)(metrics)
    made.get(
        "/api/v1/status",
        summary="How every role is: what stands still, since when, what to do",
        responses=refusals,
        dependencies=[Depends(AtLeast("viewer"))],
    )(status)
    return made


async def healthz() -> Health:
    """Always ok: whoever can answer is alive."""
    return Health(role="gateway", ok=True)


async def readyz(here: Here, response: Response) -> Health:
    """Each dependency, asked with a time-out of 1 s or 2 s; the answer may be a second old.

    503 when webhooks cannot be kept or recognised here (see gateway/readiness.py); what else is wrong is named at 200.
    """
    health = await here.readiness.health()
    response.status_code = 200 if health.ok else 503
    return health


async def status(here: Here) -> Status:
    """Every role as this gateway sees it from outside: what waits for it, and since when it stands still if it does."""
    await here.standing.look()
    return here.standing.status()
