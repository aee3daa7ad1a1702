"""Checking the log against its seals: each signature, each link, each root; and each copy of the seals."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from projections.findings import Finding, Verdict
from schemas.seals import BadSeal, Seal, Tree, decode, digest, is_signed
from streams.store.ledger import Ledger, Line

BATCH = 500


def seals_of(ledger: Ledger) -> Iterator[Seal]:
    """The seals of a store, in order. Raises BadSeal when a row is none."""
    number = 0
    while documents := ledger.seals(number, BATCH):
        for document in documents:
            number += 1
            yield decode(document)


@dataclass(slots=True)
class SealCheck:
    """Goes along the log and checks every seal that it passes.

    Parameters:
        seals: in order.
        trusted: public keys (hex) that may sign; empty trusts the key of the first seal.
        store: the store that is read.
        verdict: where findings go.
    """

    seals: Iterator[Seal]
    trusted: set[str]
    store: str
    verdict: Verdict
    _seal: Seal | None = None
    _previous: Seal | None = None
    _tree: Tree = field(default_factory=Tree)
    _stopped: bool = False

    def start(self) -> None:
        """Read the first seal."""
        self._next()

    def add(self, line: Line, event_hash: bytes) -> None:
        """The next event of the log, with the hash of what is really there."""
        if self._seal is None:
            return
        self._tree.add(line.position, event_hash)
        if line.position >= self._seal.last:
            if self._tree.root != self._seal.root:
                between = f"positions {self._seal.first} to {self._seal.last}"
                self._find("root", f"{between} are not what was sealed")
            self.verdict.sealed = self._seal.last
            self._next()

    def finish(self, head: int) -> None:
        """The log has ended at `head`. Seals beyond it say that more was there."""
        if self._seal is not None and not self._stopped and self._seal.last > head:
            self._find("last", f"the log ends at {head}, but was sealed up to {self._seal.last}")

    def _next(self) -> None:
        self._previous, self._seal, self._tree = self._seal or self._previous, None, Tree()
        if self._stopped:
            return
        try:
            seal = next(self.seals, None)
        except BadSeal as error:
            self._stopped = True
            self._find("document", str(error))
            return
        if seal is not None:
            self._seal = seal
            self._check(seal)

    def _check(self, seal: Seal) -> None:
        before = self._previous
        self.verdict.seals += 1
        self.verdict.keys.add(seal.key)
        self.trusted = self.trusted or {seal.key}
        if not is_signed(seal):
            self._find("signature", "the signature is not that of its key")
        elif seal.key not in self.trusted:
            self._find("key", f"signed with key {seal.key[:16]}…, which is not one to be trusted")
        if seal.number != (before.number + 1 if before else 1):
            self._find("number", f"it follows seal {before.number if before else 0}")
        if seal.previous != (digest(before) if before else ""):
            self._find("previous", "it does not continue the seal before it")
        if seal.first != (before.last + 1 if before else 1) or seal.last < seal.first:
            self._find("first", f"it covers {seal.first} to {seal.last} after one up to {before.last if before else 0}")
        if seal.store != self.store:
            self._find("store", "it is of another store")

    def _find(self, field: str, problem: str) -> None:
        number = self._seal.number if self._seal else self.verdict.seals + 1
        self.verdict.add(Finding(0, "", "", f"seal {number}, {field}", problem))


def compare_copy(seals: Iterable[Seal], copy: Iterable[Seal], name: str, found: Callable[[Finding], None]) -> int:
    """Check a copy of the seals against the table's; returns how many it holds. One that lags is in order.

    Raises BadSeal when a copy holds something else, OSError when it cannot be read.
    """
    table, last = iter(seals), 0
    for seal in copy:
        if seal.number <= last:
            continue
        last = seal.number
        kept = next(table, None)
        if kept is None:
            found(Finding(0, "", "", f"seal {seal.number}", f"{name} has it and the table has not"))
            return last
        if kept != seal:
            found(Finding(0, "", "", f"seal {seal.number}", f"{name} has another one than the table"))
            return last
    return last
