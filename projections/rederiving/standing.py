"""What every decision that is made again starts from: the streams and the configuration as they stood before it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from domain import escalations, groups, incidents, reporting
from domain.alerts import AlertStatus, PriorAlert, Repeat
from domain.book import Book, Lazily
from domain.events import State
from domain.groups import Group
from projections.asof import AsOf, Pending
from projections.inputs import Inhibiting, Inputs, Tampered, row_before
from projections.openings import Openings
from streams.store.base import Recorded

E = TypeVar("E")
S = TypeVar("S", bound=State)
Run = Sequence[Recorded]
"""Consecutive events with one and the same decision behind them."""
Reported = groups.AlertFired | groups.AlertRefired | groups.AlertSeverityChanged | groups.AlertResolved | Repeat
"""What an event says of the report that it was decided on."""


@dataclass
class Standing:
    """How things stood, and a book for the decision that is made again.

    Parameters:
        org: the organisation whose identifiers are derived.
        asof: the streams as they stand before the run that is looked at.
        inputs: payloads and configuration, likewise.
        openings: the incidents that alerts could join, likewise.
        erased: how many events lack an input that was erased, by the position of the erasure.
    """

    org: str
    asof: AsOf
    inputs: Inputs
    openings: Openings
    erased: Counter[int]
    decided: Book = field(init=False)
    """The book of the latest decision."""

    def book(self, run: Run) -> Book:
        """A book for the decision behind `run`. Raises Tampered when an alert is said to inhibit that does not fire."""
        stopped = [e.event.in_flight for e in run if isinstance(e.event, escalations.Stopped)]
        in_flight = frozenset(page for pages_ in stopped for page in pages_)
        numbers = iter([e.event.number for e in run if isinstance(e.event, incidents.Opened)])
        about = next((name for e in run if (name := getattr(e.event, "alert", None))), None)
        said = (e.event for e in run if isinstance(e.event, groups.AlertSuppressed))
        suppressed = next((event for event in said if event.alert == about), None)
        self._inhibits(suppressed)
        self.decided = Book(
            self.org,
            self.inputs.config,
            Lazily(self.asof.__getitem__),
            pending=Pending(self.asof, in_flight),
            numbers=numbers,
            tz_version=run[0].decision.tz_version,
            sources=Inhibiting(suppressed),
            candidates=self.openings.before(run),
        )
        return self.decided

    def _inhibits(self, said: groups.AlertSuppressed | None) -> None:
        """Raises Tampered when the alert that is said to inhibit does not fire."""
        if said is None or said.by is None:
            return
        if said.rule not in self.inputs.config.inhibition_rules:
            raise Tampered("data.rule", "there is no such rule", said)
        if said.by not in self.state(said.by_group or "", Group).firing:
            raise Tampered("data.by", "that alert does not fire", said)

    def state(self, stream: str, kind: type[S]) -> S:
        """The state of a stream. Raises TypeError when it is of another kind."""
        state = self.asof[stream].state
        if not isinstance(state, kind):
            raise TypeError(f"{stream} is not a {kind.__name__}")
        return state

    def place(
        self, book: Book, alert: str, report: reporting.Report, reported: Reported, recorded: Recorded, field: str
    ) -> None:
        """Put the alert's row into the book, as the event found it, where that agrees with the log."""
        if reported.prior is None:
            return
        row = row_before(self.org, alert, report.receipt.integration, report.alert.fingerprint, reported.prior)
        self.agrees(alert, reported.prior, recorded, field)
        state = self.asof[reported.prior.group].state if reported.prior.group else None
        why = state.suppressed.get(alert) if isinstance(state, Group) else None
        book.alerts[alert] = replace(row, suppressed=str(why) if why else None)

    def agrees(self, alert: str, prior: PriorAlert, recorded: Recorded, field: str = "data.") -> None:
        """Raises Tampered when the alert's group says otherwise of how the alert was before."""
        if prior.group is None:
            return
        state = self.asof[prior.group].state
        firing = state.firing.get(alert) if isinstance(state, Group) else None
        if firing != (prior.episode if prior.status is AlertStatus.FIRING else None):
            problem = "the alert's group says otherwise of how the alert was before"
            raise Tampered(f"{field}prior", problem, recorded.event)


def first(run: Run, kind: type[E]) -> E | None:
    """The first event of a kind."""
    return next((e.event for e in run if isinstance(e.event, kind)), None)
