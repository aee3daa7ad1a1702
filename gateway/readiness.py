"""Whether the gateway can do its work, one dependency at a time, asked at most once a second.

Every check has a time-out of its own, and one that hangs is not asked again before it has answered: a frozen
database must not collect threads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog

from gateway.intake import IntakeUnavailable
from gateway.parts import Parts
from schemas.api import DependencyHealth, Health
from streams.store.base import StoreError

log = structlog.get_logger()

CHECK_TIMEOUT = 1.0
CACHED = 1.0
LAG_ALLOWED = 10.0
"""Seconds: all of the log that is older must be in the read models."""
SKEW_ALLOWED = timedelta(seconds=2)

Check = Callable[[], Awaitable[str]]
"""Returns a remark for people; raises NotReady, StoreError or IntakeUnavailable."""


class NotReady(Exception):
    """A dependency works but is not as it has to be."""


class Readiness:
    """Asks each of `checks`, by the name of its dependency."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._asked: dict[str, asyncio.Task[str]] = {}
        self._health: Health | None = None
        self._cached_until = 0.0

    @classmethod
    def of(cls, parts: Parts) -> "Readiness":
        """The checks of a gateway."""

        async def kafka() -> str:
            await parts.intake.check()
            return ""

        async def postgres() -> str:
            await asyncio.to_thread(parts.queries.ping)
            return ""

        async def clock() -> str:
            return await asyncio.to_thread(_skew, parts)

        return cls({"kafka": kafka, "postgres": postgres, "read_model": _Lag(parts), "clock": clock})

    async def health(self) -> Health:
        """How everything is now, or was within the last second."""
        now = asyncio.get_running_loop().time()
        if self._health is None or now >= self._cached_until:
            found = await asyncio.gather(*map(self._ask, self._checks))
            self._health = Health(role="gateway", ok=all(one.ok for one in found), dependencies=tuple(found))
            self._cached_until = asyncio.get_running_loop().time() + CACHED
        return self._health

    async def _ask(self, name: str) -> DependencyHealth:
        task = self._asked.get(name)
        if task is None:
            task = self._asked[name] = asyncio.ensure_future(self._checks[name]())
        done, _ = await asyncio.wait({task}, timeout=CHECK_TIMEOUT)
        if not done:
            return DependencyHealth(name=name, ok=False, detail=f"no answer within {CHECK_TIMEOUT:g} s")
        self._asked.pop(name, None)
        error = task.exception()
        if error is None:
            return DependencyHealth(name=name, ok=True, detail=task.result())
        if not isinstance(error, NotReady | StoreError | IntakeUnavailable):
            log.error("readiness check failed", dependency=name, exc_info=error)
        return DependencyHealth(name=name, ok=False, detail=str(error) or type(error).__name__)


class _Lag:
    """How far the read models are behind the log: whatever was in it `LAG_ALLOWED` seconds ago must be in them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._wanted = 0
        self._wanted_since = 0.0

    async def __call__(self) -> str:
        head, position = await asyncio.to_thread(self._positions)
        now = asyncio.get_running_loop().time()
        if position >= self._wanted:
            self._wanted, self._wanted_since = head, now
        behind = f"{max(0, head - position)} events behind"
        if now - self._wanted_since > LAG_ALLOWED and position < self._wanted:
            raise NotReady(f"{behind}, for more than {LAG_ALLOWED:g} s: is the projector running?")
        return behind

    def _positions(self) -> tuple[int, int]:
        return self._parts.store.head(), self._parts.queries.position()


def _skew(parts: Parts) -> str:
    """How far our clock is from the database's, beyond the time that asking took. Raises NotReady above 2 s."""
    before, there, after = parts.wall(), parts.database_clock(), parts.wall()
    skew = max(before - there, there - after, timedelta())
    said = f"{skew.total_seconds():.1f} s from the database's clock"
    if skew > SKEW_ALLOWED:
        raise NotReady(f"{said}: synchronise the clocks (NTP)")
    return said
