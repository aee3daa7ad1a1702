"""What came in, in memory: the inbox, what could not be decided, and answers by idempotency key."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from streams.store.base import Answered, DeadLetter, InboxRow


@dataclass(slots=True)
class _Inbox:
    row: InboxRow
    folded: bool = False
    forwarded: bool = False
    leased: datetime | None = None
    forwarding: datetime | None = None


@dataclass(slots=True)
class MemoryInputs:
    """The part of the store in memory that keeps inputs. `wall` is the unmoved clock that leases are measured with."""

    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    _inbox: dict[tuple[str, int], _Inbox] = field(default_factory=dict)
    _dead: dict[tuple[str, int], DeadLetter] = field(default_factory=dict)
    _commands: dict[tuple[str, str], Answered] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    def answered(self, api_key: str, key: str) -> Answered | None:
        with self._changed:
            return self._commands.get((api_key, key))

    def put_inbox(self, rows: Collection[InboxRow]) -> None:
        with self._changed:
            for row in rows:
                self._inbox.setdefault((row.receipt, row.part), _Inbox(row))
            self._changed.notify_all()

    def claim_inbox(self, lease: float, limit: int) -> list[InboxRow]:
        with self._changed:
            wall = self.wall()
            ripe = [i for i in self._inbox.values() if not i.folded and (i.leased is None or i.leased < wall)]
            taken = sorted(ripe, key=lambda i: (i.row.received_at, i.row.receipt, i.row.part))[:limit]
            for held in taken:
                held.leased = wall + timedelta(seconds=lease)
            return [held.row for held in taken]

    def claim_unforwarded(self, lease: float, limit: int) -> list[InboxRow]:
        with self._changed:
            wall = self.wall()
            ripe = [
                i for i in self._inbox.values() if not i.forwarded and (i.forwarding is None or i.forwarding < wall)
            ]
            taken = sorted(ripe, key=lambda i: (i.row.received_at, i.row.receipt, i.row.part))[:limit]
            for held in taken:
                held.forwarding = wall + timedelta(seconds=lease)
            return [held.row for held in taken]

    def inbox_waits(self, before: datetime) -> bool:
        with self._changed:
            return any(not held.folded and held.row.received_at < before for held in self._inbox.values())

    def mark_forwarded(self, rows: Collection[InboxRow]) -> None:
        with self._changed:
            for row in rows:
                self._inbox[row.receipt, row.part].forwarded = True

    def dead_letters(self, receipt: str) -> list[DeadLetter]:
        with self._changed:
            found = [dead for dead in self._dead.values() if dead.receipt == receipt]
            return sorted(found, key=lambda dead: (dead.pointer, dead.index))
