"""E-mail: one message per person through one SMTP server.

A burst of pages shares one connection, one message at a time; an idle one is not trusted and made anew. Each `send`
answers within `SmtpSettings.total_timeout`, whatever the server does. The commands are sent one by one, not through
aiosmtplib's `sendmail`, because only the step that failed tells what the failure means (`smtp.outcome_of`); with one
recipient per message there is no partial refusal either.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any

import aiosmtplib

from streams.channels.base import Message, Notice, Outcome, Rejected, Sent
from streams.channels.notice import render_notice
from streams.channels.render import Rendered, render
from streams.channels.smtp import SmtpSettings, Step, is_mail_address, outcome_of, tls_context


class EmailChannel:
    """Sends through the server in `settings`; `now` gives the aware time that mails are dated with.

    Raises:
        OSError: `settings.ca_file` cannot be used.
    """

    def __init__(self, settings: SmtpSettings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._tls = None if settings.mode == "plain" else tls_context(settings)
        self._lock = asyncio.Lock()
        self._client: aiosmtplib.SMTP | None = None
        self._used_at = 0.0

    @property
    def name(self) -> str:
        """The word used in configuration and events."""
        return "email"

    async def send(self, message: Message | Notice) -> Outcome:
        """Hand `message` to the server; `Sent` names its Message-ID, equal on every attempt.

        Blocks at most `total_timeout` seconds, waiting for other messages included.
        """
        if not is_mail_address(message.to):
            return Rejected("recipient: not an address that mail can be sent to")
        domain, now = self._settings.domain, self._now()
        rendered = render_notice(message, domain, now) if isinstance(message, Notice) else render(message, domain, now)
        delivery = _Delivery(message.to, compose(rendered, self._settings, message.to))
        try:
            async with asyncio.timeout(self._settings.total_timeout):
                await self._in_turn(delivery)
        except (aiosmtplib.SMTPException, OSError) as error:
            return outcome_of(delivery.step, error)
        return Sent(rendered.message_id)

    async def close(self) -> None:
        """Say goodbye and close, after the messages under way; each of these is bounded, and so is the goodbye."""
        async with self._lock:
            client, self._client = self._client, None
            if client is not None and client.is_connected:
                try:
                    await client.quit(timeout=self._settings.connect_timeout)
                except aiosmtplib.SMTPException:
                    client.close()  # every message was answered for already: an impolite end loses nothing

    async def _in_turn(self, delivery: _Delivery) -> None:
        """Wait for the connection, but leave time to use it: a message cut off half-way might arrive twice."""
        async with asyncio.timeout(self._settings.total_timeout - self._settings.connect_timeout):
            await self._lock.acquire()
        try:
            await self._transfer(delivery)
        except BaseException as error:
            if not _is_refusal(error):
                self._drop()  # nobody knows what the server will say next on it
            raise
        finally:
            self._used_at = time.monotonic()
            self._lock.release()

    async def _transfer(self, delivery: _Delivery) -> None:
        client = await self._ready(delivery)
        delivery.step = Step.SENDER
        await client.mail(self._settings.sender)
        delivery.step = Step.RECIPIENT
        await client.rcpt(delivery.to)
        delivery.step = Step.CONTENT
        await client.data(delivery.content)

    async def _ready(self, delivery: _Delivery) -> aiosmtplib.SMTP:
        """The open connection if it still answers (RSET also forgets a refused message), else a new one."""
        delivery.step = Step.CONNECT
        if self._client is not None and time.monotonic() - self._used_at < self._settings.idle_limit:
            try:
                await self._client.rset(timeout=self._settings.connect_timeout)
            except aiosmtplib.SMTPException:
                pass  # the server has let go of it meanwhile, as it may: the new connection below is the answer
            else:
                return self._client
        self._drop()
        self._client = self._new_client()
        await self._open(self._client, delivery)
        return self._client

    def _new_client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            local_hostname=settings.domain,
            timeout=settings.total_timeout,
            use_tls=settings.mode == "tls",
            start_tls=False,  # done step by step in `_open`
            tls_context=self._tls,
        )

    async def _open(self, client: aiosmtplib.SMTP, delivery: _Delivery) -> None:
        """Connect, encrypt, log in: in this order, and each only after the one before it succeeded."""
        settings = self._settings
        await client.connect(timeout=settings.connect_timeout)
        await client.ehlo()
        if settings.mode == "starttls":
            delivery.step = Step.TLS
            await client.starttls()
            await client.ehlo()  # what was said before TLS is forgotten (RFC 3207 section 4.2)
        if settings.username is not None and settings.password is not None:
            delivery.step = Step.LOGIN
            await client.login(settings.username, settings.password.reveal())

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


class _Delivery:
    """One message under way and the step it has reached, which tells what a failure means."""

    __slots__ = ("content", "step", "to")

    def __init__(self, to: str, content: bytes) -> None:
        self.to = to
        self.content = content
        self.step = Step.QUEUE


def _is_refusal(error: BaseException) -> bool:
    """A complete answer by the server, after which the connection is as usable as before."""
    return isinstance(error, aiosmtplib.SMTPResponseException) and 400 <= error.code <= 599


class _Verbatim(EmailPolicy):
    """Ids, addresses and subjects go out as they are, on one line of at most 998 octets (RFC 5322 section 2.1.1).

    The default policy folds long ids into encoded words, which no mail program finds in a thread again, and loses or
    adds spaces when it folds subjects that are not ASCII. All four are checked or encoded before they come here.
    """

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        if name.lower() in ("message-id", "in-reply-to", "references", "to", "subject"):
            return name, value
        return super().header_store_parse(name, value)


_POLICY = _Verbatim(linesep="\r\n", refold_source="none")


def _encoded(subject: str) -> str:
    """`subject` for a header: ASCII as it is, all else in encoded words of at most 75 characters (RFC 2047)."""
    return subject if subject.isascii() else Header(subject, "utf-8", header_name="Subject").encode()


def compose(rendered: Rendered, settings: SmtpSettings, to: str) -> bytes:
    """The mail as it travels: text first, then HTML (RFC 2046 section 5.1.4), all 7 bit so that any server takes it."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = Address(settings.sender_name, addr_spec=settings.sender)
    mail["To"] = to
    mail["Subject"] = _encoded(rendered.subject)
    for name, value in rendered.headers:
        mail[name] = value
    mail.set_content(rendered.text, cte="quoted-printable")
    mail.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    return mail.as_bytes()
