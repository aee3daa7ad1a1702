"""The key that signs seals: made once, readable by its owner alone; its public half lies beside it for everybody.

Several machines that may seal one store are given the same key by TOCSIN_SEAL_KEY_FILE. Whoever has it can sign a
log that never was: keep it away from the database.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from schemas.settings import Settings
from streams.failpoints import effect

NAME = "seal.key"


class BadKey(ValueError):
    """A file that holds no usable ed25519 key; the message names it and says what to do."""


def key_path(settings: Settings) -> Path:
    """Where the key is: the file of the settings, else `seal.key` in the data directory."""
    return settings.seal_key_file or settings.data_dir / NAME


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """The key to sign with; made (0600) when it is in the data directory and does not exist yet.

    Its public half is written beside it as `.pub`. Raises BadKey when the file holds something else, or the one that
    the settings name does not exist.
    """
    path = key_path(settings)
    if not path.exists():
        if settings.seal_key_file is not None:
            raise BadKey(f"{path} does not exist: make an ed25519 key there (openssl genpkey -algorithm ed25519).")
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(f"{path} is not an unencrypted ed25519 key in PEM: restore it, or set TOCSIN_SEAL_KEY_FILE.")
    if settings.seal_key_file is None:
        _publish(key.public_key(), path.with_suffix(".pub"))
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file of either half. Raises BadKey."""
    try:
        data = path.read_bytes()
        key = load_pem_private_key(data, None).public_key() if b"PRIVATE" in data else load_pem_public_key(data)
    except (OSError, ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(f"{path} is not an ed25519 key in PEM.")
    return key


def pem(key: Ed25519PublicKey) -> bytes:
    """A public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; when two do this at once, both use the one that was first."""
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with suppress(FileExistsError):
        _write(path, private, 0o600)


def _publish(key: Ed25519PublicKey, path: Path) -> None:
    if not path.exists():
        with suppress(FileExistsError):
            _write(path, pem(key), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    with effect("seal_key"), tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-") as fresh:
        os.fchmod(fresh.fileno(), mode)
        fresh.write(content)
        fresh.flush()
        os.fsync(fresh.fileno())
        os.link(fresh.name, path)
