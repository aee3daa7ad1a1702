"""The incidents that alerts could have joined, as a walk along the log finds them out by deciding again.

What an incident was opened by says where it stood (`domain.correlating`). Where that cannot be decided again, because
it was erased or by other rules, what a later event says is believed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from domain.belonging import GroupAttached
from domain.book import Book
from domain.correlating import Candidate, Candidates, Spot
from domain.incidents import Incident, Opened
from domain.joining import leads_to
from streams.store.base import Recorded

KEPT = timedelta(days=2)
"""No rule looks further back."""


class Openings:
    """Where incidents stand that were opened lately. `state_of` tells of an incident at the walk's position."""

    def __init__(self, state_of: Callable[[str], Incident]) -> None:
        self._state_of = state_of
        self._at: dict[Spot, list[Candidate]] = {}
        self._unknown: dict[str, Opened] = {}
        self._lately: deque[tuple[Opened, str, tuple[Spot, ...]]] = deque()

    def note(self, book: Book) -> None:
        """What was decided again has opened these incidents."""
        for entry in book.entries:
            if isinstance(entry.event, Opened):
                self._remember(entry.event, entry.stream, _spots_of(entry.stream, book))
        for spot, opened in book.opened.items():
            self._at.setdefault(spot, []).extend(opened)

    def lose(self, run: Iterable[Recorded]) -> None:
        """These events cannot be decided again: where what they opened stands nobody knows."""
        for one in run:
            if isinstance(one.event, Opened):
                self._remember(one.event, one.stream, ())
                self._unknown[one.stream] = one.event

    def _remember(self, event: Opened, incident: str, spots: tuple[Spot, ...]) -> None:
        self._lately.append((event, incident, spots))
        while self._lately[0][0].opened_at < event.opened_at - KEPT:
            _, gone, stood = self._lately.popleft()
            self._unknown.pop(gone, None)
            for spot in stood:
                left = [candidate for candidate in self._at.get(spot, ()) if candidate.incident != gone]
                self._at.pop(spot, None)
                if left:
                    self._at[spot] = left

    def before(self, run: Iterable[Recorded]) -> Candidates:
        """The incidents that an alert may join before a run of events, which may say which one it was."""
        said = next((one for one in run if isinstance(one.event, GroupAttached)), None)
        return Candidates(_Standing(self, said))

    def at(self, spot: Spot, said: Recorded | None) -> Iterator[Candidate]:
        """Those at a spot; and, if `said` tells of one that leads where it says, those of which nothing is known."""
        yield from (one for one in self._at.get(spot, ()) if leads_to(self._state_of, one.incident))
        if said and isinstance(said.event, GroupAttached) and said.event.rule == spot[0]:
            for incident, opened in self._unknown.items():
                if spot[2] in ("", opened.service) and leads_to(self._state_of, incident) == said.stream:
                    yield Candidate(incident, opened.opened_at, "")


class _Standing(dict[Spot, tuple[Candidate, ...]]):
    """What stands at a spot, found out when it is asked for."""

    def __init__(self, openings: Openings, said: Recorded | None) -> None:
        super().__init__()
        self._openings, self._said = openings, said

    def get(self, spot: Spot, default: object = ()) -> tuple[Candidate, ...]:
        """The incidents at a spot."""
        return tuple(self._openings.at(spot, self._said))


def _spots_of(incident: str, book: Book) -> tuple[Spot, ...]:
    return tuple(spot for spot, opened in book.opened.items() if any(one.incident == incident for one in opened))
