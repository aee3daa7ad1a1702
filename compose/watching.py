"""What roles do beside their work: they say that they live, and the pager watches the gateways, which watch everybody
else.
"""

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

from schemas.settings import Settings
from streams.channels.base import Channel
from streams.clock import Clock
from streams.gateways import Gateways, beating
from streams.known import Known
from streams.notices import Herald
from streams.owned import owned
from streams.store.base import Store
from streams.store.heartbeats import GATEWAY, Heartbeat
from streams.store.outages import Outages
from streams.watchdog import Watchdog


@asynccontextmanager
async def living(dsn: str, role: str) -> AsyncIterator[None]:
    """Say every second beside the body that this role lives. It is said by its event loop: who stands still is mute."""
    heartbeat, thread = Heartbeat(dsn, role), ThreadPoolExecutor(1, "life")
    try:
        async with owned({"life": partial(beating, heartbeat.beat, thread)}):
            yield
    finally:
        thread.shutdown(wait=False)
        heartbeat.close()


@asynccontextmanager
async def gateways_watched(
    settings: Settings, dsn: str, store: Store, clock: Clock, channels: Mapping[str, Channel]
) -> AsyncIterator[None]:
    """Watch beside the body. Whatever goes wrong with that is logged and begun again, and never ends the body."""
    heartbeat = Heartbeat(dsn, GATEWAY)
    known = Known(store.config)
    gateways = Gateways(heartbeat.last, clock, settings.watchdog_after)
    herald = Herald(settings.watchdog_team, channels, known.config)
    watchdog = Watchdog(gateways.roles, herald, Outages(dsn), clock, settings.watchdog_after)
    try:
        async with owned({"configuration": known.keep, "gateways": gateways.watch, "watchdog": watchdog.watch}):
            yield
    finally:
        heartbeat.close()
