"""Whether any gateway lives. Gateways watch every other role; the last of them is watched by the pager.

Each gateway writes the same row every second (`beating`). The pager looks whether the row changes (`Gateways`), by its
own monotonic clock, so that neither a moved clock nor a frozen gateway can lie. What it sees goes to a watchdog of its
own, which tells people once per outage as the gateway's does of other roles.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import datetime, timedelta

import structlog

from schemas.status import RoleStatus
from streams.clock import Clock
from streams.store.base import Unavailable

log = structlog.get_logger()

EVERY = 1.0
"""Seconds between heartbeats, and between looks."""
REST = 3.0
"""Seconds without one that are nothing yet."""
GAP = 8.0
"""Seconds without a look after which we ourselves stood still, and begin anew."""
REMEDY = (
    "No webhook is taken and nobody can acknowledge. See that a gateway runs and that it reaches Postgres; its log "
    "says what it waits for."
)


async def beating(beat: Callable[[], None], thread: Executor | None = None) -> None:
    """Say that this role lives, until cancelled. `beat` blocks; raises Unavailable. It is run on a thread of `thread`:
    the loop's own may all be waiting for something.
    """
    failures = 0
    while True:
        try:
            await asyncio.get_running_loop().run_in_executor(thread, beat)
            failures = 0
        except Unavailable as error:
            failures += 1
            if failures == 1:
                log.warning("no heartbeat can be left", because=str(error))
        await asyncio.sleep(EVERY)


class Gateways:
    """What is known of all gateways together. One instance serves one event loop.

    Parameters:
        heard: when any of them left a heartbeat last, None if that never was; blocks; raises Unavailable.
        after: the seconds without any after which it is not ok.
    """

    def __init__(self, heard: Callable[[], datetime | None], clock: Clock, after: float) -> None:
        self._heard, self._clock, self._after = heard, clock, after
        self._last: datetime | None = None
        self._moved_at: float | None = None
        self._looked_at = 0.0

    async def watch(self) -> None:
        """Look every second until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Look once. Time in which Postgres does not answer counts against nobody."""
        try:
            last = await asyncio.to_thread(self._heard)
        except Unavailable:
            self._moved_at = None
            return
        now = _now()
        if last != self._last or self._moved_at is None or now - self._looked_at > GAP:
            self._last, self._moved_at = last, now
        self._looked_at = now

    def roles(self) -> Sequence[RoleStatus]:
        """The gateways as one role, if there ever was one and something can be seen."""
        if self._last is None or self._moved_at is None:
            return ()
        still = max(0.0, self._looked_at - self._moved_at - REST)
        ok = still < self._after
        return (
            RoleStatus(
                role="gateway",
                ok=ok,
                waiting=0,
                lag_seconds=round(still, 1),
                standing_seconds=round(still, 1),
                since=self._clock() - timedelta(seconds=still) if still else None,
                detail=f"no gateway has left a heartbeat for {still:.0f} s" if still else "leaves heartbeats",
                remedy="" if ok else REMEDY,
            ),
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
