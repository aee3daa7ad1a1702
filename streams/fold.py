"""The fold's work on one batch: records of the `alerts` topic become decisions, in one save with their positions.

This is everything but Kafka: `worker` feeds it from the topic, `inbox` from the inbox. Loading, deciding and saving a
batch are one job on one thread; a batch is decided only after the one before it committed. What cannot be decided is
found down to the alert, put aside as a dead letter, and a person is told: the partition moves on.
"""

import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from prometheus_client import Counter

from domain import expiry, folding, ids, reporting
from domain.alerts import AlertRow, Receipt
from domain.book import Book, Due, Loaded
from domain.config import Config
from domain.decision import Actor, Cause
from domain.groups import Group
from domain.incidents import Opened
from domain.intake import AlertsLost
from domain.reporting import Report
from domain.troubles import Trouble, fall_back
from schemas.payloads import write_alert
from schemas.received import AlertReceived, encode
from streams.clock import Clock
from streams.feeding import unfed
from streams.store.base import Conflict, DeadLetter, Save, Store, TrackingMove, Unavailable
from streams.store.deciding import TZ_VERSION, add_escalations, add_inhibition, decide, joinable
from streams.suppressed import count_suppressed

log = structlog.get_logger()

DEAD = Counter("tocsin_dead_letters_total", "Alerts and records that could not be decided.", ["integration"])
HANDFUL = 64
"""Incident numbers taken at once at most; a worker that dies loses those it has left."""
MAX_ALERTS = 800
"""Alerts that are folded in one save, and members that are none, unless one record has more.

Half as many hold the insert lock, which acknowledgements wait for, for a quarter less, and cost a tenth more for each.
"""
MAX_CHARACTERS = 8_000_000
"""Of the bodies that records came in, in one save, unless one has more: what is rejected is kept as it came."""
RECORD = -1
"""The index of a dead letter that is a whole record."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record as it was read, and where: `pointer` is cluster/topic/partition@offset."""

    record: AlertReceived
    pointer: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is not one. `integration` is what its key says."""

    pointer: str
    integration: str
    body: bytes
    reason: str


R = TypeVar("R")


def batches(
    records: "Sequence[tuple[R, Arrival | Unreadable]]",
) -> "Iterator[Sequence[tuple[R, Arrival | Unreadable]]]":
    """Records in order, each with what it says, as many together as one save takes."""
    batch: list[tuple[R, Arrival | Unreadable]] = []
    alerts = characters = 0
    for record, arrival in records:
        size, length = _size(arrival)
        if batch and (alerts + size > MAX_ALERTS or characters + length > MAX_CHARACTERS):
            yield batch
            batch, alerts, characters = [], 0, 0
        batch.append((record, arrival))
        alerts, characters = alerts + size, characters + length
    if batch:
        yield batch


def _size(arrival: Arrival | Unreadable) -> tuple[int, int]:
    """How many alerts and rejected members, and how many characters (of an unreadable one: bytes)."""
    if isinstance(arrival, Unreadable):
        return 1, len(arrival.body)
    record = arrival.record
    return len(record.alerts) + len(record.rejected), len(record.raw)


@dataclass(frozen=True, slots=True)
class Fold:
    """Decides batches of arrivals.

    Parameters:
        store: where decisions go.
        org: the organisation.
        clock: tells how old a record is.
        catch_up_age: a record older than this is history: it opens incidents, but they page only after...
        catch_up_hold: ...this long, or when the partition is caught up with, so that a resolve behind it is seen first.
    """

    store: Store
    org: str
    clock: Clock
    catch_up_age: timedelta
    catch_up_hold: timedelta
    _spare: deque[int] = field(default_factory=deque, init=False, repr=False)

    def save(
        self,
        arrivals: Sequence[Arrival | Unreadable],
        moves: tuple[TrackingMove, ...] = (),
        inbox: tuple[tuple[str, int], ...] = (),
        catching_up: Collection[str] = (),
    ) -> int:
        """Decide and save a batch with its positions; returns the log's position.

        Parameters:
            moves: the positions that the batch moves.
            inbox: the (receipt, part) of the inbox rows that it folds.
            catching_up: the partitions (`default/alerts/7`) that were behind when they were assigned and still are.

        Raises Conflict when a position or inbox row is not ours any more, Unavailable when the database does not
        answer.
        """
        read = [arrival for arrival in arrivals if isinstance(arrival, Arrival)]
        dead = [self._unread(arrival) for arrival in arrivals if isinstance(arrival, Unreadable)]
        dead += itertools.chain.from_iterable(map(self._rejected, read))
        reports = [report for arrival in read for report in self._reports(arrival, catching_up)]
        numbers = _Numbers(self.store.next_numbers, self._spare)
        try:
            return self._save(reports, dead, moves, inbox, numbers)
        except (Conflict, Unavailable):
            raise
        except Exception as error:
            log.error("batch cannot be decided: looking for what it is", exc_info=error)
            good, poison = self._sift(reports)
            if not poison:
                raise
            return self._save(good, [*dead, *poison], moves, inbox, numbers)

    def _save(
        self,
        reports: Sequence[Report],
        dead: Sequence[DeadLetter],
        moves: tuple[TrackingMove, ...],
        inbox: tuple[tuple[str, int], ...],
        numbers: "_Numbers",
    ) -> int:
        books: list[Book] = []

        def attempt() -> Save:
            books.append(self._decided(reports, dead, iter(numbers)))
            return Save(books[-1], moves, inbox=inbox, dead_letters=tuple(dead))

        position = decide(self.store, attempt)
        numbers.leave()
        self._tell(books[-1], dead)
        return position

    def lose(self, move: TrackingMove) -> int:
        """Save that the records after `move.expected` up to `move.offset` are gone, and tell somebody."""
        now = self.clock()
        pointer = f"{move.cluster}/{move.topic}/{move.partition}@{move.expected + 1}"
        receipt = Receipt(f"lost/{pointer}", "", now, pointer)
        stream = ids.intake_stream(self.org, move.cluster, move.topic, move.partition)
        trouble = Trouble.lost(move.topic)
        numbers = _Numbers(self.store.next_numbers, self._spare)

        def attempt() -> Save:
            involved = {stream, ids.group_stream(self.org, trouble.key)}
            book = self._book(self.store.config(), self.store.load(involved), {}, iter(numbers))
            cause = Cause(Actor("system", "fold"), "fold", pointer, receipt.id, receipt.id)
            book.begin(cause, now, (stream,))
            lost = AlertsLost(move.cluster, move.topic, move.partition, move.expected + 1, move.offset)
            book.write(stream, lost)
            fall_back(book, trouble, receipt)
            return Save(book, (move,))

        log.error("alerts lost", pointer=pointer, first=move.expected + 1, last=move.offset)
        return decide(self.store, attempt)

    def expire(self, due: Due, heard_until: datetime) -> None:
        """Decide what a group's deadline brings; everything accepted before `heard_until` (UTC) is folded."""
        decide(self.store, lambda: Save(self._expired(due, heard_until)))

    def _expired(self, due: Due, heard_until: datetime) -> Book:
        config, streams = self.store.config(), self.store.load([due.key])
        group = streams[due.key].state
        rows = self.store.alerts(group.firing if isinstance(group, Group) else ())
        book = self._book(config, streams, rows, iter(()))
        if config.inhibition_rules:
            book.standing |= self.store.standing(rows)
        expiry.expire(book, due, heard_until)
        return book

    def caught_up(self, partitions: Collection[str]) -> None:
        """These partitions are read to where they ended when they were assigned: what they held back may page now."""
        released = self.store.release_held(partitions, self.clock())
        log.info("caught up", partitions=sorted(partitions), released=released)

    # -- what a batch says -----------------------------------------------------------------------------------------

    def _reports(self, arrival: Arrival, catching_up: Collection[str]) -> Iterator[Report]:
        record, now = arrival.record, self.clock()
        receipt = Receipt(record.receipt, record.integration, record.received_at, arrival.pointer)
        salt = bytes.fromhex(record.salt)
        old = now - record.received_at > self.catch_up_age or receipt.partition in catching_up
        for index, alert in enumerate(record.alerts):
            hold = now + self.catch_up_hold if old else None
            yield Report(alert, index, receipt, write_alert(alert), salt, record.raw_digest, hold)

    def _unread(self, arrival: Unreadable) -> DeadLetter:
        receipt = f"unreadable/{arrival.pointer}"
        return DeadLetter(
            arrival.pointer, RECORD, receipt, arrival.integration, arrival.reason, arrival.body, self.clock()
        )

    def _rejected(self, arrival: Arrival) -> Iterator[DeadLetter]:
        """Members of a webhook that could not be alerts, as the gateway passed them on. The first has the body."""
        record = arrival.record
        for number, rejected in enumerate(record.rejected):
            yield DeadLetter(
                pointer=arrival.pointer,
                index=rejected.index,
                receipt=record.receipt,
                integration=record.integration,
                reason=f"{rejected.field}: {rejected.problem}",
                body=b"" if number else record.raw.encode(),
                at=record.received_at,
            )

    # -- deciding --------------------------------------------------------------------------------------------------

    def _decided(self, reports: Sequence[Report], dead: Sequence[DeadLetter], numbers: Iterator[int]) -> Book:
        troubles = {letter: Trouble.undecidable(letter.integration) for letter in dead}
        book = self.opened(reports, numbers, troubles.values())
        for report in unfed(self.store, book, reports):
            folding.fold(book, report)
        for letter, trouble in troubles.items():
            fall_back(book, trouble, Receipt(letter.receipt, letter.integration, letter.at, letter.pointer))
        return book

    def opened(self, reports: Sequence[Report], numbers: Iterator[int], troubles: Iterable[Trouble] = ()) -> Book:
        """A book that holds all that folding these reports, and telling of these troubles, may look at."""
        config = self.store.config()
        rows = self.store.alerts({reporting.alert_id_of(self.org, report) for report in reports})
        ways = reporting.ways_involved(self.org, config, reports, rows)
        if ways:
            rows |= self.store.alerts(ways)
        involved = set(reporting.groups_involved(self.org, config, reports, rows))
        involved |= {ids.group_stream(self.org, trouble.key) for trouble in troubles}
        candidates, streams = joinable(self.store, reporting.spots_involved(self.org, config, reports, rows))
        book = self._book(config, self.store.load(involved) | streams, rows, numbers)
        book.candidates = candidates
        add_inhibition(self.store, book, reporting.places_involved(config, reports))
        return book

    def _book(
        self, config: Config, streams: dict[str, Loaded], rows: Mapping[str, AlertRow], numbers: Iterator[int]
    ) -> Book:
        """A book with these streams, the incidents of its groups and alerts, and what belongs to those."""
        groups = [loaded.state for loaded in streams.values() if isinstance(loaded.state, Group)]
        streams |= self.store.load(reporting.incidents_involved(self.org, groups, rows.values()))
        pending = add_escalations(self.store, self.org, streams)
        return Book(self.org, config, streams, dict(rows), pending, numbers, TZ_VERSION)

    def _sift(self, reports: Sequence[Report]) -> tuple[list[Report], list[DeadLetter]]:
        """The reports that can be decided, and those that cannot, as dead letters."""
        good: list[Report] = []
        poison: list[DeadLetter] = []
        for report in reports:
            reason = self._why_not(report)
            if reason is None:
                good.append(report)
            else:
                poison.append(_poison(report, reason))
        return good, poison

    def _why_not(self, report: Report) -> str | None:
        """Why a report alone cannot be decided, without quoting it; None when it can."""
        try:
            self.store.rehearse(Save(self._decided([report], (), itertools.count(1))))
        except Conflict:  # it can be decided, only not on what was read just now
            return None
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, only this report may suffer from it
            return f"it cannot be decided ({type(error).__name__})"
        return None

    def _tell(self, book: Book, dead: Sequence[DeadLetter]) -> None:
        count_suppressed(book)
        for letter in dead:
            DEAD.labels(letter.integration).inc()
            log.error(
                "dead letter",
                receipt=letter.receipt,
                integration=letter.integration,
                index=letter.index,
                pointer=letter.pointer,
                reason=letter.reason,
            )
        for entry in book.entries:
            if isinstance(entry.event, Opened):
                log.info(
                    "incident opened",
                    incident=f"INC-{entry.event.number}",
                    incident_id=entry.stream,
                    receipt=entry.decision.cause.correlation_id,
                    severity=entry.event.severity.value,
                )


def _poison(report: Report, reason: str) -> DeadLetter:
    receipt = report.receipt
    body = encode(AlertReceived(receipt.id, receipt.integration, receipt.received_at, (report.alert,), "", "", "00"))
    return DeadLetter(receipt.pointer, report.index, receipt.id, receipt.integration, reason, body, receipt.received_at)


@dataclass(slots=True)
class _Numbers:
    """Incident numbers for one batch: deciding it again uses those that were taken before.

    They are taken by the handful, the more of them the more were needed; `spare` are those that are left for the next
    batch.
    """

    take: Callable[[int], list[int]]
    spare: deque[int]
    taken: list[int] = field(default_factory=list)
    used: int = 0

    def __iter__(self) -> Iterator[int]:
        self.used = 0
        return self._count()

    def _count(self) -> Iterator[int]:
        while True:
            self.used += 1
            if self.used > len(self.taken):
                self.taken += self._more()
            yield self.taken[self.used - 1]

    def _more(self) -> list[int]:
        try:
            return [self.spare.popleft()]
        except IndexError:
            return self.take(min(HANDFUL, len(self.taken) or 1))

    def leave(self) -> None:
        """The batch is saved."""
        self.spare.extend(self.taken[self.used :])
