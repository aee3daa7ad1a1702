"""An alert: one thing a monitoring system says is wrong, normalised; and which of two reports of it counts.

An alert is identified by its integration and fingerprint. What is remembered of it between reports is its
`AlertRow`. Reports arrive repeated, reordered and late; `supersedes` decides which one is the latest word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from domain.decision import PayloadRef
from domain.severity import Severity

SOURCE_TIME_WINDOW = timedelta(seconds=60)
FLIPS = 50
"""Times at which an alert began or ended that are remembered: the most that a `flap_threshold` can count."""


class AlertStatus(StrEnum):
    """What a source says of an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One normalised alert of a webhook.

    `source_time` is startsAt when firing, endsAt when resolved, else the source's own stamp, else None (the
    receipt's time counts then). Text fields are untrusted and may hold personal data: they never enter an event.
    """

    fingerprint: str
    status: AlertStatus
    severity: Severity
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    source_time: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    summary: str = ""
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where and when a report reached us: what orders it and what an auditor follows.

    `pointer` names the record it was read from, e.g. `default/alerts/7@1042` (cluster, topic, partition, offset).
    """

    id: str
    integration: str
    received_at: datetime
    pointer: str

    @property
    def partition(self) -> str:
        """The part of the pointer before the offset: `default/alerts/7`."""
        return self.pointer.rpartition("@")[0]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """What is remembered of an alert: its latest word, and where it belongs. `rev` guards every change.

    `suppressed` is why nothing is said of it, as `reason/rule`; None: it is spoken of. `flips` are the latest times at
    which it began or ended, the oldest first: as many as anything counts. `ways` are the alerts that it is besides, one
    for each further route that it took. `acknowledged` is the person (`user:ada`) who has it while it fires. `closed`:
    a person said that it is over; a report of that firing, whose source time is not later, does not fire it again.
    `ends_at` is when a firing one ends by its source's word unless it is reported again.
    """

    id: str
    integration: str
    fingerprint: str
    status: AlertStatus
    severity: Severity
    rev: int
    source_time: datetime
    received_at: datetime
    receipt: str
    first_seen: datetime
    last_seen: datetime
    count: int
    group: str | None = None
    episode: int = 0
    incident: str | None = None
    payload: str | None = None
    suppressed: str | None = None
    flips: tuple[datetime, ...] = ()
    ways: tuple[str, ...] = ()
    acknowledged: str | None = None
    closed: datetime | None = None
    ends_at: datetime | None = None

    def is_over(self, source_time: datetime) -> bool:
        """Whether a person has closed the firing that a report with this source time speaks of."""
        return self.closed is not None and source_time <= self.closed

    def flipped(self, at: datetime) -> tuple[datetime, ...]:
        """`flips` after the alert began or ended at `at`."""
        return (*self.flips, at)[-FLIPS:]


@dataclass(frozen=True, slots=True)
class PriorAlert:
    """The alert's row as a status-changing event found it; None in the event when there was no row."""

    rev: int
    status: AlertStatus
    severity: Severity
    source_time: datetime
    received_at: datetime
    receipt: str
    group: str | None
    episode: int
    flips: tuple[datetime, ...] = ()

    @classmethod
    def of(cls, row: AlertRow) -> "PriorAlert":
        """The part of `row` that decided something."""
        said = (row.rev, row.status, row.severity, row.source_time, row.received_at, row.receipt)
        return cls(*said, row.group, row.episode, row.flips)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A report of an alert that fired already, for the event that it led to: how it came, and the row it found."""

    source_time: datetime
    received_at: datetime
    receipt: str
    payload: PayloadRef
    raw_digest: str
    prior: PriorAlert


def supersedes(source_time: datetime, receipt: Receipt, row: AlertRow) -> bool:
    """Whether a report is a later word than what `row` remembers.

    Source time orders only receipts within 60 s of each other (clocks of sources drift and repeats carry old
    stamps); beyond that the later receipt wins. The same receipt delivered again is never a later word.
    """
    if receipt.id == row.receipt:
        return source_time > row.source_time
    if abs(receipt.received_at - row.received_at) > SOURCE_TIME_WINDOW:
        return receipt.received_at > row.received_at
    return (source_time, receipt.received_at, receipt.id) > (row.source_time, row.received_at, row.receipt)
