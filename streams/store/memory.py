"""The store in memory, for the tests' world: the same promises as `postgres`, held by one lock.

Events go through the same codec and the same hash chain, so what a test sees is what the log would hold.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from domain.alerts import AlertRow
from domain.book import Book, Due, Loaded, PageRow, PendingPage
from domain.config import Config, ConfigObject
from domain.events import evolve
from domain.ids import stream_kind
from schemas.events import decode
from streams.store import configuration
from streams.store.base import (
    MESSAGES_WINDOW,
    Answered,
    ClaimedPage,
    Conflict,
    Identity,
    RawEvent,
    Recorded,
    Save,
    Taken,
)
from streams.store.memory_inputs import MemoryInputs
from streams.store.writing import Prepared, prepare

EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Page:
    row: PageRow
    status: str = "queued"
    attempt: int = 0
    possible_repeat: bool = False
    bundled: tuple[str, datetime] | None = None
    claim: str | None = None
    lease_until: datetime | None = None

    @property
    def target(self) -> tuple[str, str]:
        return self.row.user, self.row.method


@dataclass(slots=True)
class _Due:
    due: Due
    lease_until: datetime | None = None


@dataclass(slots=True)
class MemoryStore(MemoryInputs):
    """See `streams.store.base.Store`. `wall` is the unmoved clock that leases are measured with."""

    log: list[Recorded] = field(default_factory=list)
    _raw: list[RawEvent] = field(default_factory=list)
    _streams: dict[str, list[Recorded]] = field(default_factory=dict)
    _alerts: dict[str, AlertRow] = field(default_factory=dict)
    _due: dict[tuple[str, str], _Due] = field(default_factory=dict)
    _pages: dict[str, _Page] = field(default_factory=dict)
    _begun: dict[tuple[str, str], list[datetime]] = field(default_factory=dict)
    _payloads: dict[str, bytes] = field(default_factory=dict)
    _tracking: dict[tuple[str, str, int], int] = field(default_factory=dict)
    _last_tick: datetime = EARLIEST
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _claims: "count[int]" = field(default_factory=lambda: count(1))

    # -- reading -------------------------------------------------------------------------------------------------

    def load(self, streams: Collection[str]) -> dict[str, Loaded]:
        with self._changed:
            return {stream: self._loaded(stream) for stream in streams}

    def _loaded(self, stream: str) -> Loaded:
        loaded = Loaded.absent(stream)
        for event in self._streams.get(stream, ()):
            state = evolve(stream, loaded.state, event.event)
            loaded = Loaded(state, event.version, event.hash, event.decision.decided_at)
        return loaded

    def alerts(self, ids: Collection[str]) -> dict[str, AlertRow]:
        with self._changed:
            return {alert: self._alerts[alert] for alert in ids if alert in self._alerts}

    def pending_pages(self, escalations: Collection[str]) -> dict[str, tuple[PendingPage, ...]]:
        found: dict[str, tuple[PendingPage, ...]] = {}
        with self._changed:
            for name in sorted(self._pages):
                page = self._pages[name]
                if page.row.escalation in escalations and page.status in ("queued", "claimed"):
                    pending = PendingPage(name, page.status == "claimed")
                    found[page.row.escalation] = (*found.get(page.row.escalation, ()), pending)
        return found

    def config(self) -> Config:
        objects: dict[tuple[str, str], ConfigObject] = {}
        with self._changed:
            for event in self.log:
                if stream_kind(event.stream) == "config":
                    private = getattr(event.event, "private", None)
                    configuration.apply(objects, event.event, self._payloads.get(private.ref) if private else None)
            return Config.of(self._revision(), objects)

    def _revision(self) -> int:
        return max((e.position for e in self.log if stream_kind(e.stream) == "config"), default=0)

    def next_numbers(self, count: int) -> list[int]:
        return [next(self._numbers) for _ in range(count)]

    def tracking(self, cluster: str, topic: str) -> Mapping[int, int]:
        with self._changed:
            return {p: offset for (c, t, p), offset in self._tracking.items() if (c, t) == (cluster, topic)}

    def tail(self, after: int, limit: int, as_of: datetime | None = None) -> list[Recorded]:
        with self._changed:
            if as_of is None:
                return self.log[after : after + limit]
            return [event for event in self.log[after:] if event.decision.decided_at <= as_of][:limit]

    def history(self, stream: str) -> list[Recorded]:
        with self._changed:
            return list(self._streams.get(stream, ()))

    def raw_tail(self, after: int, limit: int) -> list[RawEvent]:
        with self._changed:
            return self._raw[after : after + limit]

    def identity(self) -> Identity:
        return Identity("00000000-0000-0000-0000-000000000000", 1)

    def head(self) -> int:
        with self._changed:
            return len(self.log)

    def told(self, incidents: Collection[str], user: str, method: str, before: datetime) -> frozenset[str]:
        with self._changed:
            begun = [p.row for p in self._pages.values() if p.bundled and p.bundled[1] < before]
            about = [row for row in begun if (row.user, row.method) == (user, method)]
            return frozenset(row.incident for row in about if row.incident in incidents)

    def payload(self, ref: str) -> bytes | None:
        with self._changed:
            return self._payloads.get(ref)

    def latest_alert(self, incident: str) -> bytes | None:
        with self._changed:
            rows = [row for row in self._alerts.values() if row.incident == incident]
            latest = max(rows, key=lambda row: row.last_seen, default=None)
            return self._payloads.get(latest.payload) if latest and latest.payload else None

    # -- saving --------------------------------------------------------------------------------------------------

    def save(self, save: Save) -> int:
        prepared = prepare(save.book)
        with self._changed:
            self._check(save)
            self._write(save, prepared)
            self._changed.notify_all()
            return len(self.log)

    def rehearse(self, save: Save) -> None:
        prepare(save.book)
        with self._changed:
            self._check(save)

    def _check(self, save: Save) -> None:
        """Raises Conflict for anything that is not as it was looked at; writes nothing."""
        book = save.book
        for move in save.tracking:
            if self._tracking.get((move.cluster, move.topic, move.partition), -1) != move.expected:
                raise Conflict(f"the position of {move.topic}/{move.partition} has moved")
        for stream, version in book.reads.items():
            if len(self._streams.get(stream, ())) != version:
                raise Conflict(f"{stream} was read and has moved")
        if book.entries and self._revision() != book.config.revision:
            raise Conflict("the configuration has changed")
        written: dict[str, int] = {}
        for entry in book.entries:
            current = written.get(entry.stream, len(self._streams.get(entry.stream, ())))
            if entry.version != current + 1:
                raise Conflict("a version that was to be written is taken")
            written[entry.stream] = entry.version
        for alert, rev in book.alert_revs.items():
            row = self._alerts.get(alert)
            if (row.rev if row else 0) != rev:
                raise Conflict("an alert was reported elsewhere")
        if any(self._inbox[row].folded for row in save.inbox):
            raise Conflict("an inbox row was folded elsewhere")
        if save.command and (save.command.api_key, save.command.key) in self._commands:
            raise Conflict("a command was answered under this key")
        self._check_due(book)
        self._check_pages(save)

    def _check_due(self, book: Book) -> None:
        wanted = {key: due.rev for key, due in book.due_put.items()}
        wanted |= {key: rev for key, rev in book.due_dropped.items() if rev is not None}
        for key, rev in wanted.items():
            held = self._due.get(key)
            if (held.due.rev if held else 0) != rev:
                raise Conflict(f"the deadline {'/'.join(key)} was met elsewhere")

    def _check_pages(self, save: Save) -> None:
        book = save.book
        if any(row.id in self._pages for row in book.pages_put):
            raise Conflict("a page exists already")
        if any(self._pages[page].status != "queued" for page in book.pages_cancelled):
            raise Conflict("a page was claimed meanwhile")
        for done in save.settlements:
            page = self._pages[done.page]
            if page.status != "claimed" or page.claim != done.claim:
                raise Conflict(f"{done.page} was taken over")

    def _write(self, save: Save, prepared: Prepared) -> None:
        book = save.book
        for (entry, state), digest in zip(prepared.events, prepared.hashes, strict=True):
            stored = decode(entry.event.type, state)
            recorded = Recorded(
                len(self.log) + 1, entry.stream, entry.version, entry.event.type, stored.data, stored.decision, digest
            )
            self.log.append(recorded)
            self._raw.append(
                RawEvent(
                    recorded.position,
                    entry.stream,
                    entry.version,
                    recorded.type,
                    state,
                    stored.decision.decided_at,
                    digest,
                )
            )
            self._streams.setdefault(entry.stream, []).append(recorded)
        for move in save.tracking:
            self._tracking[move.cluster, move.topic, move.partition] = move.offset
        self._alerts |= book.changed_alerts
        for ref, (_, body) in book.payloads.items():
            self._payloads.setdefault(ref, body)
        for key in book.due_dropped:
            self._due.pop(key, None)
        for key, due in book.due_put.items():
            self._due[key] = _Due(replace(due, rev=due.rev + 1))
        for key, at in book.due_by.items():
            found = self._due.get(key)
            if found is None or found.due.at > at:
                self._due[key] = _Due(Due(*key, at, found.due.rev + 1 if found else 1))
        for row in book.pages_put:
            self._pages[row.id] = _Page(row)
        for page in book.pages_cancelled:
            self._pages[page].status = "cancelled"
        for done in save.settlements:
            settled = self._pages[done.page]
            settled.status, settled.claim, settled.lease_until = done.status, None, None
            settled.possible_repeat = settled.possible_repeat or done.possible_repeat
            settled.row = replace(settled.row, at=done.at or settled.row.at)
        for place in save.inbox:
            self._inbox[place].folded = True
        for dead in save.dead_letters:
            self._dead.setdefault((dead.pointer, dead.index), dead)
        if save.command:
            answered = Answered(save.command.digest, save.command.answer, len(self.log))
            self._commands[save.command.api_key, save.command.key] = answered

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._changed:
            yield

    # -- claiming ------------------------------------------------------------------------------------------------

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

    def claim_pages(self, now: datetime, lease: float, limit: int, per_minute: int) -> Taken:
        with self._changed:
            ripe, held = self._ripe(now, limit), 0
            if any(self._room_from(page.target, now, per_minute) > now for page in ripe):
                held = self._hold(now, per_minute)
                ripe = self._ripe(now, limit)
            first: dict[tuple[str, str], tuple[str, datetime] | None] = {}
            for page in ripe:
                first.setdefault(page.target, page.bundled)
            for target in first:
                self._begun.setdefault(target, []).append(now)
            taken = [page for page in ripe if page.bundled == first[page.target]]
            claim = f"claim-{next(self._claims)}"
            for page in taken:
                page.status, page.claim, page.attempt = "claimed", claim, page.attempt + 1
                page.bundled = page.bundled or (claim, self._tick())
                page.lease_until = self.wall() + timedelta(seconds=lease)
            return Taken([_claimed(page) for page in taken], held)

    def _ripe(self, now: datetime, limit: int) -> list[_Page]:
        ripe = [page for page in self._pages.values() if page.status == "queued" and page.row.at <= now]
        return sorted(ripe, key=lambda page: page.row.at)[:limit]

    def _room_from(self, target: tuple[str, str], now: datetime, per_minute: int) -> datetime:
        """When a person may get another message by a method."""
        recent = sorted(at for at in self._begun.get(target, ()) if at > now - MESSAGES_WINDOW)
        return recent[-per_minute] + MESSAGES_WINDOW if len(recent) >= per_minute else EARLIEST

    def _hold(self, now: datetime, per_minute: int) -> int:
        queued = [page for page in self._pages.values() if page.status == "queued"]
        until = [(page, self._room_from(page.target, now, per_minute)) for page in queued]
        held = [(page, at) for page, at in until if page.row.at < at]
        for page, at in held:
            page.row = replace(page.row, at=at)
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

    def wait(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait(seconds)

    def close(self) -> None:
        """Nothing to let go of."""


def _free(held: "_Due | _Page", wall: datetime) -> bool:
    return held.lease_until is None or held.lease_until < wall


def _claimed(page: _Page) -> ClaimedPage:
    if page.claim is None or page.bundled is None:
        raise AssertionError("a page that nobody claimed")
    return ClaimedPage(page.row, page.claim, *page.bundled, page.attempt, page.possible_repeat)
