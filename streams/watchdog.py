"""The watchdog: tells people when Tocsin itself stands still, without the help of anything that may stand still.

It runs in the gateway, which sees all other roles from outside (`gateway/standing.py`), and in the pager, which sees
the gateways (`streams/gateways.py`), and speaks through the channels itself. All it needs is one reading of the
configuration at some time: the gateway's works while Kafka, Postgres, worker and pager are away.

An outage begins when a role has not moved for so many seconds while work waited, and ends when it has worked again for
as long. People hear once of either. Several watchdogs agree about who tells by a table; while Postgres does not answer
each tells by itself, because twice is better than never.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from schemas.status import RoleStatus
from streams.clock import Clock
from streams.notices import Herald, began, ended
from streams.store.base import Unavailable
from streams.store.outages import Outages

log = structlog.get_logger()

T = TypeVar("T")

EVERY = 1.0
"""Seconds between looks."""
AGAIN = 60.0
"""Seconds after which it is tried again to tell people of an outage, by us or by another gateway."""
TABLE_TIMEOUT = 5.0


@dataclass(slots=True)
class Outage:
    """A role that stands still by our own sight.

    Parameters:
        told: we have told people.
        shared: the table knows of it.
        try_at: the loop's time from which telling is tried (again).
    """

    since: datetime
    told: bool = False
    shared: bool = False
    try_at: float = 0.0


class Watchdog:
    """Watches roles, and tells people. One instance serves one event loop.

    Parameters:
        roles: how those are of which something is known now.
        after: the seconds that a role may stand still.
        outages: which people have been told of, by whomever.
    """

    def __init__(
        self, roles: Callable[[], Sequence[RoleStatus]], herald: Herald, outages: Outages, clock: Clock, after: float
    ) -> None:
        self._roles, self._herald, self._outages, self._clock, self._after = roles, herald, outages, clock, after
        self._open: dict[str, Outage] = {}
        self._well_since: dict[str, float] = {}
        self._closed: set[str] = set()

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Look once, and tell people what is new."""
        now = _now()
        visible = self._roles()
        await self._begin([role for role in visible if role.standing_seconds >= self._after], now)
        for role in visible:
            if role.standing_seconds >= self._after / 2:
                self._well_since.pop(role.role, None)
            else:
                self._well_since.setdefault(role.role, now)
        well = {role.role for role in visible if now - self._well_since.get(role.role, now) >= self._after}
        await self._end(well - self._closed)

    # -- beginnings and ends ---------------------------------------------------------------------------------------

    async def _begin(self, still: Sequence[RoleStatus], now: float) -> None:
        for role in still:
            since = role.since or self._clock()
            outage = self._open.setdefault(role.role, Outage(since))
            self._closed.discard(role.role)
            if outage.try_at == 0.0:
                log.error("a role stands still", role=role.role, detail=role.detail, since=since.isoformat())
        untold = [r for r in still if not self._open[r.role].told and now >= self._open[r.role].try_at]
        if not untold:
            return
        for role in untold:
            self._open[role.role].try_at = now + AGAIN
        ours = await self._claim(untold)
        if ours and await self._herald.tell(lambda team: began(ours, team)):
            for role in ours:
                self._open[role.role].told = True
            await self._ask(lambda: self._outages.told([role.role for role in ours]))

    async def _claim(self, still: Sequence[RoleStatus]) -> list[RoleStatus]:
        """Those of which it is ours to tell."""
        names = [role.role for role in still]
        claimed = await self._ask(lambda: self._outages.begin(names, self._clock()))
        if claimed is None:
            return list(still)
        for name in names:
            self._open[name].shared = True
        return [role for role in still if role.role in claimed]

    async def _end(self, well: Collection[str]) -> None:
        """Outages that are over: those that the table gives to us, and those that only we know of."""
        if not well:
            return
        rows = await self._ask(lambda: self._outages.end(well, self._clock()))
        if rows is None:
            return  # asked again at the next look
        over = {row.role: row.began_at for row in rows if row.ours}  # who told people may have died before saying so
        elsewhere = {row.role for row in rows if not row.ours}
        for name in well:
            outage = self._open.pop(name, None)
            if outage is not None:
                log.info("a role works again", role=name)
                if outage.told and not outage.shared:
                    over[name] = outage.since
        self._closed |= {*well} - elsewhere - over.keys()
        if over:
            await self._tell_end(over)

    async def _tell_end(self, over: Mapping[str, datetime]) -> None:
        """Say that these work again. Until somebody has, it is asked for again."""
        at = self._clock()
        if await self._herald.tell(lambda team: ended(over, at, team)):
            self._closed |= over.keys()
            await self._ask(lambda: self._outages.end_told(over.keys()))

    async def _ask(self, work: Callable[[], T]) -> T | None:
        """Ask the table on a thread; None when it does not answer in time."""
        try:
            async with asyncio.timeout(TABLE_TIMEOUT):
                return await asyncio.to_thread(work)
        except (Unavailable, TimeoutError) as error:
            log.warning("the table of outages does not answer", because=type(error).__name__)
            return None


def _now() -> float:
    return asyncio.get_running_loop().time()
