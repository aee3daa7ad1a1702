"""A log in memory that tests may verify, tamper with, and seal again as whoever has the key could."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from projections.findings import Verdict
from projections.verify import Walk
from schemas.events import hash_event
from schemas.seals import Seal, Tree, digest, encode, public_hex, sign
from streams.store.base import Identity, Save
from streams.store.ledger import Line, Payload
from tests.histories import MeddledStore

AT = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@dataclass
class KeepingStore(MeddledStore):
    """The store in memory, that also keeps salts, as the real one does."""

    kept: dict[str, Payload] = field(default_factory=dict)

    def save(self, save: Save) -> int:
        position = MeddledStore.save(self, save)
        for ref, (salt, body) in save.book.payloads.items():
            self.kept.setdefault(ref, Payload(salt, body))
        return position


@dataclass(slots=True)
class MemoryLedger:
    """See `streams.store.ledger.Ledger`."""

    rows: list[Line] = field(default_factory=list)
    kept: dict[str, Payload] = field(default_factory=dict)
    sealed: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, store: KeepingStore) -> "MemoryLedger":
        raw = store.raw_tail(0, 1_000_000)
        rows = [Line(e.position, e.stream, e.version, e.type, e.state, e.hash) for e in raw]
        return cls(rows, dict(store.kept))

    def identity(self) -> Identity:
        return Identity("00000000-0000-0000-0000-000000000000", 1)

    def head(self) -> int:
        return max((line.position for line in self.rows), default=0)

    def lines(self, after: int, limit: int) -> list[Line]:
        return [line for line in self.rows if line.position > after][:limit]

    def history(self, stream: str, before: int) -> list[Line]:
        return [line for line in self.rows if line.stream == stream and line.position < before]

    def of_kind(self, kind: str, after: int, limit: int) -> list[Line]:
        return [line for line in self.rows if line.stream.startswith(f"{kind}-") and line.position > after][:limit]

    def opened(self, number: int) -> str | None:
        opened = (line for line in self.rows if line.type == "incident.opened.v1")
        return next((line.stream for line in opened if orjson.loads(line.state)["data"]["number"] == number), None)

    def payloads(self, refs: Collection[str]) -> Mapping[str, Payload]:
        return {ref: self.kept[ref] for ref in refs if ref in self.kept}

    def seals(self, after: int, limit: int) -> list[bytes]:
        return self.sealed[after : after + limit]

    # -- what somebody with access, and with the key, could do -----------------------------------------------------

    def seal(self, size: int = 7) -> "MemoryLedger":
        """Seal everything anew with the real key, `size` events at a time."""
        self.sealed = [encode(seal) for seal in seals_over(self.rows, size)]
        return self

    def altered(self, position: int, change: Callable[[dict[str, Any]], None]) -> "MemoryLedger":
        """A copy in which one event says something else, and every hash after it in its stream follows."""
        rows = list(self.rows)
        document = orjson.loads(rows[position - 1].state)
        change(document)
        rows[position - 1] = replace(rows[position - 1], state=orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
        return MemoryLedger(rehashed(rows), dict(self.kept))


def rehashed(rows: list[Line]) -> list[Line]:
    """The rows with every `prev` and hash made to fit."""
    tips: dict[str, str] = {}
    fitted = []
    for line in rows:
        document = orjson.loads(line.state)
        if document["prev"] != tips.get(line.stream, ""):
            document["prev"] = tips.get(line.stream, "")
            line = replace(line, state=orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
        line = replace(line, hash=hash_event(line.stream, line.version, line.type, line.state))
        tips[line.stream] = line.hash.hex()
        fitted.append(line)
    return fitted


def merkle_root(leaves: Iterable[tuple[int, bytes]]) -> str:
    """The root (hex) over these positions and hashes, in order."""
    tree = Tree()
    for position, event_hash in leaves:
        tree.add(position, event_hash)
    return tree.root


def seals_over(rows: list[Line], size: int) -> list[Seal]:
    """Seals over all rows, with the key that tests know."""
    made: list[Seal] = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        seal = Seal(
            number=len(made) + 1,
            store="00000000-0000-0000-0000-000000000000",
            epoch=1,
            first=part[0].position,
            last=part[-1].position,
            root=merkle_root((line.position, line.hash) for line in part),
            previous=digest(made[-1]) if made else "",
            sealed_at=AT,
            key="",
        )
        made.append(sign(seal, KEY))
    return made


def verify(ledger: MemoryLedger) -> Verdict:
    """What a verification says of it."""
    return Walk(ledger, "default", {public_hex(KEY.public_key())}).verify()
