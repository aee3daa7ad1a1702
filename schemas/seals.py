"""Seals: signed statements that the log, up to a position, was as it was.

A seal covers the events from `first` to `last`: the root of a Merkle tree over their positions and hashes (RFC 6962,
section 2.1: leaves and nodes are told apart by a leading byte), the digest of the seal before, and an ed25519
signature over all of it. Whoever has the public key can check a log without trusting the database it is in.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import TypeAdapter, ValidationError

OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z


class BadSeal(ValueError):
    """Bytes that are no seal."""


@dataclass(frozen=True, slots=True)
class Seal:
    """One seal. `number` counts from 1; `previous` is the digest (hex) of the seal before, empty for the first.

    `key` is the raw public key in hex, `signature` (hex) is over everything else. Times are UTC.
    """

    number: int
    store: str
    epoch: int
    first: int
    last: int
    root: str
    previous: str
    sealed_at: datetime
    key: str
    signature: str = ""


_READER = TypeAdapter(Seal)


def encode(seal: Seal) -> bytes:
    """The seal's bytes: one line of JSON, the same everywhere it is kept."""
    return orjson.dumps(seal, option=OPTIONS)


def decode(data: bytes) -> Seal:
    """The seal in `data`. Raises BadSeal for anything else."""
    try:
        return _READER.validate_json(data, strict=True)
    except ValidationError:
        raise BadSeal("these bytes are not a seal") from None


def digest(seal: Seal) -> str:
    """What the next seal holds of this one (hex)."""
    return sha256(encode(seal)).hexdigest()


def sign(seal: Seal, key: Ed25519PrivateKey) -> Seal:
    """The seal with the key's name and signature."""
    named = replace(seal, key=public_hex(key.public_key()), signature="")
    return replace(named, signature=key.sign(encode(named)).hex())


def is_signed(seal: Seal) -> bool:
    """Whether the signature is that of the key that the seal names."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(seal.key))
        key.verify(bytes.fromhex(seal.signature), encode(replace(seal, signature="")))
    except (InvalidSignature, ValueError):
        return False
    return True


def public_hex(key: Ed25519PublicKey) -> str:
    """A public key as seals name it: its 32 raw bytes in hex."""
    return key.public_bytes_raw().hex()


def leaf(position: int, event_hash: bytes) -> bytes:
    """The tree's leaf for one event."""
    return sha256(b"\x00" + position.to_bytes(8, "big") + event_hash).digest()


@dataclass(slots=True)
class Tree:
    """A Merkle tree that is given leaf after leaf, and keeps one hash for each complete subtree of it."""

    _peaks: list[tuple[int, bytes]] = field(default_factory=list)

    def add(self, position: int, event_hash: bytes) -> None:
        """One more event."""
        height, node = 0, leaf(position, event_hash)
        while self._peaks and self._peaks[-1][0] == height:
            node = _node(self._peaks.pop()[1], node)
            height += 1
        self._peaks.append((height, node))

    @property
    def root(self) -> str:
        """The root (hex); of no events, the hash of nothing."""
        if not self._peaks:
            return sha256(b"").hexdigest()
        peaks = [node for _, node in self._peaks]
        root = peaks.pop()
        while peaks:
            root = _node(peaks.pop(), root)
        return root.hex()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
