"""The fold's work on one batch: records of the `alerts` topic become decisions, in one save with their positions.

This is everything but Kafka: `worker` feeds it from the topic. Loading, deciding and saving a batch are one job on
one thread; a batch is decided only after the one before it committed.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from domain import folding
from domain.alerts import Receipt
from domain.book import Book
from domain.folding import Report
from domain.groups import Group
from domain.incidents import Opened
from schemas.received import AlertReceived
from streams.clock import Clock
from streams.store.base import Save, Store, TrackingMove
from streams.store.deciding import TZ_VERSION, add_escalations, decide

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record as it was read, and where: `pointer` is cluster/topic/partition@offset."""

    record: AlertReceived
    pointer: str


@dataclass(frozen=True, slots=True)
class Fold:
    """Decides batches of arrivals.

    Parameters:
        store: where decisions go.
        org: the organisation.
        clock: tells how old a record is.
        catch_up_age: a record older than this is history: it opens incidents, but they page only after...
        catch_up_hold: ...this long, so that a resolve behind it is seen first.
    """

    store: Store
    org: str
    clock: Clock
    catch_up_age: timedelta
    catch_up_hold: timedelta

    def save(self, arrivals: Sequence[Arrival], moves: tuple[TrackingMove, ...]) -> int:
        """Decide and save a batch with its positions; returns the log's position.

        Raises Conflict when a position has moved (another worker owns the partition), Unavailable when the
        database does not answer.
        """
        reports = list(itertools.chain.from_iterable(map(self._reports, arrivals)))
        books: list[Book] = []

        def attempt() -> Save:
            books.append(self._decided(reports))
            return Save(books[-1], moves)

        position = decide(self.store, attempt)
        self._tell(books[-1])
        return position

    def _reports(self, arrival: Arrival) -> Iterator[Report]:
        record, now = arrival.record, self.clock()
        receipt = Receipt(record.receipt, record.integration, record.received_at, arrival.pointer)
        old = now - record.received_at > self.catch_up_age
        for index, alert in enumerate(record.alerts):
            hold = now + self.catch_up_hold if old else None
            yield Report(alert, index, receipt, bytes.fromhex(record.salt), record.raw_digest, hold)

    def _decided(self, reports: Sequence[Report]) -> Book:
        config = self.store.config()
        rows = self.store.alerts({folding.alert_id_of(self.org, report) for report in reports})
        streams = self.store.load(folding.groups_involved(self.org, config, reports, rows))
        groups = [loaded.state for loaded in streams.values() if isinstance(loaded.state, Group)]
        streams |= self.store.load(folding.incidents_involved(self.org, groups, rows.values()))
        pending = add_escalations(self.store, self.org, streams)
        book = Book(self.org, config, streams, rows, pending, _numbers(self.store.next_number), TZ_VERSION)
        for report in reports:
            folding.fold(book, report)
        return book

    def _tell(self, book: Book) -> None:
        for entry in book.entries:
            if isinstance(entry.event, Opened):
                cause = entry.decision.cause
                log.info(
                    "incident opened",
                    incident=f"INC-{entry.event.number}",
                    incident_id=entry.stream,
                    receipt=cause.correlation_id,
                    severity=entry.event.severity.value,
                )


def _numbers(take: Callable[[], int]) -> Iterator[int]:
    while True:
        yield take()
