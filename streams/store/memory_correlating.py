"""Where open incidents stand that alerts may join, in memory: the same promises as `correlating`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.book import Book
from domain.correlating import CANDIDATES, Candidate, Candidates, Spot
from streams.store.base import Conflict
from streams.store.correlating import incidents_open


@dataclass(slots=True)
class _Stands:
    """An incident at a spot; `begun` counts up."""

    candidate: Candidate
    begun: int
    is_open: bool = True


@dataclass(slots=True)
class MemorySpots:
    """Every incident that stands somewhere. Whoever calls holds the store's lock."""

    _stand: dict[tuple[Spot, str], _Stands] = field(default_factory=dict)
    _seen: int = 0

    def found(self, spots: Mapping[Spot, datetime]) -> Candidates:
        """See `Store.candidates`."""
        at = {spot: self._at(spot, since) for spot, since in spots.items()}
        return Candidates({spot: tuple(found) for spot, found in at.items() if found}, self._seen)

    def _at(self, spot: Spot, since: datetime) -> list[Candidate]:
        candidates = [stands.candidate for stands in self._open(spot, since)]
        return sorted(candidates, key=lambda one: (one.opened_at, one.incident))[:CANDIDATES]

    def _open(self, spot: Spot, since: datetime) -> Iterator[_Stands]:
        for (where, _), stands in self._stand.items():
            if where == spot and stands.is_open and stands.candidate.opened_at >= since:
                yield stands

    def check(self, book: Book) -> None:
        """Raises Conflict when an incident has come to where an alert of the book looked for one in vain."""
        for spot, since in book.alone.items():
            if any(stands.begun > book.candidates.seen for stands in self._open(spot, since)):
                raise Conflict("an incident was opened that an alert may join")

    def write(self, book: Book) -> None:
        """What the book opens stands where it says, and what it closes is not open any more; if there is a rule."""
        if not book.config.correlation_rules:
            return
        for spot, opened in book.opened.items():
            for candidate in opened:
                self._stand[spot, candidate.incident] = _Stands(candidate, self._next())
        are_open = incidents_open(book)
        for (_, incident), stands in self._stand.items():
            if stands.is_open != are_open.get(incident, stands.is_open):
                stands.is_open, stands.begun = are_open[incident], self._next()

    def _next(self) -> int:
        self._seen += 1
        return self._seen
