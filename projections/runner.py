"""The projector: keeps the read models up with the log.

One works, the others stand by. The session that holds the lock is the session that writes, so whoever writes has the
lock: when the connection is lost, so is the lock, and nothing of the batch that was under way stays behind. How far
the read models are is asked of them before every batch, never remembered.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog
from prometheus_client import Counter as CounterMetric
from prometheus_client import Gauge

from projections.database import READ_SCHEMA, asking, conninfo
from projections.tables import Connection, ProjectionFailed, apply
from streams.failpoints import effect, reach
from streams.store.base import Recorded, Store, Unavailable, WrongStore
from streams.store.limits import MARGIN, Limited
from streams.store.recorder import BY_KEY

log = structlog.get_logger()

T = TypeVar("T")
InThread = Callable[[Callable[[], T]], Awaitable[T]]

LOCK = 7203
BATCH = 500
POLL = 0.5
"""Seconds between looks at the log when nobody says that there is something new."""
GATHER = 0.03
"""Seconds that events gather after a batch that was not full."""
STANDBY = 0.5
"""Seconds between a standby's attempts at the lock."""
STATEMENT_TIMEOUT = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between attempts while Postgres does not answer; doubled every time, with jitter."""

LEADS = Gauge("tocsin_projection_leads", "1 while this projector works, 0 while it stands by.")
POSITION = Gauge("tocsin_projection_position", "Position in the log that the read models have reached.")
LAG = Gauge("tocsin_projection_lag_events", "Events in the log that the read models do not have yet.")
EVENTS = CounterMetric("tocsin_projection_events_total", "Events projected, by type.", ["type"])


class Session:
    """The one connection that may write the read models of a schema, and the lock that it holds.

    Who writes takes the row of the cursor first: a rebuild that swaps schemas locks it, so nobody has written half a
    batch into tables that are then replaced.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @classmethod
    def open(cls, dsn: str, schema: str) -> "Session | None":
        """Connect and take the lock; None when another projector has it. Raises Unavailable."""
        with asking():
            connection = Limited.connect(
                conninfo(dsn, (schema,), STATEMENT_TIMEOUT, **BY_KEY), autocommit=True, limit=STATEMENT_TIMEOUT + MARGIN
            )
            try:
                query = "select pg_try_advisory_lock(%s, hashtext(%s))"
                with effect("lead_projection"):
                    row = connection.execute(query, (LOCK, schema)).fetchone()
            except BaseException:
                connection.close()
                raise
        if row and row[0]:
            return cls(connection)
        connection.close()
        return None

    def position(self) -> int:
        """How far the read models are. Raises Unavailable when the connection, and the lock with it, is lost."""
        with asking():
            row = self.connection.execute("select position from cursor").fetchone()
        if row is None:
            raise WrongStore("the read models have no cursor: rebuild them")
        return int(row[0])

    def apply(self, position: int, events: Sequence[Recorded]) -> None:
        """Write what `events` change, and the cursor from `position` to the last of them, in one transaction."""
        with asking(), effect("project"), self.connection.transaction():
            row = self.connection.execute("select position from cursor for update").fetchone()
            if row != (position,):
                raise ProjectionFailed(f"the cursor moved from position {position} without the lock")
            apply(self.connection, events)
            self.connection.execute("update cursor set position = %s", (events[-1].position,))
            reach("project:commit")

    def close(self) -> None:
        """Let go of the lock."""
        self.connection.close()


@dataclass(slots=True)
class Projector:
    """Projects a store's log into one schema.

    Parameters:
        store: the log; its own, because waiting for news holds a connection.
        dsn: libpq connection string of the database that has the read models.
        schema: theirs; migrated by `migrate(dsn, "projections", schema)`.
        batch: events per transaction at most.
    """

    store: Store
    dsn: str
    schema: str = READ_SCHEMA
    batch: int = BATCH
    _session: Session | None = None
    _failures: int = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Work, or stand by, until `stopping` is set; waits for Postgres as long as it does not answer.

        Raises ProjectionFailed when an event cannot be projected (it is never skipped), WrongStore when the read
        models are not this store's. Blocking work is done on one thread of its own, so that a cancelled run gives
        its connection back only after the batch that was under way.
        """
        with ThreadPoolExecutor(1, "projector") as thread:
            in_thread = partial(asyncio.get_running_loop().run_in_executor, thread)
            try:
                while not stopping.is_set():
                    await self._round(in_thread, stopping)
            finally:
                await in_thread(self.leave)

    async def _round(self, in_thread: "InThread[int | None]", stopping: asyncio.Event) -> None:
        try:
            projected = await in_thread(self.step)
        except Unavailable as error:
            await in_thread(self.leave)
            await _sleep(self._after_failure(error), stopping)
            return
        if self._failures:
            log.info("Postgres answers again", attempts=self._failures)
            self._failures = 0
        if projected is None:
            await _sleep(STANDBY, stopping)
        elif projected == 0:
            await in_thread(partial(self.store.wait, POLL))
        elif projected < self.batch:
            await _sleep(GATHER, stopping)

    def _after_failure(self, error: Unavailable) -> float:
        """Say once that Postgres is away; returns the seconds until the next attempt."""
        if not self._failures:
            log.warning("read models stand still: waiting for Postgres", because=str(error))
        self._failures += 1
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures, 10))
        return random.uniform(FIRST_PAUSE, longest)  # noqa: S311

    # -- the steps of the work, each complete in itself ------------------------------------------------------------

    def step(self) -> int | None:
        """Project one batch; returns how many events, or None when another projector works. Blocks.

        Raises Unavailable, and as `run` does.
        """
        session = self._session or self._enter()
        if session is None:
            return None
        position = session.position()
        events = self._tail(position)
        if events:
            session.apply(position, events)
        self._measure(position, events)
        return len(events)

    def _enter(self) -> Session | None:
        self._session = Session.open(self.dsn, self.schema)
        LEADS.set(1 if self._session else 0)
        if self._session:
            log.info("projecting", schema=self.schema, position=self._session.position())
        return self._session

    def _tail(self, position: int) -> list[Recorded]:
        try:
            return self.store.tail(position, self.batch)
        except Unavailable:
            raise
        except Exception as error:
            raise ProjectionFailed(f"the events after position {position} cannot be read: {error}") from error

    def _measure(self, position: int, events: Sequence[Recorded]) -> None:
        reached = events[-1].position if events else position
        head = self.store.head()
        if head < reached:
            raise WrongStore(f"the read models are at position {reached}, but the log ends at {head}: rebuild them")
        POSITION.set(reached)
        LAG.set(head - reached)
        for kind, amount in Counter(event.type for event in events).items():
            EVENTS.labels(kind).inc(amount)

    def leave(self) -> None:
        """Give up the lock, if this projector has it."""
        session, self._session = self._session, None
        LEADS.set(0)
        if session:
            session.close()


async def _sleep(seconds: float, stopping: asyncio.Event) -> None:
    """Sleep, but no longer than until `stopping` is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
