"""The streams as they stood at one position of the log, for deciding again what was decided next.

A walk along the log keeps the states of the streams it met lately and forgets the others; those are read again when
they are needed, up to where the walk is.
"""

from collections import OrderedDict
from collections.abc import Iterator

from pydantic import ValidationError

from domain import pages
from domain.book import Loaded, PendingPage
from domain.delivering import MAX_ATTEMPTS
from domain.escalations import Escalation, StepNotified
from domain.events import Event, evolve
from domain.pages import Page, PageStatus
from schemas.events import Stored, UnknownEvent, decode, hash_event
from streams.store.ledger import Ledger, Line

CACHED = 20_000
"""Streams whose state is remembered."""


def read(line: Line) -> Stored | None:
    """What a row says, None when its bytes cannot be read."""
    try:
        return decode(line.type, line.state)
    except (UnknownEvent, ValidationError):
        return None


def hash_of(line: Line) -> bytes:
    """The hash of what is really there."""
    return hash_event(line.stream, line.version, line.type, line.state)


class AsOf:
    """Every stream at the walk's position. The hashes it holds are of the bytes, not of the rows' hash column."""

    def __init__(self, ledger: Ledger, cached: int = CACHED) -> None:
        self._ledger, self._size = ledger, cached
        self._cache: OrderedDict[str, Loaded] = OrderedDict()
        self.position = 0

    def __getitem__(self, stream: str) -> Loaded:
        """The stream as it stood after the event at `position`."""
        loaded = self._cache.get(stream)
        if loaded is None:
            loaded = Loaded.absent(stream)
            for line in self._ledger.history(stream, self.position + 1):
                loaded = _after(loaded, line)
        self._keep(stream, loaded)
        return loaded

    def apply(self, line: Line) -> None:
        """Go on by one event."""
        after = _after(self[line.stream], line)
        self.position = line.position
        self._keep(line.stream, after)

    def _keep(self, stream: str, loaded: Loaded) -> None:
        self._cache[stream] = loaded
        self._cache.move_to_end(stream)
        while len(self._cache) > self._size:
            self._cache.popitem(last=False)

    def pending(self, escalation: str) -> Iterator[str]:
        """The pages of an escalation that were queued or with a channel, in the order of their names.

        Which of the two, only the pages' rows knew.
        """
        state = self[escalation].state
        if not isinstance(state, Escalation) or state.stopped:
            return
        lines = self._ledger.history(escalation, self.position + 1)
        events: list[Event] = [stored.data for line in lines if (stored := read(line))]
        asked = {notified.page for e in events if isinstance(e, StepNotified) for notified in e.notified}
        yield from (page for page in sorted(asked) if self._is_pending(page))

    def _is_pending(self, page: str) -> bool:
        state = self[page].state
        if not isinstance(state, Page) or not self[page].version or not state.is_pending:
            return False
        return state.status is PageStatus.QUEUED or self._attempts(page) < MAX_ATTEMPTS

    def _attempts(self, page: str) -> int:
        """The number of the last attempt at a page of which nobody knows what became."""
        lines = self._ledger.history(page, self.position + 1)
        found = [s.data.attempt for line in lines if (s := read(line)) and isinstance(s.data, pages.Unknown)]
        return max(found, default=0)


def _after(loaded: Loaded, line: Line) -> Loaded:
    """The stream after one row; a row that cannot be read changes nothing but version and hash."""
    stored = read(line)
    if stored is None:
        return Loaded(loaded.state, line.version, hash_of(line), loaded.last_at)
    state = evolve(line.stream, loaded.state, stored.data)
    return Loaded(state, line.version, hash_of(line), stored.decision.decided_at)


class Pending(dict[str, tuple[PendingPage, ...]]):
    """The pending pages of each escalation that is asked for; those `in_flight` were with a channel."""

    def __init__(self, asof: AsOf, in_flight: frozenset[str]) -> None:
        super().__init__()
        self._asof, self._in_flight = asof, in_flight

    def get(self, escalation: str, default: object = None) -> tuple[PendingPage, ...]:
        """The pending pages of one escalation."""
        if escalation not in self:
            pending = self._asof.pending(escalation)
            self[escalation] = tuple(PendingPage(page, page in self._in_flight) for page in pending)
        return self[escalation]
