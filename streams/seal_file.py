"""The append-only file of seals: one line per seal, in order; what a database's owner cannot quietly rewrite.

There is one file per store and epoch, because a store that was restored from a backup continues differently.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from schemas.seals import BadSeal, Seal, decode, encode
from streams.failpoints import effect, reach
from streams.store.base import Identity

FOLDER = "seals"


def seal_file(data_dir: Path, identity: Identity) -> Path:
    """Where the seals of this store are kept on this machine."""
    return data_dir / FOLDER / f"{identity.store}-{identity.epoch}.jsonl"


def read(path: Path) -> Iterator[Seal]:
    """The seals of a file, in order; a line that was torn by a crash at the end is none.

    Raises BadSeal when any other line is not a seal, OSError when the file cannot be read.
    """
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield decode(line.removesuffix(b"\n"))


class SealFile:
    """A file that is only ever appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def last(self) -> Seal | None:
        """The seal on the last whole line; a torn line behind it is cut off. Raises BadSeal."""
        if not self._path.exists():
            return None
        with self._path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 8192))
            whole, newline, torn = file.read().rpartition(b"\n")
            if torn:
                file.truncate(end - len(torn))
            if not newline:
                if end > len(torn):
                    raise BadSeal(f"{self._path} holds something else than seals")
                return None
        return decode(whole.rpartition(b"\n")[2])

    def append(self, seals: list[Seal]) -> None:
        """Add seals; they are on the disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with effect("seal_file"), self._path.open("ab") as file:
            file.write(b"".join(encode(seal) + b"\n" for seal in seals))
            reach("seal_file:written")
            file.flush()
            os.fsync(file.fileno())
