"""Where open incidents stand that alerts may join, in memory: the same promises as `correlating`."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from domain.belonging import Merged, Unmerged
from domain.book import Book
from domain.correlating import CANDIDATES, Candidate, Candidates, Spot
from streams.store.base import Conflict
from streams.store.correlating import incidents_open, incidents_turned


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
    _into: dict[str, str] = field(default_factory=dict)
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
        self._follow(book)
        if not book.config.correlation_rules:
            return
        for spot, opened in book.opened.items():
            for candidate in opened:
                self._stand[spot, candidate.incident] = _Stands(candidate, self._next())
        are_open, turned = incidents_open(book), incidents_turned(book)
        for (_, incident), stands in self._stand.items():
            is_open = self._after(incident, are_open, turned)
            if is_open is not None and stands.is_open != is_open:
                stands.is_open, stands.begun = is_open, self._next()

    def _after(self, incident: str, are_open: Mapping[str, bool], turned: Set[str]) -> bool | None:
        """Whether an incident leads to one that is open, after a save that says so of some; None: it is as it was."""
        if incident in are_open:
            return are_open[incident]
        while incident in self._into and incident not in are_open:
            incident = self._into[incident]
        return are_open.get(incident) if incident in turned else None

    def _follow(self, book: Book) -> None:
        """Remember which incidents are merged, and into which."""
        for entry in book.entries:
            if isinstance(entry.event, Merged):
                self._into[entry.stream] = entry.event.into
            elif isinstance(entry.event, Unmerged):
                del self._into[entry.stream]

    def _next(self) -> int:
        self._seen += 1
        return self._seen
