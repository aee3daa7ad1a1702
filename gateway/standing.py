"""Who stands still: every role's lag, seen from here and not by the role itself.

A role has lanes: each partition of `alerts` for the worker, deadlines and pages for the pager, the log for those that
follow it. Worker, pager and projector also have one for the sign of life that each leaves every second: who has nothing
to do and is dead is missed, too. Of each lane we know how far it is and how far it could be. It *stands still* while
work waits in it and it does not move; it *lags* by the time that what was wanted at some moment takes to be reached.
Both are measured by this process's own monotonic clock, from the moment it first saw it, so neither a moved clock nor a
frozen role can lie.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from gateway.metrics import LAG_ITEMS, LAG_SECONDS, STANDING_SECONDS
from gateway.parts import Parts
from projections.lag import Marks, Overdue
from schemas.status import RoleName, RoleStatus, Status
from streams.store.base import StoreError

log = structlog.get_logger()

EVERY = 1.0
"""Seconds between looks."""
LOOK_TIMEOUT = 2.0
"""Seconds after which a look counts as unanswered; it goes on, and is not begun again before it has ended."""
GAP = 2 * (EVERY + LOOK_TIMEOUT)
"""Seconds without a look after which we ourselves stood still (a stopped process, a paused machine), and begin anew."""
STANDS_STILL = 15.0
"""Seconds without any movement while work waits, after which a role is called not ok."""

LIFE = "life"
"""The lane of signs of life: nothing that waits to be done."""
SILENT = 3.0
"""Seconds without a sign of life that are nothing yet."""
RESTS: Mapping[RoleName, float] = {"sealer": 15.0}
"""Seconds that a role lets work wait on purpose: a seal is made every ten."""

REMEDIES: Mapping[RoleName, str] = {
    "worker": "See that a worker runs and that it reaches Kafka and Postgres; its log says what it waits for.",
    "pager": "Nobody is paged. See that a pager runs and that it reaches Postgres and the mail server.",
    "projector": "Lists and timelines are old; acknowledging works. See that a projector runs; its log says why.",
    "relay": "Other systems hear nothing. See that a projector runs and that it reaches Kafka.",
    "sealer": "New decisions are not signed. See that a projector runs and that it can write its file of seals.",
    "postgres": "Nothing is decided and nobody is paged. See that Postgres runs and can be reached.",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One lane at one moment: how far it is, how far it could be, and how much waits in between."""

    role: RoleName
    name: str
    reached: int
    goal: int
    waiting: int
    what: str


@dataclass(slots=True)
class Lane:
    """What is remembered of a lane between looks. Times are the loop's, in seconds."""

    last: Reading
    moved_at: float
    wanted: int
    wanted_at: float

    @classmethod
    def begun(cls, reading: Reading, now: float) -> "Lane":
        """A lane seen for the first time."""
        return cls(reading, now, reading.goal, now)

    def see(self, reading: Reading, now: float) -> None:
        """The lane as it is now."""
        if reading.reached != self.last.reached or not reading.waiting:
            self.moved_at = now
        if reading.reached >= self.wanted or not reading.waiting:
            self.wanted, self.wanted_at = reading.goal, now
        self.last = reading

    def still(self, now: float) -> float:
        """Seconds that it has not moved while work waited, beyond the time that it may rest."""
        return max(0.0, now - self.moved_at - RESTS.get(self.last.role, 0.0)) if self.last.waiting else 0.0

    def lag(self, now: float) -> float:
        """Seconds that the oldest waiting work has been seen to wait, at least."""
        return now - self.wanted_at if self.last.reached < self.wanted else 0.0


class Standing:
    """Looks at every role, as the gateway made of `parts` can see it. One instance serves one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lanes: dict[tuple[RoleName, str], Lane] = {}
        self._looking: asyncio.Task[None] | None = None
        self._unseen_since: float | None = None
        self._unseen_why = ""
        self._seen_at = 0.0

    async def watch(self, then: Callable[[], None] = lambda: None) -> None:
        """Look every second until cancelled; `then` is called after each look."""
        while True:
            await self.look()
            then()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Look once; returns after `LOOK_TIMEOUT` at the latest, whether there was an answer or not."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="look")
        done, _ = await asyncio.wait({self._looking}, timeout=LOOK_TIMEOUT)
        if not done:
            self._unseen(f"no answer within {LOOK_TIMEOUT:g} s")
        self._measure()

    def status(self) -> Status:
        """Every role as of the last look."""
        roles = tuple(self.roles())
        return Status(ok=all(role.ok for role in roles), roles=roles)

    def visible(self) -> list[RoleStatus]:
        """The roles of which something is known now: Postgres alone while it does not answer."""
        return [self._postgres()] if self._unseen_since is not None else list(self.roles())

    def roles(self) -> Iterator[RoleStatus]:
        """The roles that were ever seen, and Postgres, without which none can be seen."""
        yield self._postgres()
        for role in dict.fromkeys(role for role, _ in self._lanes):
            yield self._role(role)

    # -- looking ---------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        try:
            marks = await asyncio.to_thread(self._parts.lags.look, self._parts.clock())
        except StoreError as error:
            self._unseen(str(error))
        except Exception as error:
            log.exception("how far the roles are cannot be read")
            self._unseen(type(error).__name__)
        else:
            self._see(marks)
        finally:
            self._looking = None

    def _unseen(self, why: str) -> None:
        self._unseen_why = why
        if self._unseen_since is None:
            self._unseen_since = _now()

    def _see(self, marks: Marks) -> None:
        now = _now()
        if self._unseen_since is not None or now - self._seen_at > GAP:  # unseen, nobody stood still by our word
            self._unseen_since = None
            self._lanes.clear()
        self._seen_at = now
        for reading in readings(marks, self._ends(), self._parts.clock()):
            key = (reading.role, reading.name)
            if key in self._lanes:
                self._lanes[key].see(reading, now)
            else:
                self._lanes[key] = Lane.begun(reading, now)

    def _ends(self) -> Mapping[int, int]:
        """The last record of each partition that is known to be there: acknowledged to us, or seen by Kafka's word."""
        known, ours = self._parts.ends.known, self._parts.intake.acknowledged
        return {partition: max(known.get(partition, -1), ours.get(partition, -1)) for partition in {*known, *ours}}

    # -- telling ---------------------------------------------------------------------------------------------------

    def _postgres(self) -> RoleStatus:
        if self._unseen_since is None:
            return self._status("postgres", 0.0, 0.0, 0, "answers")
        still = _now() - self._unseen_since
        return self._status("postgres", still, still, 0, f"{self._unseen_why}; for {still:.0f} s nothing can be seen")

    def _role(self, role: RoleName) -> RoleStatus:
        now = self._seen_at  # what has become of it since then nobody knows
        lanes = [lane for (name, _), lane in self._lanes.items() if name == role]
        waiting = [lane.last for lane in lanes if lane.last.waiting]
        amounts = {what: sum(one.waiting for one in waiting if one.what == what) for what in {o.what for o in waiting}}
        detail = ", ".join(f"{amount} {what}" for what, amount in sorted(amounts.items())) or "nothing waits"
        work = sum(one.waiting for one in waiting if one.name != LIFE)
        still = 0.0 if self._unseen_since is not None else max(lane.still(now) for lane in lanes)
        lag = max(lane.lag(now) for lane in lanes)
        if still >= STANDS_STILL:
            detail += f", nothing has moved for {still:.0f} s"
        elif lag >= STANDS_STILL:
            detail += f", {lag:.0f} s behind"
        return self._status(role, still, lag, work, detail)

    def _status(self, role: RoleName, still: float, lag: float, waiting: int, detail: str) -> RoleStatus:
        ok = still < min(STANDS_STILL, self._parts.settings.watchdog_after)
        return RoleStatus(
            role=role,
            ok=ok,
            waiting=waiting,
            lag_seconds=round(lag, 1),
            standing_seconds=round(still, 1),
            since=self._parts.clock() - timedelta(seconds=still) if still else None,
            detail=detail,
            remedy="" if ok else REMEDIES.get(role, ""),
        )

    def _measure(self) -> None:
        for status in self.roles():
            LAG_SECONDS.labels(status.role).set(status.lag_seconds)
            LAG_ITEMS.labels(status.role).set(status.waiting)
            STANDING_SECONDS.labels(status.role).set(status.standing_seconds)


def readings(marks: Marks, ends: Mapping[int, int], now: datetime) -> Iterator[Reading]:
    """Every lane of every role. `ends`: partition of `alerts` -> offset of the last record known to be there."""
    for partition in sorted({*marks.tracking, *ends}):
        folded = marks.tracking.get(partition, -1)
        end = max(folded, ends.get(partition, -1))
        yield Reading("worker", f"partition {partition}", folded, end, end - folded, "receipts wait to be folded")
    yield _rows("worker", "inbox", marks.inbox, now, "receipts wait in the inbox")
    yield _rows("pager", "due", marks.due, now, "deadlines are overdue")
    yield _rows("pager", "pages", marks.pages, now, "pages are overdue")
    for living, silence in marks.silent.items():
        missed = int(silence > SILENT)
        yield Reading(living, LIFE, 0, missed, missed, "sign of life is missing")
    for role in ("projector", "relay", "sealer"):
        if role in marks.reached:
            reached = marks.reached[role]
            waiting = max(0, marks.head - reached)
            yield Reading(role, "log", reached, marks.head, waiting, "events behind")


def _rows(role: RoleName, name: str, overdue: Overdue, now: datetime, what: str) -> Reading:
    """Rows that are taken in the order of their times: reached is the oldest that waits, wanted is now."""
    return Reading(role, name, _micros(overdue.oldest or now), _micros(now), overdue.rows, what)


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def _now() -> float:
    return asyncio.get_running_loop().time()
