"""Whether the gateway can do its work, and how everything else is, asked at most once a second.

/readyz is a question about this gateway: can it take webhooks? A load balancer that hears 503 sends no more of them, so
it is 503 only when they could not be kept or not be recognised:

- neither Kafka nor Postgres answers (one of them is enough: alerts go to the topic or to the inbox);
- no configuration could ever be read, so that no token is known;
- the clock is more than 2 s from the database's: times that are decided on would be wrong;
- in its first ten seconds, unless both answer: a fresh gateway need not begin with a detour.

Everything else that does not work is named in the answer and leaves it at 200. Every check has a time-out of its own,
and one that hangs is not asked again before it has answered: a frozen database must not collect threads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog

from gateway.configured import Configured
from gateway.intake import IntakeUnavailable
from gateway.parts import Parts
from gateway.standing import Standing
from schemas.api import DependencyHealth, Health
from streams.store.base import StoreError

log = structlog.get_logger()

CHECK_TIMEOUT = 1.0
CACHED = 1.0
SETTLING = 10.0
"""Seconds from the first question within which both Kafka and Postgres must answer."""
SKEW_ALLOWED = timedelta(seconds=2)

Check = Callable[[], Awaitable[str]]
"""Returns a remark for people; raises NotReady, StoreError or IntakeUnavailable."""


class NotReady(Exception):
    """A dependency works but is not as it has to be."""


class Readiness:
    """Asks each of `checks`, by the name of its dependency, and `standing` for the roles."""

    def __init__(self, checks: Mapping[str, Check], standing: Standing) -> None:
        self._checks, self._standing = checks, standing
        self._asked: dict[str, asyncio.Task[str]] = {}
        self._health: Health | None = None
        self._cached_until = 0.0
        self._settled_at: float | None = None

    @classmethod
    def of(cls, parts: Parts, configured: Configured, standing: Standing) -> "Readiness":
        """The checks of a gateway."""

        async def kafka() -> str:
            await parts.intake.check()
            return ""

        async def postgres() -> str:
            await asyncio.to_thread(parts.queries.ping)
            return ""

        async def clock() -> str:
            return await asyncio.to_thread(_skew, parts)

        async def configuration() -> str:
            await configured.keyring()
            return ""

        return cls({"kafka": kafka, "postgres": postgres, "configuration": configuration, "clock": clock}, standing)

    async def health(self) -> Health:
        """How everything is now, or was within the last second; `ok` says whether webhooks can be taken."""
        now = _now()
        if self._settled_at is None:
            self._settled_at = now + SETTLING
        if self._health is None or now >= self._cached_until:
            looking = asyncio.create_task(self._standing.look())
            found = await asyncio.gather(*map(self._ask, self._checks))
            await asyncio.wait({looking}, timeout=CHECK_TIMEOUT)
            known = {one.name: one.ok for one in found}
            roles = tuple(
                DependencyHealth(name=role.role, ok=role.ok, detail=". ".join(filter(None, (role.detail, role.remedy))))
                for role in self._standing.roles()
                if role.role not in known
            )
            self._health = Health(role="gateway", ok=self._ready(known), dependencies=(*found, *roles))
            self._cached_until = _now() + CACHED
        return self._health

    def _ready(self, known: Mapping[str, bool]) -> bool:
        enough = all if self._settled_at is not None and _now() < self._settled_at else any
        return enough((known["kafka"], known["postgres"])) and known["configuration"] and known["clock"]

    async def _ask(self, name: str) -> DependencyHealth:
        task = self._asked.get(name)
        if task is None:
            task = self._asked[name] = asyncio.ensure_future(self._checks[name]())
        done, _ = await asyncio.wait({task}, timeout=CHECK_TIMEOUT)
        if not done:
            return _unknown(name, f"no answer within {CHECK_TIMEOUT:g} s")
        self._asked.pop(name, None)
        error = task.exception()
        if error is None:
            return DependencyHealth(name=name, ok=True, detail=task.result())
        if isinstance(error, StoreError):
            return _unknown(name, str(error))
        if not isinstance(error, NotReady | IntakeUnavailable):
            log.error("readiness check failed", dependency=name, exc_info=error)
        return DependencyHealth(name=name, ok=False, detail=str(error) or type(error).__name__)


def _unknown(name: str, why: str) -> DependencyHealth:
    """What could not be found out. A clock that cannot be compared is not a wrong one."""
    return DependencyHealth(name=name, ok=name == "clock", detail=why)


def _skew(parts: Parts) -> str:
    """How far our clock is from the database's, beyond the time that asking took. Raises NotReady above 2 s."""
    before, there, after = parts.wall(), parts.database_clock(), parts.wall()
    skew = max(before - there, there - after, timedelta())
    said = f"{skew.total_seconds():.1f} s from the database's clock"
    if skew > SKEW_ALLOWED:
        raise NotReady(f"{said}: synchronise the clocks (NTP)")
    return said


def _now() -> float:
    return asyncio.get_running_loop().time()
