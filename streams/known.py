"""The latest configuration that could be read, for those who need one whatever has become of the database."""

import asyncio
from collections.abc import Callable

import structlog

from domain.config import Config
from streams.store.base import Unavailable

log = structlog.get_logger()

REFRESH = 15.0
"""Seconds between readings."""


class Known:
    """Reads a configuration again and again. `read` blocks; raises Unavailable."""

    def __init__(self, read: Callable[[], Config]) -> None:
        self._read = read
        self._config: Config | None = None

    def config(self) -> Config | None:
        """The latest; None before the first."""
        return self._config

    async def keep(self) -> None:
        """Keep it fresh, until cancelled."""
        while True:
            try:
                self._config = await asyncio.to_thread(self._read)
            except Unavailable as error:
                log.info("the configuration cannot be read", because=str(error))
            await asyncio.sleep(REFRESH)
