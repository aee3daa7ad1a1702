"""For whoever runs Tocsin: is it alive, can it work, what does it count.

/metrics is open to a peer on the same machine that is not a proxy, because that is where Prometheus or its agent
runs; everybody else needs a viewer's key. /healthz and /readyz say nothing secret and are open to all.
"""

from ipaddress import ip_address
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from gateway.auth import AtLeast, Guard, Presented
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
    """Health, readiness and metrics."""
    made = APIRouter(tags=["operations"])
    made.get("/healthz", summary="Is the process alive?")(healthz)
    unready: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "Webhooks cannot be taken here"}}
    made.get("/readyz", summary="Can webhooks be taken, and how is everything else?", responses=unready)(readyz)
    refusals = documented("unauthenticated", "forbidden", "unavailable")
    made.get(
        "/api/v1/status",
        summary="How every role is: what stands still, since when, what to do",
        responses=refusals,
        dependencies=[Depends(AtLeast("viewer"))],
    )(status)
    made.get(
        "/metrics",
        summary="Prometheus metrics",
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **refusals},
        response_class=Response,
        dependencies=[Depends(LocalOrViewer())],
    )(metrics)
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


async def metrics(request: Request) -> Response:
    """What this process counted since it started."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), headers={"Content-Type": media_type})
