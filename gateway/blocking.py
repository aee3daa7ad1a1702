"""Blocking work on threads of its own, and never without an end.

Postgres's own time-outs are the server's: when the server itself stands still (frozen, or behind a broken network)
they never come. People's requests have their own threads, so that a database that hangs takes none from webhooks.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from typing import ParamSpec, TypeVar

from streams.store.base import Unavailable

THREADS = 16
TIMEOUT = 10.0
"""Seconds, waiting for a thread included."""

P = ParamSpec("P")
T = TypeVar("T")

_threads = ThreadPoolExecutor(THREADS, "people")


def in_thread(work: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Blocking `work` as a coroutine function with the same signature, for a route or a dependency.

    It raises what `work` raises, and Unavailable after `TIMEOUT`; the thread then goes on by itself, and what it was
    to save may be saved.
    """

    @wraps(work)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(copy_context().run, work, *args, **kwargs)
        try:
            async with asyncio.timeout(TIMEOUT):
                return await asyncio.get_running_loop().run_in_executor(_threads, call)
        except TimeoutError:
            raise Unavailable(
                f"The database did not answer within {TIMEOUT:g} s; it may be done all the same"
            ) from None

    return run
