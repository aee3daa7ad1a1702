"""What this process counted since it started, as Prometheus and its like ask for it. Imports no metric of any role."""

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response


async def metrics(request: Request) -> Response:
    """What this process counted since it started."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), headers={"Content-Type": media_type})
