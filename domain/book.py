"""The book a decision is made in: the states it may look at, and everything it writes.

A book is opened on states that were loaded together, takes any number of decisions one after the other (each sees
what the ones before it wrote), and is then saved in one transaction. Nothing in it does I/O. The save succeeds
only if every stream, row and deadline that was looked at is still as it was; otherwise all is decided again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from domain.alerts import AlertRow
from domain.belonging import Part
from domain.config import Config
from domain.correlating import Candidate, Candidates, Spot
from domain.decision import RULES_VERSION, Cause, Decision, PayloadRef, seal
from domain.events import Event, State, evolve, initial
from domain.inhibition import Inhibitor, Place, Side, Source, inhibitor

S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A stream as it stands: its state, its version (0: no events), the hash of its last event, its last time."""

    state: State
    version: int = 0
    tip: bytes = b""
    last_at: datetime | None = None

    @classmethod
    def absent(cls, stream: str) -> "Loaded":
        """A stream that has no events yet."""
        return cls(initial(stream))


class Lazily(dict[str, Loaded]):
    """Every stream there is, read by `read` when it is looked at, and what a book that is opened on it changes.

    There is no stream that is not there, only some without events.
    """

    def __init__(self, read: Callable[[str], Loaded]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, stream: str) -> Loaded:
        self[stream] = self._read(stream)
        return self[stream]

    def __contains__(self, stream: object) -> bool:
        return True

    def get(self, stream: str, default: object = None) -> Loaded:
        """The stream."""
        return self[stream]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event to be saved, and why it was decided."""

    stream: str
    version: int
    event: Event
    decision: Decision


@dataclass(frozen=True, slots=True)
class Held:
    """Why a deadline was put off: `partition` is being caught up with. Then it comes at `ready_at`, or at once."""

    partition: str
    ready_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline: `kind` names its handler, `key` what it is for. `rev` guards it: a put or drop must meet it.

    One that is `held` is brought forward when its partition is caught up with.
    """

    kind: str
    key: str
    at: datetime
    rev: int = 0
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class PageRow:
    """What is to be said to whom: the write-side row that pagers claim. `at` is the earliest time."""

    id: str
    escalation: str
    incident: str
    user: str
    method: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PendingPage:
    """A page that is not yet said: `claimed` when a pager already hands it to a channel."""

    id: str
    claimed: bool


@dataclass(slots=True)
class Book:
    """States in, decisions out.

    Parameters:
        org: the organisation, part of every derived identifier.
        config: the configuration that decides; its revision is part of every decision.
        streams: the loaded streams, keyed by stream id; absent ones as `Loaded.absent`.
        alerts: the loaded alert rows, keyed by alert id.
        pending: pages queued or claimed, keyed by escalation; the streams of the queued ones are loaded too.
        sources: firing alerts that inhibit, by their place: some of them, of either power (`Store.sources`).
        candidates: open incidents that alerts may join, where these look for them.
        standing: where the loaded alerts stand that are known to inhibit or to be inhibited.
        numbers: incident numbers, taken one by one.
        tz_version: version of the time zone data that deadlines are computed with.
    """

    org: str
    config: Config
    streams: dict[str, Loaded]
    alerts: dict[str, AlertRow] = field(default_factory=dict)
    pending: Mapping[str, tuple[PendingPage, ...]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: iter(()))
    tz_version: str = ""
    sources: dict[Place, dict[str, Source]] = field(default_factory=dict)
    standing: dict[str, tuple[Side, ...]] = field(default_factory=dict)
    candidates: Candidates = field(default_factory=Candidates)
    entries: list[Entry] = field(default_factory=list)
    changed_alerts: dict[str, AlertRow] = field(default_factory=dict)
    alert_revs: dict[str, int] = field(default_factory=dict)
    due_put: dict[tuple[str, str], Due] = field(default_factory=dict)
    due_dropped: dict[tuple[str, str], int | None] = field(default_factory=dict)
    due_by: dict[tuple[str, str], datetime] = field(default_factory=dict)
    due_woken: dict[tuple[str, str], datetime] = field(default_factory=dict)
    moved: dict[tuple[Part, str], str] = field(default_factory=dict)
    pages_put: list[PageRow] = field(default_factory=list)
    pages_cancelled: list[str] = field(default_factory=list)
    payloads: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    placed: dict[str, tuple[Side, ...]] = field(default_factory=dict)
    displaced: set[str] = field(default_factory=set)
    uninhibited: set[tuple[Place, str, bool]] = field(default_factory=set)
    relied_before: set[tuple[Place, bool]] = field(default_factory=set)
    relied_after: set[tuple[Place, bool]] = field(default_factory=set)
    inhibited_by: set[tuple[Place, str]] = field(default_factory=set)
    stirred: dict[Place, datetime] = field(default_factory=dict)
    opened: dict[Spot, tuple[Candidate, ...]] = field(default_factory=dict)
    alone: dict[Spot, datetime] = field(default_factory=dict)
    _base: dict[str, int] = field(default_factory=dict)
    _decision: Decision | None = None
    _reads: dict[str, int] = field(default_factory=dict)
    _written: list[tuple[str, int, Event]] = field(default_factory=list)

    def begin(self, cause: Cause, at: datetime, involved: Iterable[str] = ()) -> datetime:
        """Start a decision at `at`, or at the last time of an `involved` stream if that is later; returns that time.

        Streams never run backwards, and the time does not depend on what else is in the batch. It depends on the
        involved streams, which therefore count as read.
        """
        if self._decision is not None:
            self.end()
        now = self._latest(at, involved)
        self._decision = Decision(now, cause, self.config.revision, RULES_VERSION, self.tz_version)
        return now

    def involve(self, involved: Iterable[str]) -> datetime:
        """The current decision, which has written nothing yet, involves more streams; returns its time, as `begin`."""
        if self._decision is None:
            raise RuntimeError("streams are involved outside a decision")
        now = self._latest(self._decision.decided_at, involved)
        self._decision = replace(self._decision, decided_at=now)
        return now

    def _latest(self, at: datetime, involved: Iterable[str]) -> datetime:
        for stream in involved:
            loaded = self.streams.get(stream)
            if loaded and loaded.last_at:
                self._look(stream, loaded)
                at = max(at, loaded.last_at)
        return at

    def end(self) -> None:
        """Close the current decision: its events get the list of what it read. Other reads are forgotten."""
        if self._decision is None:
            self._reads.clear()
            return
        written = {stream for stream, _, _ in self._written}
        reads = tuple(sorted((s, v) for s, v in self._reads.items() if s not in written))
        made = self._decision
        decision = (
            Decision(made.decided_at, made.cause, made.config_revision, made.rules_version, made.tz_version, reads)
            if reads
            else made
        )
        self.entries += [Entry(*event, decision) for event in self._written]
        self._decision = None
        self._written.clear()
        self._reads.clear()

    def read(self, stream: str, expected: type[S]) -> S:
        """The state of a stream as this book has it. Raises KeyError when it was neither loaded nor created here."""
        loaded = self.streams[stream]
        if stream not in self._reads:
            self._look(stream, loaded)
        if not isinstance(loaded.state, expected):
            raise TypeError(f"{stream} is not a {expected.__name__}")
        return loaded.state

    def _look(self, stream: str, loaded: Loaded) -> None:
        self._reads.setdefault(stream, loaded.version)
        self._base.setdefault(stream, loaded.version)

    def write(self, stream: str, *events: Event) -> None:
        """Append events to a stream; one that was not loaded is taken to be new (the save refuses if it is not)."""
        if self._decision is None:
            raise RuntimeError("write outside a decision")
        for event in events:
            loaded = self.streams.get(stream) or Loaded.absent(stream)
            self._base.setdefault(stream, loaded.version)
            now = self._decision.decided_at
            state = evolve(stream, loaded.state, event)
            self.streams[stream] = Loaded(state, loaded.version + 1, loaded.tip, now)
            self._written.append((stream, loaded.version + 1, event))

    @property
    def correlation_id(self) -> str:
        """What ties the current decision to the request it follows from; empty outside a decision."""
        return self._decision.cause.correlation_id if self._decision else ""

    def next_number(self) -> int:
        """The next incident number."""
        return next(self.numbers)

    def put_alert(self, row: AlertRow) -> None:
        """Remember an alert, with a `rev` one above what it was; the save refuses unless the row is as loaded."""
        before = self.alerts.get(row.id)
        rev = before.rev if before else 0
        if row.rev != rev + 1:
            raise ValueError(f"alert {row.id} is at revision {rev}, not {row.rev - 1}")
        self.alert_revs.setdefault(row.id, rev)
        self.alerts[row.id] = self.changed_alerts[row.id] = row

    def move_alerts(self, part: Part, before: str, after: str) -> None:
        """Have the rows of an episode's alerts say `after` where they say that they belong to the incident `before`."""
        self.moved[part, before] = after

    def put_due(self, due: Due) -> None:
        """Set a deadline (`due.rev` is the one it replaces, 0 for a new one)."""
        self.due_put[due.kind, due.key] = due
        self.due_dropped.pop((due.kind, due.key), None)

    def drop_due(self, kind: str, key: str, rev: int | None = None) -> None:
        """Delete a deadline; with `rev`, only that one (a pager deletes just what it claimed)."""
        self.due_put.pop((kind, key), None)
        self.due_dropped[kind, key] = rev

    def ensure_due(self, kind: str, key: str, at: datetime) -> None:
        """Have a deadline at `at` or earlier, whatever there is now."""
        self.due_by[kind, key] = min(at, self.due_by.get((kind, key), at))

    def wake(self, kind: str, key: str, at: datetime) -> None:
        """Have a deadline at `at` or earlier that is met after this is saved: who has claimed it already, and so may
        have looked before, meets it in vain.
        """
        self.due_woken[kind, key] = min(at, self.due_woken.get((kind, key), at))

    def put_page(self, row: PageRow) -> None:
        """Queue a page."""
        self.pages_put.append(row)

    def cancel_page(self, page: str) -> None:
        """Cancel a queued page: the save refuses if a pager has claimed it meanwhile."""
        self.pages_cancelled.append(page)

    def put_payload(self, ref: str, salt: bytes, body: bytes) -> PayloadRef:
        """Keep erasable text under `ref`; returns what an event may hold of it."""
        self.payloads[ref] = (salt, body)
        return seal(ref, salt, body)

    def place(self, alert: str, group: str, sides: tuple[Side, ...], now: datetime) -> None:
        """Remember where an alert stands that fires, or (nowhere) that has ended.

        When its first source begins, and when its last has ended, a place is stirred: the save sets the deadline at
        which what it inhibits is looked at again, if anything that can be inhibited stands there then. That there are
        other sources is something the save depends on.
        """
        before = self.standing.get(alert, ())
        if sides == before:
            return
        if before:
            self.displaced.add(alert)
        for side in before:
            self.sources.get(side.place, {}).pop(alert, None)
        for side in sides:
            if side.is_source:
                self.sources.setdefault(side.place, {})[alert] = Source(group, side.is_target)
        for side in {*before} ^ {*sides}:
            if side.is_source:
                self._rely(alert, side, begins=side in sides, now=now)
        self.standing[alert] = self.placed[alert] = sides

    def _rely(self, alert: str, side: Side, begins: bool, now: datetime) -> None:
        others = [name for name, of in self.sources.get(side.place, {}).items() if name != alert and of.can(side)]
        if not others:
            self.stirred[side.place] = now
            self.relied_after = {(place, both) for place, both in self.relied_after if place != side.place}
        elif not begins:
            self.relied_after.add((side.place, side.is_target))
        elif not any(name in self.placed for name in others):
            self.relied_before.add((side.place, side.is_target))

    def inhibitor(self, alert: str, sides: tuple[Side, ...]) -> Inhibitor | None:
        """What inhibits an alert: the save refuses if it has ended, or if nothing does and something has come that
        does.
        """
        found = inhibitor(alert, sides, self.sources)
        if found is None:
            self.uninhibited |= {(side.place, alert, side.is_source) for side in sides if side.is_target}
        elif found.alert not in self.placed:
            self.inhibited_by |= {(side.place, found.alert) for side in sides if side.place[0] == found.rule}
        return found

    @property
    def reads(self) -> Mapping[str, int]:
        """Streams that were looked at and not written, with the version they had."""
        written = {entry.stream for entry in self.entries}
        return {stream: version for stream, version in self._base.items() if stream not in written}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to save."""
        rows = (
            *(self.changed_alerts, self.due_put, self.due_dropped, self.due_by, self.pages_cancelled),
            *(self.placed, self.due_woken),
        )
        return not self.entries and not any(rows)
