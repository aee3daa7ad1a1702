"""What the read models keep: a dataclass per table, its fields the table's columns.

Every row knows the position of the last event that changed it, and an event at or before that position changes it
no more. That makes a projection idempotent: delivered twice, or a whole range again, it leaves the same rows.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Generic, Protocol, TypeVar

from domain.config import Policy
from domain.escalations import Escalation, EscalationStatus, Started
from domain.incidents import IncidentStatus
from domain.pages import PageStatus, Queued
from domain.severity import Severity


class Row(Protocol):
    """A row of a read model: its table, its key columns, and the position of the event that last changed it."""

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]

    @property
    def position(self) -> int:
        """Position of the last event that changed this row."""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """An incident. Times and people say how it stands: giving it back or reopening it clears them, but not the first
    times, from which response times are measured.
    """

    table: ClassVar[str] = "incidents"
    key: ClassVar[tuple[str, ...]] = ("id",)
    id: str
    number: int
    title: str
    status: IncidentStatus
    severity: Severity
    service: str
    team: str
    policy: str
    started_at: datetime
    opened_at: datetime
    first_paged_at: datetime | None
    first_acknowledged_at: datetime | None
    first_resolved_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    assignees: tuple[str, ...]
    words: str | None
    runbook: str | None
    merged_into: str | None
    merged_number: int | None
    version: int
    position: int


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert that an incident has had, and when it last changed."""

    table: ClassVar[str] = "alerts"
    key: ClassVar[tuple[str, ...]] = ("incident", "alert")
    incident: str
    alert: str
    last_report_at: datetime
    position: int


@dataclass(frozen=True, slots=True)
class EscalationRow:
    """An escalation: how it began, how far it has come, and the loop and step that run next (both from 1)."""

    table: ClassVar[str] = "escalations"
    key: ClassVar[tuple[str, ...]] = ("id",)
    id: str
    incident: str
    run: int
    policy: Policy
    first_at: datetime
    correlation_id: str
    status: EscalationStatus
    loop: int
    step: int
    position: int

    @property
    def first(self) -> Started:
        """The event that its stream begins with."""
        return Started(self.incident, self.run, self.policy, self.first_at, self.correlation_id)

    @property
    def state(self) -> Escalation:
        """The escalation as far as its next event can change what is kept here."""
        return Escalation(policy=self.policy, status=self.status, loop=self.loop, step=self.step)


@dataclass(frozen=True, slots=True)
class PageRow:
    """Somebody who was told, or was to be told. `settled_at` is when the last attempt had an outcome."""

    table: ClassVar[str] = "pages"
    key: ClassVar[tuple[str, ...]] = ("id",)
    id: str
    incident: str
    escalation: str
    loop: int
    step: int
    user: str
    method: str
    status: PageStatus
    queued_at: datetime
    settled_at: datetime | None
    delivery: str | None
    reason: str | None
    position: int

    @property
    def first(self) -> Queued:
        """The event that its stream begins with."""
        return Queued(self.escalation, self.incident, self.loop, self.step, self.user, self.method)


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt at one page that had an outcome. `delivery` is the message, which may carry more pages."""

    table: ClassVar[str] = "attempts"
    key: ClassVar[tuple[str, ...]] = ("page", "position")
    page: str
    position: int
    incident: str
    delivery: str
    number: int
    at: datetime
    outcome: PageStatus
    possible_repeat: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One event that belongs to an incident, for people. `words` names the payload of what somebody wrote, `alert` the
    alert that it is about; the events of one that waits in its group belong to no incident (empty).
    """

    table: ClassVar[str] = "timeline"
    key: ClassVar[tuple[str, ...]] = ("incident", "position")
    incident: str
    position: int
    at: datetime
    type: str
    text: str
    actor: str
    origin: str
    correlation_id: str
    words: str | None
    alert: str | None


R = TypeVar("R", bound=Row)


@dataclass(slots=True)
class Table(Generic[R]):
    """The rows of one table that a batch of events needs, and those that it changed."""

    kind: type[R]
    known: dict[Hashable, R] = field(default_factory=dict)
    changed: dict[Hashable, R] = field(default_factory=dict)

    def __getitem__(self, key: Hashable) -> R:
        """The row; raises KeyError when the events that make it were never projected."""
        return self.known[key]

    def add(self, rows: Iterable[R]) -> None:
        """Remember rows as they are in the database."""
        self.known.update((key_of(row), row) for row in rows)

    def put(self, row: R) -> None:
        """Change a row, unless it has seen the event that `row.position` names, or a later one."""
        key = key_of(row)
        known = self.known.get(key)
        if known is None or known.position < row.position:
            self.known[key] = self.changed[key] = row


def key_of(row: Row) -> Hashable:
    """The value of a row's key: the column's when it has one, else a tuple."""
    values = tuple(getattr(row, name) for name in row.key)
    return values[0] if len(values) == 1 else values


@dataclass(slots=True)
class Rows:
    """Everything that a batch of events may look at and change."""

    incidents: Table[IncidentRow] = field(default_factory=lambda: Table(IncidentRow))
    alerts: Table[AlertRow] = field(default_factory=lambda: Table(AlertRow))
    escalations: Table[EscalationRow] = field(default_factory=lambda: Table(EscalationRow))
    pages: Table[PageRow] = field(default_factory=lambda: Table(PageRow))
    attempts: Table[AttemptRow] = field(default_factory=lambda: Table(AttemptRow))
    timeline: Table[TimelineRow] = field(default_factory=lambda: Table(TimelineRow))

    def __iter__(self) -> Iterator[Table[Row]]:
        """Every table."""
        tables = (self.incidents, self.alerts, self.escalations, self.pages, self.attempts, self.timeline)
        yield from tables  # type: ignore[misc]
