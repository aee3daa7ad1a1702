"""What the API says of heartbeats."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from schemas.api import Model, SeverityWord


class PingAnswer(Model):
    """A ping was heard."""

    heartbeat: str
    at: Annotated[datetime, Field(description="when it was heard")]
    missed_at: Annotated[datetime, Field(description="when the heartbeat is missed unless it pings before")]


class HeartbeatView(Model):
    """A heartbeat as it stands."""

    name: str
    state: Annotated[
        Literal["waiting", "heard", "missed"],
        Field(description="waiting: it has never pinged; missed: its alert fires"),
    ]
    interval: Annotated[float, Field(description="seconds within which a ping has to come")]
    grace: Annotated[float, Field(description="seconds that it may come later")]
    service: str | None = None
    team: str | None = None
    severity: SeverityWord
    armed: bool
    last_ping: datetime | None = None
    missed_at: Annotated[
        datetime | None, Field(description="when it is missed unless it pings before; no time: not before it pings")
    ] = None
    alert: Annotated[str, Field(description="the id of the alert that fires while it is missed")]


class HeartbeatList(Model):
    """Every heartbeat, by name."""

    heartbeats: tuple[HeartbeatView, ...]
