"""The configuration as the gateway has it: at most a second old, and the last known one while Postgres is away."""

import asyncio
from collections.abc import Callable

import structlog

from domain.config import Config
from gateway.keyring import Keyring
from streams.store.base import Unavailable

log = structlog.get_logger()

MAX_AGE = 1.0
"""Seconds that a configuration is used without asking again: how long a withdrawn key may still work."""
PATIENCE = 0.2
"""Seconds that requests wait for a reading when there is an old configuration; a reading that hangs delays no more."""
REFRESH = 5.0
"""Seconds between looks when nobody asks, so that an outage finds the latest."""


class Configured:
    """Answers with the latest configuration that could be read.

    Webhooks have to be accepted while Postgres is down, so an old configuration is better than none; it does not
    survive a restart of the process.

    Parameters:
        read: reads the configuration; blocks; raises Unavailable.
    """

    def __init__(self, read: Callable[[], Config]) -> None:
        self._read = read
        self._config: Config | None = None
        self._keyring = Keyring({}, {})
        self._fresh_until = 0.0
        self._reading: asyncio.Task[None] | None = None
        self._patient_until = 0.0
        self._changes = 0

    @property
    def known(self) -> Config | None:
        """The last configuration that could be read; None before the first."""
        return self._config

    async def keyring(self) -> Keyring:
        """Who is known now. Raises Unavailable when no configuration could ever be read."""
        await self._refresh()
        return self._keyring

    def forget(self) -> None:
        """Ask again at the next request, because the configuration has just been changed here. Any thread may."""
        self._changes += 1
        self._fresh_until = 0.0

    async def keep(self) -> None:
        """Look again every few seconds, until cancelled."""
        while True:
            try:
                await self._refresh()
            except Unavailable as error:
                log.warning("no configuration yet", because=str(error))
            except Exception:
                log.exception("the configuration cannot be read")
            await asyncio.sleep(REFRESH)

    async def _refresh(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._fresh_until:
            return
        if self._reading is None:
            self._reading, self._patient_until = asyncio.create_task(self._load()), now + PATIENCE
        if self._config is None:
            await asyncio.shield(self._reading)
        else:
            await asyncio.wait({self._reading}, timeout=max(0.0, self._patient_until - now))

    async def _load(self) -> None:
        """Read once for everybody who waits."""
        changes = self._changes
        try:
            config = await asyncio.to_thread(self._read)
            if self._config is None or config.revision != self._config.revision:
                self._config, self._keyring = config, Keyring.of(config)
        except Unavailable as error:
            if self._config is None:
                raise
            log.warning("the last known configuration is used", because=str(error), revision=self._config.revision)
        finally:
            self._reading = None
            if changes == self._changes:
                self._fresh_until = asyncio.get_running_loop().time() + MAX_AGE
