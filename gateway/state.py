"""What one running app holds beside its parts, and how its routes get at it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request

from gateway.configured import Configured
from gateway.parts import Parts
from gateway.readiness import Readiness
from gateway.recent import Recent
from gateway.standing import Standing


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway: its parts, the configuration it knows, how it is, how the roles are, what it has taken lately.

    `started_at`: when it started (UTC).
    """

    parts: Parts
    configured: Configured
    readiness: Readiness
    standing: Standing
    started_at: datetime
    recent: Recent = field(default_factory=Recent)


async def gateway_of(request: Request) -> Gateway:
    """The gateway that serves `request`."""
    return cast(Gateway, request.app.state.gateway)


Here = Annotated[Gateway, Depends(gateway_of)]
