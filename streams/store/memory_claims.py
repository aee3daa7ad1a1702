"""Claiming work from the store in memory: the same promises as `claims`."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from domain.book import Due, PageRow
from streams.store.base import TOGETHER, ClaimedPage, Taken
from streams.store.memory_pings import HeldDue, MemoryPings
from streams.store.pace import Pace

EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class HeldPage:
    """A page, how it stands, and who has it until when."""

    row: PageRow
    status: str = "queued"
    attempt: int = 0
    possible_repeat: bool = False
    bundled: tuple[str, datetime] | None = None
    claim: str | None = None
    lease_until: datetime | None = None

    @property
    def target(self) -> tuple[str, str]:
        """The person and the method."""
        return self.row.user, self.row.method


@dataclass(slots=True)
class MemoryClaims(MemoryPings):
    """The part of the store in memory that pagers take their work from."""

    _pages: dict[str, HeldPage] = field(default_factory=dict)
    _begun: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)
    _last_tick: datetime = EARLIEST
    _claims: "count[int]" = field(default_factory=lambda: count(1))

    def release_held(self, partitions: Collection[str], now: datetime) -> int:
        with self._changed:
            released = [(row, row.due.held) for row in self._due.values() if row.due.held]
            released = [(row, held) for row, held in released if held.partition in partitions]
            for row, held in released:
                row.due = replace(row.due, at=min(row.due.at, max(held.ready_at, now)), held=None)
            return len(released)

    def claim_due(self, now: datetime, lease: float, limit: int, kind: str) -> list[Due]:
        with self._changed:
            wall = self.wall()
            ripe = [d for d in self._due.values() if d.due.kind == kind and d.due.at <= now and _free(d, wall)]
            taken = sorted(ripe, key=lambda d: d.due.at)[:limit]
            for held in taken:
                held.lease_until = wall + timedelta(seconds=lease)
            return [held.due for held in taken]

    def claim_pages(self, now: datetime, lease: float, limit: int, per_minute: int, together: int = TOGETHER) -> Taken:
        with self._changed:
            held = self._hold(now, Pace(per_minute))
            first: dict[tuple[str, str], tuple[str, datetime] | None] = {}
            ripe = self._ripe(now, together)
            for page in ripe:
                if len(first) < limit:
                    first.setdefault(page.target, page.bundled)
            for target in first:
                self._begun.setdefault(target, []).append(now)
            taken = [page for page in ripe if page.target in first and page.bundled == first[page.target]]
            claim = f"claim-{next(self._claims)}"
            bundle = (claim, self._tick())
            for page in taken:
                page.status, page.claim, page.attempt = "claimed", claim, page.attempt + 1
                page.bundled = page.bundled or bundle
                page.lease_until = self.wall() + timedelta(seconds=lease)
            return Taken([_claimed(page) for page in taken], held)

    def _ripe(self, now: datetime, limit: int) -> list[HeldPage]:
        ripe = [page for page in self._pages.values() if page.status == "queued" and page.row.at <= now]
        return sorted(ripe, key=lambda page: page.row.at)[:limit]

    def _hold(self, now: datetime, pace: Pace) -> int:
        """When somebody who is to be told now has had enough: let all that they are to be told wait for the next."""
        ripe = {page.target for page in self._ripe(now, len(self._pages))}
        room = {target: pace.room_from(self._begun.get(target, ()), now) for target in ripe}
        queued = [page for page in self._pages.values() if page.status == "queued"]
        held = [page for page in queued if page.row.at < room.get(page.target, now) > now]
        for page in held:
            page.row = replace(page.row, at=room[page.target])
        return len(held)

    def _tick(self) -> datetime:
        """A time later than any it gave before: the wall may stand still in a test."""
        self._last_tick = max(self.wall(), self._last_tick + timedelta(microseconds=1))
        return self._last_tick

    def expired_claims(self, limit: int) -> list[ClaimedPage]:
        with self._changed:
            wall = self.wall()
            lost = [page for page in self._pages.values() if page.status == "claimed" and _free(page, wall)][:limit]
            for page in lost:
                page.claim = f"claim-{next(self._claims)}"
                page.lease_until = wall + timedelta(seconds=60)
            return [_claimed(page) for page in lost]


def _free(held: HeldDue | HeldPage, wall: datetime) -> bool:
    return held.lease_until is None or held.lease_until < wall


def _claimed(page: HeldPage) -> ClaimedPage:
    if page.claim is None or page.bundled is None:
        raise AssertionError("a page that nobody claimed")
    return ClaimedPage(page.row, page.claim, *page.bundled, page.attempt, page.possible_repeat)
