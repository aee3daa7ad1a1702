"""`tocsin audit verify`: one walk along the whole log that believes nothing it can check.

Positions have no gaps; each event's bytes hash to what its row says and name the hash of the event before it in its
stream; each seal is signed and covers what is there; and every decision is made again from what is recorded of its
input (`rederive`). What was never sealed is reported as such. Memory does not grow with the log.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from domain.ids import stream_kind
from projections.asof import AsOf, hash_of, read
from projections.findings import Finding, Verdict
from projections.inputs import Inputs
from projections.rederive import Rederiver
from projections.sealed import SealCheck, seals_of
from schemas.events import Stored
from streams.store.base import Recorded
from streams.store.ledger import Ledger, Line

BATCH = 1_000
REPORT_EVERY = 5_000
"""Events between two reports of progress."""

Progress = Callable[[int, int], None]
"""Told (position, head) now and then."""


@dataclass(frozen=True, slots=True)
class Read:
    """A row and what it says; None when nobody can read it."""

    line: Line
    stored: Stored | None

    @property
    def recorded(self) -> Recorded | None:
        """As an event of the log."""
        line, stored = self.line, self.stored
        if stored is None:
            return None
        return Recorded(line.position, line.stream, line.version, line.type, stored.data, stored.decision, line.hash)


@dataclass(slots=True)
class Window:
    """The log from the walk's position on, as far as it was looked at."""

    lines: Iterator[Line]
    _ahead: deque[Read] = field(default_factory=deque)

    def _reach(self, index: int) -> bool:
        while len(self._ahead) <= index:
            line = next(self.lines, None)
            if line is None:
                return False
            self._ahead.append(Read(line, read(line)))
        return True

    def run(self) -> list[Recorded]:
        """The next events that one decision is behind; empty when the next one cannot be read."""
        found: list[Recorded] = []
        while self._reach(len(found)):
            recorded = self._ahead[len(found)].recorded
            if recorded is None or (found and recorded.decision != found[0].decision):
                break
            found.append(recorded)
        return found

    def following(self, count: int) -> list[Recorded]:
        """At most the next `count` events that can be read."""
        self._reach(count - 1)
        ahead = (self._ahead[index].recorded for index in range(min(count, len(self._ahead))))
        return [recorded for recorded in ahead if recorded is not None]

    def take(self) -> Read:
        """Go on by one event."""
        return self._ahead.popleft()

    @property
    def is_over(self) -> bool:
        """Whether the log has ended."""
        return not self._reach(0)


@dataclass(slots=True)
class Walk:
    """One verification.

    Parameters:
        ledger: the log.
        org: the organisation whose identifiers are derived.
        trusted: public keys (hex) that may seal; empty trusts the first.
        decisions: whether decisions are made again; without it only chain and seals are checked.
    """

    ledger: Ledger
    org: str
    trusted: set[str]
    decisions: bool = True
    verdict: Verdict = field(default_factory=Verdict)

    def verify(self, progress: Progress | None = None) -> Verdict:
        """Walk from the first event to the one that is the last now. Raises Unavailable when the store is lost."""
        verdict, head, identity = self.verdict, self.ledger.head(), self.ledger.identity()
        verdict.head, verdict.epoch, verdict.since = head, identity.epoch, identity.since
        asof = AsOf(self.ledger)
        inputs = Inputs(self.ledger)
        rederiver = Rederiver(self.org, asof, inputs, verdict)
        seals = SealCheck(seals_of(self.ledger), set(self.trusted), identity.store, verdict)
        seals.start()
        window = Window(self._lines(head))
        while not window.is_over:
            run = window.run()
            count = rederiver.check(run, window.following) if run and self.decisions else max(1, len(run))
            for _ in range(count):
                self._go(window.take(), asof, inputs, seals)
                if progress and verdict.events % REPORT_EVERY == 0:
                    progress(asof.position, head)
        if asof.position != head:
            verdict.add(Finding(0, "", "", "position", f"the log's last position is {head}, not {asof.position}"))
        seals.finish(head)
        return verdict

    def _lines(self, head: int) -> Iterator[Line]:
        after = 0
        while lines := self.ledger.lines(after, BATCH):
            for line in lines:
                if line.position > head:
                    return
                yield line
            after = lines[-1].position

    def _go(self, read: Read, asof: AsOf, inputs: Inputs, seals: SealCheck) -> None:
        """Check one row against what is before it, and go on by it."""
        line, before = read.line, asof[read.line.stream]
        event_hash = hash_of(line)
        if line.position != asof.position + 1:
            self._find(line, "position", f"it follows position {asof.position}: events are missing")
        if line.version != before.version + 1:
            self._find(line, "version", f"version {line.version} follows version {before.version} of its stream")
        if event_hash != line.hash:
            self._find(line, "hash", "its bytes do not hash to what its row says")
        if read.stored is None:
            self._find(line, "", "its bytes cannot be read as an event of its type")
        elif read.stored.prev != before.tip.hex():
            self._find(line, "prev", "it does not continue the event before it in its stream")
        elif before.last_at and read.stored.decision.decided_at < before.last_at:
            self._find(line, "decision.decided_at", "it is earlier than the event before it in its stream")
        seals.add(line, event_hash)
        if read.stored and stream_kind(line.stream) == "config":
            inputs.change(line.position, read.stored.data)
        asof.apply(line)
        self.verdict.events += 1

    def _find(self, line: Line, field: str, problem: str) -> None:
        self.verdict.add(Finding(line.position, line.stream, line.type, field, problem))
