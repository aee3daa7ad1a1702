"""What heartbeats of the configuration have said, in memory; and the deadlines, which a ping may bring forward."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.book import Due
from domain.heartbeating import HEARTBEAT
from domain.heartbeats import Ping
from streams.store.base import Listening
from streams.store.memory_inputs import MemoryInputs
from streams.store.pings import MARGIN


@dataclass(slots=True)
class HeldDue:
    """A deadline, and until when somebody has it."""

    due: Due
    lease_until: datetime | None = None


@dataclass(slots=True)
class MemoryPings(MemoryInputs):
    """The part of the store in memory that remembers pings. `heard` is what `listening` says."""

    heard: Listening = field(default_factory=lambda: Listening(timedelta()))
    _pings: dict[str, Ping] = field(default_factory=dict)
    _due: dict[tuple[str, str], HeldDue] = field(default_factory=dict)

    def ping(self, heartbeat: str, at: datetime) -> None:
        with self._changed:
            before = self._pings.get(heartbeat, Ping(at))
            self._pings[heartbeat] = replace(before, at=max(before.at or at, at))
            held = self._due.get((HEARTBEAT, heartbeat))
            if held is None or held.due.at <= at + MARGIN:
                rev = held.due.rev if held else 0
                self._due[HEARTBEAT, heartbeat] = HeldDue(Due(HEARTBEAT, heartbeat, at, rev + 1))

    def end_ping(self, heartbeat: str, at: datetime) -> None:
        with self._changed:
            before = self._pings.get(heartbeat)
            if before is None or (before.at and before.at > at):
                return
            self._pings[heartbeat] = replace(before, ended_at=max(before.ended_at or at, at))
            held = self._due.get((HEARTBEAT, heartbeat))
            sooner, rev = (min(held.due.at, at), held.due.rev) if held else (at, 0)
            self._due[HEARTBEAT, heartbeat] = HeldDue(Due(HEARTBEAT, heartbeat, sooner, rev + 1))

    def folded_until(self, at: datetime) -> None:
        self.heard = replace(self.heard, folded=max(self.heard.folded or at, at))

    def expect(self, heartbeat: str, since: datetime) -> None:
        with self._changed:
            self._pings.setdefault(heartbeat, Ping(since))

    def forget_pings(self, heartbeat: str) -> None:
        with self._changed:
            self._pings.pop(heartbeat, None)

    def pings(self, heartbeats: Collection[str]) -> Mapping[str, Ping]:
        with self._changed:
            return {name: self._pings[name] for name in heartbeats if name in self._pings}

    def listening(self) -> Listening:
        return self.heard
