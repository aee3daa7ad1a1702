"""The local mailbox: where the mail of a demo or of development goes instead of to people.

    python -m streams.channels.mailbox --maildir .tocsin/mail --port 1025

A real SMTP server on the loopback interface only, without TLS (the channel is told so explicitly, mode "plain"). A
mail is on disk before the server answers 250. Whoever wants to see the mails takes `Mailbox` and `format_mail`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from weakref import WeakSet

from aiosmtpd.smtp import SMTP, Envelope, Session

from streams.channels.maildir import LIMIT, Mail, Mailbox, MailStore, format_mail

__all__ = ("HOST", "Mail", "Mailbox", "format_mail", "main", "serve")

HOST = "127.0.0.1"
_GRACE = 2.0
_log = logging.getLogger(__name__)


class _Handler:
    """aiosmtpd's hooks: accept everything, one mail at a time, and answer when it is on disk."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._writing = asyncio.Lock()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store the mail below the two lines that a final delivery adds (RFC 5321 section 4.4, RFC 9228)."""
        delivery = f"Return-Path: <{envelope.mail_from}>\r\nDelivered-To: {', '.join(envelope.rcpt_tos)}\r\n"
        content = delivery.encode("ascii", "replace") + (envelope.original_content or b"")
        try:
            async with self._writing:
                await asyncio.to_thread(self._store.add, content)
        except OSError as error:
            _log.error("mail not stored: %s", error)
            return "452 4.3.1 Insufficient system storage"
        return "250 2.0.0 OK"

    async def finish(self) -> None:
        """Return when the mails that were complete by now are stored and answered, at the latest after `_GRACE`."""
        try:
            async with asyncio.timeout(_GRACE), self._writing:
                return
        except TimeoutError:
            _log.warning("stopped while a mail was being stored; its sender will send it again")


async def serve(
    maildir: Path, port: int, ready: Callable[[int], None], stop: asyncio.Event, limit: int = LIMIT
) -> None:
    """Receive mail on 127.0.0.1 until `stop` is set; a mail being stored then is finished and answered.

    Params:
        maildir: created if it is not there.
        port: 0 for any free one; `ready` is called with the actual one.
        limit: how many mails are kept.

    Raises:
        OSError: the port is taken or the folder cannot be written.
    """
    handler = _Handler(MailStore(maildir, limit))
    sessions: WeakSet[SMTP] = WeakSet()

    def session() -> SMTP:
        server = SMTP(handler, hostname="localhost", ident="Tocsin local mailbox")
        sessions.add(server)
        return server

    listener = await asyncio.get_running_loop().create_server(session, HOST, port)
    try:
        ready(listener.sockets[0].getsockname()[1])
        await stop.wait()
    finally:
        listener.close()
        await handler.finish()
        for open_session in sessions:
            if open_session.transport is not None:
                open_session.transport.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mailbox until SIGTERM or SIGINT. Prints one line with its address when it accepts mail."""
    parser = argparse.ArgumentParser(prog="python -m streams.channels.mailbox", description="local mailbox")
    parser.add_argument("--maildir", type=Path, required=True, help="folder to store mails in")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 for a free one")
    options = parser.parse_args(argv)
    try:
        asyncio.run(_run(options.maildir, options.port))
    except OSError as error:
        sys.stderr.write(f"mailbox: {error}\n")
        return 1
    return 0


async def _run(maildir: Path, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(maildir, port, _announce, stop)


def _announce(port: int) -> None:
    sys.stdout.write(f"mailbox listening on {HOST}:{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
