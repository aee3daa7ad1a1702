"""What Tocsin says of itself: how far each role is, what stands still, and what to do about it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from schemas.api import Model

RoleName = Literal["gateway", "worker", "pager", "projector", "relay", "sealer", "postgres", "kafka"]


class RoleStatus(Model):
    """One role, or one service that roles need, as this gateway sees it from outside."""

    role: RoleName
    ok: Annotated[bool, Field(description="false when it stands still although work waits for it")]
    waiting: Annotated[int, Field(description="records, events or rows that wait for it; rows counted up to 1,000")]
    lag_seconds: Annotated[float, Field(description="for how long at least the oldest of that has waited")]
    standing_seconds: Annotated[float, Field(description="for how long it has not moved while work waited")]
    since: Annotated[datetime | None, Field(description="since when it stands still; null while it moves")] = None
    detail: Annotated[str, Field(description="the same in words")] = ""
    remedy: Annotated[str, Field(description="what to do; empty when nothing is to be done")] = ""


class Status(Model):
    """Every role. `ok` when none stands still."""

    ok: bool
    roles: tuple[RoleStatus, ...]
