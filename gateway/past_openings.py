"""Which incidents an alert could have joined at a past instant: what was opened a short time before, and was open."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain import groups, joining
from domain.book import Loaded
from domain.config import Config
from domain.correlating import Candidate, Candidates, Spot, opener_of
from domain.incidents import Incident, Opened
from domain.joining import leads_to
from schemas.payloads import read_alert
from streams.store.base import Recorded, Store

EVENTS = 20_000
"""Events before that instant that are read."""
READ = 1_000
NOTE = f"Of what was opened before, the latest {EVENTS:,} events were looked at for incidents to join."

Began = groups.AlertFired | groups.AlertRefired | groups.AlertReleased


@dataclass(frozen=True, slots=True)
class Openings:
    """Incidents by where they stood at `at` (UTC), by the configuration of then.

    `load` gives a stream as it stood then.
    """

    store: Store
    config: Config
    at: datetime
    load: Callable[[str], Loaded]
    notes: list[str] = field(default_factory=list)

    def candidates(self, spots: Mapping[Spot, datetime]) -> Candidates:
        """See `streams.looking.View`; in the order in which they were opened."""
        found: dict[Spot, tuple[Candidate, ...]] = {}
        for recorded, opened, began in self._opened(min(spots.values())):
            candidate = Candidate(recorded.stream, opened.opened_at, opener_of(began.integration, began.fingerprint))
            for spot in self._spots(opened, began) if leads_to(self._state, recorded.stream) else ():
                if spot in spots:
                    found[spot] = (*found.get(spot, ()), candidate)
        return Candidates(found)

    def _opened(self, since: datetime) -> Iterator[tuple[Recorded, Opened, Began]]:
        """What alerts opened since then, each with the event of the alert, which stands before it in the log."""
        began: dict[str, Began] = {}
        for recorded in self._events(since):
            match recorded.event:
                case groups.AlertFired() | groups.AlertRefired() | groups.AlertReleased() as event:
                    began[event.incident] = event
                case Opened() as opened if recorded.stream in began:
                    yield recorded, opened, began[recorded.stream]

    def _events(self, since: datetime) -> Iterator[Recorded]:
        until = first_after(self.store, self.at)
        after = first_after(self.store, since)
        if until - after > EVENTS:
            self.notes.append(NOTE)
            after = until - EVENTS
        while after < until and (read := self.store.tail(after, min(READ, until - after))):
            yield from read
            after = read[-1].position

    def _state(self, stream: str) -> Incident:
        state = self.load(stream).state
        if not isinstance(state, Incident):
            raise TypeError(f"{stream} is not an incident")
        return state

    def _spots(self, opened: Opened, began: Began) -> tuple[Spot, ...]:
        """None when the alert's labels were erased since."""
        body = self.store.payload(began.payload.ref)
        if body is None:
            return ()
        alert = read_alert(body)
        facts = self.config.facts(alert.labels, alert.annotations, alert.severity.value, began.integration)
        return joining.spots(self.config, facts, opened)


def first_after(store: Store, at: datetime) -> int:
    """The position of the last event that was decided at `at` (UTC) or before; times are taken to grow."""
    low, high = 0, store.head()
    while low < high:
        middle = (low + high) // 2
        event = next(iter(store.tail(middle, 1)), None)
        is_later = event is None or event.decision.decided_at > at
        low, high = (low, middle) if is_later else (middle + 1, high)
    return low
