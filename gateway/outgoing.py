"""The heartbeat that Tocsin itself sends: somebody outside hears of it again and again, or tells people that it fell
silent.

A URL is asked for while worker and pager move, as this gateway sees them (`standing`), and not otherwise: who is deaf
or dumb must not say that all is well. The URL may hold a token, so it is written down nowhere.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import httpx
import structlog
from prometheus_client import Counter, Gauge

from schemas.status import RoleStatus

log = structlog.get_logger()

NEEDED = frozenset({"worker", "pager", "postgres"})
"""What has to be well: without it an alert may come in and reach nobody."""
TIMEOUT = 10.0
"""Seconds for one attempt, whatever it waits for."""
ATTEMPTS = 3
PAUSE = 2.0
"""Seconds between attempts, with jitter."""
JITTER = 0.2
"""Which part of the interval, at most, the next one comes earlier."""

SENT = Counter(
    "tocsin_outgoing_heartbeats_total",
    "Heartbeats that were sent, failed, or were withheld because worker or pager stand still.",
    ["result"],
)
LAST = Gauge("tocsin_outgoing_heartbeat_timestamp_seconds", "When the last heartbeat was sent.")

Sleep = Callable[[float], Awaitable[None]]


class OutgoingHeartbeat:
    """Sends heartbeats. One instance serves one event loop.

    Parameters:
        url: what is asked for, by GET; any answer below 400 will do.
        interval: the seconds between heartbeats at most.
        roles: how those are of which something is known now.
        sleep: how to wait; tests do not.
    """

    def __init__(
        self, url: str, interval: float, roles: Callable[[], Sequence[RoleStatus]], sleep: Sleep = asyncio.sleep
    ) -> None:
        self._url, self._interval, self._roles, self._sleep = url, interval, roles, sleep
        self._said: tuple[str, str] | None = None

    async def keep(self) -> None:
        """Send until cancelled."""
        async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
            while True:
                await self.beat(client)
                await self._sleep(self._interval * random.uniform(1 - JITTER, 1))  # noqa: S311

    async def beat(self, client: httpx.AsyncClient) -> None:
        """Send one, if all that is needed is well."""
        unwell = sorted(NEEDED - {role.role for role in self._roles() if role.ok})
        if unwell:
            self._tell("withheld", because=", ".join(unwell))
            return
        because = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._sleep(random.uniform(PAUSE / 2, PAUSE))  # noqa: S311
            because = await self._ask(client)
            if not because:
                LAST.set_to_current_time()
                self._tell("sent")
                return
        self._tell("failed", because=because)

    async def _ask(self, client: httpx.AsyncClient) -> str:
        """Why it did not work, without the URL; empty when it did."""
        try:
            async with asyncio.timeout(TIMEOUT), client.stream("GET", self._url) as response:
                return "" if response.status_code < 400 else f"the answer is {response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return type(error).__name__

    def _tell(self, result: str, because: str = "") -> None:
        """Count it, and log when it is not as it was."""
        SENT.labels(result).inc()
        if (result, because) != self._said:
            write = log.info if result == "sent" else log.warning
            write("outgoing heartbeat", result=result, because=because or None)
        self._said = (result, because)
