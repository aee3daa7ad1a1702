"""Mails in a folder: written durably, read back parsed, shown in a terminal.

The folder is a Maildir (https://cr.yp.to/proto/maildir.html): one file per mail, so that the mailbox, tests, the demo
and any mail program can use it at the same time without locks. Read next: `mailbox`, the server that fills it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

LIMIT = 10_000
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Mail:
    """One received mail, parsed.

    Params:
        to, subject: decoded; empty when the mail has none.
        text, html: the bodies, empty when there is none of that kind.
        headers: the whole message; `mail.headers["X-Severity"]`, in any case of letters.
        received_at: aware UTC.
    """

    to: str
    subject: str
    text: str
    html: str
    headers: EmailMessage
    received_at: datetime


class Mailbox:
    """Reads a Maildir; several readers and the server may use it at the same time."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._parsed: dict[str, Mail] = {}

    def messages(self) -> list[Mail]:
        """All mails there are, newest last. Each file is read once; a missing folder is an empty mailbox."""
        self._parsed = {file.name: mail for file in _files(self._path) if (mail := self._read(file)) is not None}
        return list(self._parsed.values())

    async def wait_for(self, predicate: Callable[[Mail], bool], timeout: float) -> Mail:  # noqa: ASYNC109
        """The oldest mail that satisfies `predicate`, as soon as it is there.

        Raises:
            TimeoutError: none came within `timeout` seconds; the message lists the subjects there are.
        """
        deadline = time.monotonic() + timeout
        while True:
            mails = self.messages()
            found = next(filter(predicate, mails), None)
            if found is not None:
                return found
            if time.monotonic() >= deadline:
                raise TimeoutError(f"no such mail in {timeout:g} s; there are: {[mail.subject for mail in mails]}")
            await asyncio.sleep(_POLL)

    def _read(self, file: Path) -> Mail | None:
        known = self._parsed.get(file.name)
        if known is not None:
            return known
        try:
            received_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            return _parse(file.read_bytes(), received_at)
        except FileNotFoundError:  # made room for newer ones, or moved by a mail program: the next look finds it
            return None


class MailStore:
    """Writes mails into a Maildir and keeps the newest `limit`, tidying up when a tenth more have gathered."""

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._numbers = itertools.count(1)
        for folder in ("tmp", "new", "cur"):
            (path / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._count = len(_files(path))

    def add(self, content: bytes) -> Path:
        """Store one mail durably: written and synced under tmp/, then renamed into new/. One call at a time.

        Raises:
            OSError: it could not be stored.
        """
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        name = f"{seconds}.M{nanoseconds // 1000:06}P{os.getpid()}Q{next(self._numbers):06}.tocsin"
        draft, final = self._path / "tmp" / name, self._path / "new" / name
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(final)
        _sync_folder(final.parent)
        self._count += 1
        if self._count > self._limit + self._limit // 10:
            self._make_room()
        return final

    def _make_room(self) -> None:
        files = _files(self._path)
        for file in files[: -self._limit]:
            file.unlink(missing_ok=True)
        self._count = min(len(files), self._limit)


def format_mail(mail: Mail) -> str:
    """`mail` for a terminal: to whom, what, when, then its text, behind a bar. No control character survives."""
    lines = (
        f"To:       {mail.to}",
        f"Subject:  {mail.subject}",
        f"Received: {mail.received_at:%Y-%m-%d %H:%M:%S} UTC",
        "",
        *mail.text.rstrip().splitlines(),
    )
    return "\n".join(f"│ {_printable(line)}".rstrip() for line in lines)


def _files(path: Path) -> list[Path]:
    """The mails of a Maildir, oldest first: our names begin with the time of delivery and a running number."""
    found = [Path(entry.path) for folder in ("new", "cur") for entry in _scan(path / folder)]
    return sorted(found, key=lambda file: file.name)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _parse(content: bytes, received_at: datetime) -> Mail:
    message = message_from_bytes(content, policy=default)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    return Mail(
        to=str(message["To"] or ""),
        subject=str(message["Subject"] or ""),
        text=text.get_content().replace("\r\n", "\n") if text is not None else "",
        html=html.get_content().replace("\r\n", "\n") if html is not None else "",
        headers=message,
        received_at=received_at,
    )


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else " " for character in line)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
