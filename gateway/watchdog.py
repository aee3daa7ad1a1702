"""The watchdog: tells people when Tocsin itself stands still, without the help of anything that may stand still.

It runs in the gateway, sees the roles from outside (`gateway/standing.py`) and speaks through the channels itself. All
it needs is one reading of the configuration at some time: it works while Kafka, Postgres, worker and pager are away.

An outage begins when a role has not moved for `watchdog_after` seconds while work waited, and ends when it has worked
again for as long. People hear once of either. Several gateways agree about who tells by a table; while Postgres does
not answer each tells by itself, because twice is better than never.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from domain.config import Config
from gateway.configured import Configured
from gateway.metrics import NOTICES
from gateway.notices import began, ended, recipients, send
from gateway.parts import Parts
from gateway.standing import Standing
from schemas.status import RoleStatus
from streams.channels.base import Notice
from streams.store.base import Unavailable

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
    """Watches `standing`, and tells the team that the settings name. One instance serves one event loop."""

    def __init__(self, parts: Parts, configured: Configured, standing: Standing) -> None:
        self._parts, self._configured, self._standing = parts, configured, standing
        self._after = parts.settings.watchdog_after
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
        visible = self._visible()
        await self._begin([role for role in visible if role.standing_seconds >= self._after], now)
        for role in visible:
            if role.standing_seconds >= self._after / 2:
                self._well_since.pop(role.role, None)
            else:
                self._well_since.setdefault(role.role, now)
        well = {role.role for role in visible if now - self._well_since.get(role.role, now) >= self._after}
        await self._end({role for role in well if role in self._open or role not in self._closed})

    def _visible(self) -> list[RoleStatus]:
        """The roles of which something is known: Postgres alone while it does not answer."""
        roles = list(self._standing.roles())
        return [role for role in roles if role.role == "postgres" or roles[0].standing_seconds == 0.0]

    # -- beginnings and ends ---------------------------------------------------------------------------------------

    async def _begin(self, still: Sequence[RoleStatus], now: float) -> None:
        for role in still:
            since = role.since or self._parts.clock()
            outage = self._open.setdefault(role.role, Outage(since))
            if outage.try_at == 0.0:
                log.error("a role stands still", role=role.role, detail=role.detail, since=since.isoformat())
        untold = [r for r in still if not self._open[r.role].told and now >= self._open[r.role].try_at]
        if not untold:
            return
        for role in untold:
            self._open[role.role].try_at = now + AGAIN
        ours = await self._claim(untold)
        if ours and await self._tell(lambda team: began(ours, team)):
            for role in ours:
                self._open[role.role].told = True
            await self._ask(lambda: self._parts.outages.told([role.role for role in ours]))

    async def _claim(self, still: Sequence[RoleStatus]) -> list[RoleStatus]:
        """Those of which it is ours to tell."""
        names = [role.role for role in still]
        claimed = await self._ask(lambda: self._parts.outages.begin(names, self._parts.clock()))
        if claimed is None:
            return list(still)
        for name in names:
            self._open[name].shared = True
        return [role for role in still if role.role in claimed]

    async def _end(self, well: Collection[str]) -> None:
        """Outages that are over: those that the table gives to us, and those that only we know of."""
        if not well:
            return
        rows = await self._ask(lambda: self._parts.outages.end(well, self._parts.clock()))
        if rows is None:
            return  # asked again at the next look
        over = {row.role: row.began_at for row in rows if row.told}
        for name in well:
            outage = self._open.pop(name, None)
            if outage is not None:
                log.info("a role works again", role=name)
                if outage.told and not outage.shared:
                    over[name] = outage.since
            self._closed.add(name)
        if over:
            at = self._parts.clock()
            await self._tell(lambda team: ended(over, at, team))

    # -- speaking --------------------------------------------------------------------------------------------------

    async def _tell(self, write: Callable[[str], Notice]) -> bool:
        """Say it to everybody who should know; whether anybody could be reached."""
        config = self._configured.known
        team = team_of(self._parts.settings.watchdog_team, config)
        people = recipients(config, team, self._parts.channels) if config else ()
        if not people:
            log.error(
                "there is nobody to tell: set TOCSIN_WATCHDOG_TEAM to a team whose members can be reached", team=team
            )
            return False
        notice = write(team)
        reached = await asyncio.gather(*(send(person, notice) for person in people))
        for done in reached:
            NOTICES.labels("sent" if done else "failed").inc()
        return any(reached)

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


def team_of(setting: str | None, config: Config | None) -> str:
    """The team that the watchdog tells: the one that is set, else the root route's."""
    return setting or (config.root.team or "" if config and config.root else "")
