"""Mail servers for tests: aiosmtpd as the well-behaved peer, a scripted one for everything that goes wrong, and their
certificates. Both live in the test's own event loop and remember what they were told.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HANG = "hang"
RESET = "reset"


class Authority:
    """A certificate authority of this test run; `ca_file` is what a client has to trust."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(self._name, self._key, days=30, is_authority=True)
        self.ca_file = folder / f"{name.replace(' ', '-')}.pem"
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server_context(self, host: str, days: int = 30) -> ssl.SSLContext:
        """TLS for a server that calls itself `host` (a name or an address); negative `days`: already expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._certificate(subject, key, days=days, host=host)
        file = self._folder / f"server-{host}-{days}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        days: int,
        host: str | None = None,
        is_authority: bool = False,
    ) -> x509.Certificate:
        end = datetime.now(UTC) + timedelta(days=days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - timedelta(days=60))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if host is not None:
            name = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
            builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@dataclass
class Peer:
    """A real aiosmtpd server: takes mail for everybody, unless `replies` says otherwise.

    Params:
        replies: answer by verb ("MAIL", "RCPT", "DATA"), e.g. {"RCPT": "550 5.1.1 no such user"}; used until removed.
        hang_up_after_data: take the mail, then reset the connection without an answer.
        password: the only one accepted; None accepts no login at all.
        seen: every byte a client said, after decryption.
    """

    password: str | None = None
    replies: dict[str, str] = field(default_factory=dict)
    hang_up_after_data: bool = False
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    seen: bytearray = field(default_factory=bytearray)
    connections: int = 0
    logins: int = 0
    port: int = 0

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if "MAIL" not in self.replies:
            envelope.mail_from = address
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if "RCPT" not in self.replies:
            envelope.rcpt_tos.append(address)
        return self.replies.get("RCPT", "250 OK")

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if "DATA" in self.replies:
            return self.replies["DATA"]
        self.mails.append(message_from_bytes(envelope.original_content, policy=default))
        self.recipients.extend(envelope.rcpt_tos)
        if self.hang_up_after_data:
            server.transport.abort()
        return "250 2.0.0 OK"

    def authenticate(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        success = self.password is not None and data.password == self.password.encode()
        self.logins += success
        return AuthResult(success=success, handled=False)

    @asynccontextmanager
    async def serving(
        self, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Peer]:
        """Listen on a free port of 127.0.0.1; `starttls` offers and demands an upgrade, `tls` is TLS from the start."""
        loop = asyncio.get_running_loop()
        sessions: list[SMTP] = []

        def session() -> SMTP:
            self.connections += 1
            sessions.append(_Recording(self, starttls, over_tls=tls is not None))
            return sessions[-1]

        server = await loop.create_server(session, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for each in sessions:
                if each.transport is not None:
                    each.transport.abort()
            await asyncio.sleep(0)


class _Recording(SMTP):
    """aiosmtpd, keeping what it reads."""

    def __init__(self, peer: Peer, starttls: ssl.SSLContext | None, *, over_tls: bool) -> None:
        super().__init__(
            peer,
            hostname="localhost",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=peer.authenticate,
            auth_require_tls=not over_tls and starttls is not None,
        )
        self._peer = peer

    def data_received(self, data: bytes) -> None:
        self._peer.seen.extend(data)
        super().data_received(data)


ANSWERS = {
    "greeting": "220 scripted",
    "EHLO": "250-scripted\r\n250 8BITMIME",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "DATA": "354 go on",
    "content": "250 2.0.0 OK",
    "RSET": "250 OK",
    "QUIT": "221 bye",
}


@dataclass
class Scripted:
    """A server that says what the test wants at each step; `HANG` says nothing, `RESET` cuts the connection.

    `delays` are seconds before the answer to a step.
    """

    script: dict[str, str]
    delays: dict[str, float] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Scripted]:
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            tasks.add(asyncio.create_task(self._session(reader, writer)))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer("greeting", writer)
            while line := await reader.readline():
                verb = line.split()[0].decode().upper()
                self.heard.append(verb)
                await self._answer(verb, writer)
                if verb == "DATA" and self.script.get("DATA", ANSWERS["DATA"]).startswith("354"):
                    await reader.readuntil(b"\r\n.\r\n")
                    self.heard.append("content")
                    await self._answer("content", writer)
        finally:
            writer.transport.abort()

    async def _answer(self, step: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.delays.get(step, 0))
        answer = self.script.get(step, ANSWERS.get(step, "502 unknown"))
        if answer == HANG:
            await asyncio.sleep(60)
        if answer == RESET:
            writer.transport.abort()
            await asyncio.sleep(60)
        writer.write(answer.encode() + b"\r\n")
        await writer.drain()


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """A port that accepts connections and never says a word."""
    async with Scripted({"greeting": HANG}).serving() as server:
        yield server.port
