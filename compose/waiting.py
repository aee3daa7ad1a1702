"""Waiting for what other processes have to become."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx

from compose.processes import StartError

READY_WITHIN = 60.0  # seconds
LOOK = 0.25
"""Seconds between two looks of a command that waits."""
T = TypeVar("T")


def until(look: Callable[[], T | None], patience: float) -> T | None:
    """The first answer that is one; None when there was none in so many seconds."""
    end = time.monotonic() + patience
    while (found := look()) is None and time.monotonic() < end:
        time.sleep(LOOK)
    return found


async def in_time(is_so: Callable[[], Awaitable[bool]], within: float) -> bool:
    """Ask again and again until it is so; whether it was within so many seconds."""
    try:
        async with asyncio.timeout(within):
            while not await is_so():  # noqa: ASYNC110 - it is another process that we wait for
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
    return True


async def until_ready(gateway_url: str, within: float = READY_WITHIN) -> None:
    """Return when the gateway's `/readyz` answers 200.

    Raises StartError after `within` seconds, with its last answer, which names the dependency that is not ready.
    """
    last = "it does not answer"
    try:
        async with asyncio.timeout(within), httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            while True:
                try:
                    answer = await client.get(f"{gateway_url}/readyz")
                except httpx.HTTPError as error:
                    last = f"it does not answer ({type(error).__name__})"
                else:
                    if answer.status_code == httpx.codes.OK:
                        return
                    last = f"{answer.status_code} {answer.text[:500]}"
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise StartError(f"The gateway at {gateway_url} was not ready within {within:.0f} s: {last}") from error
