"""The store in memory, for the tests' world: the same promises as `postgres`, held by one lock.

Events go through the same codec and the same hash chain, so what a test sees is what the log would hold.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count

from domain.alerts import AlertRow, AlertStatus
from domain.book import Book, Due, Loaded, PendingPage
from domain.config import Config, Standing
from domain.correlating import Candidates, Spot
from domain.events import evolve
from domain.ids import stream_kind
from domain.inhibition import INHIBIT, Place, Side, Source
from schemas.events import decode
from streams.store import configuration
from streams.store.base import (
    Answered,
    Conflict,
    FiringAlert,
    Identity,
    RawEvent,
    Recorded,
    Save,
)
from streams.store.memory_claims import HeldPage, MemoryClaims
from streams.store.memory_correlating import MemorySpots
from streams.store.memory_pings import HeldDue
from streams.store.recorder import Prepared
from streams.store.writing import prepare


@dataclass(slots=True)
class MemoryStore(MemoryClaims):
    """See `streams.store.base.Store`. `wall` is the unmoved clock that leases are measured with."""

    log: list[Recorded] = field(default_factory=list)
    _configured: list[Recorded] = field(default_factory=list)
    _raw: list[RawEvent] = field(default_factory=list)
    _streams: dict[str, list[Recorded]] = field(default_factory=dict)
    _alerts: dict[str, AlertRow] = field(default_factory=dict)
    _placed: dict[str, tuple[Side, ...]] = field(default_factory=dict)
    _spots: MemorySpots = field(default_factory=MemorySpots)
    _payloads: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    _tracking: dict[tuple[str, str, int], int] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

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

    def firing(self, after: AlertRow | None, limit: int) -> list[FiringAlert]:
        with self._changed:
            rows = sorted(self._alerts.values(), key=_age, reverse=True)
            older = [row for row in rows if row.status is AlertStatus.FIRING and (not after or _age(row) < _age(after))]
            return [self._firing(row) for row in older[:limit]]

    def firing_among(self, ids: Collection[str]) -> list[FiringAlert]:
        with self._changed:
            rows = sorted((self._alerts[name] for name in ids if name in self._alerts), key=lambda row: row.id)
            return [self._firing(row) for row in rows if row.status is AlertStatus.FIRING]

    def last_heard(self, integration: str) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        with self._changed:
            for row in self._alerts.values():
                if row.status is AlertStatus.FIRING and row.integration == integration and row.group:
                    found[row.group] = min(row.last_seen, found.get(row.group, row.last_seen))
        return found

    def _firing(self, row: AlertRow) -> FiringAlert:
        return FiringAlert(row, *self._payloads.get(row.payload or "", (None, None)))

    def sources(self, places: Collection[Place]) -> dict[Place, dict[str, Source]]:
        found: dict[Place, dict[str, Source]] = {}
        with self._changed:
            for alert, side in sorted(self._sides(), key=lambda stands: stands[0]):
                here = found.setdefault(side.place, {}) if side.place in places and side.is_source else None
                if here is not None and sum(of.is_target == side.is_target for of in here.values()) < 2:
                    here[alert] = Source(self._alerts[alert].group or "", side.is_target)
        return found

    def standing(self, alerts: Collection[str]) -> dict[str, tuple[Side, ...]]:
        with self._changed:
            return {alert: self._placed[alert] for alert in alerts if alert in self._placed}

    def targets(self, place: Place) -> list[str]:
        with self._changed:
            return sorted(alert for alert, side in self._sides() if side.place == place and side.is_target)

    def candidates(self, spots: Mapping[Spot, datetime]) -> Candidates:
        with self._changed:
            return self._spots.found(spots)

    def _sides(self) -> Iterator[tuple[str, Side]]:
        """Where the firing alerts stand."""
        for alert, sides in self._placed.items():
            if self._alerts[alert].status is AlertStatus.FIRING:
                yield from ((alert, side) for side in sides)

    def _body(self, ref: str) -> bytes | None:
        return self._payloads.get(ref, (b"", None))[1]

    def config(self) -> Config:
        objects: dict[tuple[str, str], Standing] = {}
        with self._changed:
            for event in self._configured:
                private = getattr(event.event, "private", None)
                configuration.apply(objects, event.event, self._body(private.ref) if private else None)
            return Config.of(self._revision(), objects)

    def _revision(self) -> int:
        return self._configured[-1].position if self._configured else 0

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
            return self._body(ref)

    def latest_alert(self, incident: str) -> bytes | None:
        with self._changed:
            rows = [row for row in self._alerts.values() if row.incident == incident]
            latest = max(rows, key=lambda row: row.last_seen, default=None)
            return self._body(latest.payload) if latest and latest.payload else None

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
        self._check_places(book)
        self._spots.check(book)
        self._check_due(book)
        self._check_pages(save)

    def _check_places(self, book: Book) -> None:
        at: dict[Place, list[tuple[str, bool]]] = {}
        for name, side in self._sides():
            if side.is_source:
                at.setdefault(side.place, []).append((name, side.is_target))
        for place, alert, is_source in book.uninhibited:
            if any(n not in (alert, *book.placed) and not (both and is_source) for n, both in at.get(place, ())):
                raise Conflict("something that inhibits has begun to fire")
        if not book.inhibited_by <= {(place, name) for place, found in at.items() for name, _ in found}:
            raise Conflict("what inhibits has ended")
        after = {p: [one for one in found if one[0] not in book.placed] for p, found in at.items()}
        for name, sides in book.placed.items():
            for side in sides:
                if side.is_source:
                    after.setdefault(side.place, []).append((name, side.is_target))
        for relied, there in ((book.relied_before, at), (book.relied_after, after)):
            if not all(any(is_target or not both for _, both in there.get(p, ())) for p, is_target in relied):
                raise Conflict("something that inhibits has ended")

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
            if stream_kind(entry.stream) == "config":
                self._configured.append(recorded)
        for move in save.tracking:
            self._tracking[move.cluster, move.topic, move.partition] = move.offset
        self._alerts |= book.changed_alerts
        for (part, incident), after in book.moved.items():
            for name, alert in self._alerts.items():
                if (alert.group, alert.episode, alert.incident) == (part.group, part.episode, incident):
                    self._alerts[name] = replace(alert, incident=after, rev=alert.rev + 1)
        self._placed = {name: sides for name, sides in {**self._placed, **book.placed}.items() if sides}
        self._spots.write(book)
        for ref, salted in book.payloads.items():
            self._payloads.setdefault(ref, salted)
        for key in book.due_dropped:
            self._due.pop(key, None)
        for key, due in book.due_put.items():
            self._due[key] = HeldDue(replace(due, rev=due.rev + 1))
        for key, at in book.due_by.items():
            found = self._due.get(key)
            if found is None or found.due.at > at:
                self._due[key] = HeldDue(Due(*key, at, found.due.rev + 1 if found else 1))
        targets = {side.place for _, side in self._sides() if side.is_target}
        stirred = {(INHIBIT, "/".join(place)): at for place, at in book.stirred.items() if place in targets}
        for key, at in (book.due_woken | stirred).items():
            found = self._due.get(key)
            self._due[key] = HeldDue(Due(*key, min(at, found.due.at), found.due.rev + 1) if found else Due(*key, at, 1))
        for row in book.pages_put:
            self._pages[row.id] = HeldPage(row)
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

    def wait(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait(seconds)

    def close(self) -> None:
        """Nothing to let go of."""


def _age(row: AlertRow) -> tuple[datetime, str]:
    return row.first_seen, row.id
