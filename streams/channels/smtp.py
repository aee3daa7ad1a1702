"""The SMTP side of the e-mail channel: its settings, one connection, and what a server's answer means for a page.

Security rules: TLS is required unless "plain" is asked for by name, certificates and host names are always
verified, and a password is never configured together with "plain", so it cannot leave before TLS is verified
(RFC 3207, RFC 8314). Read next: `email`, which uses all of this.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import aiosmtplib

from streams.channels.base import Outcome, Rejected, Retry, Secret, Uncertain

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ADDRESS = re.compile(rf"{_ATEXT}(?:\.{_ATEXT})*@{_DOMAIN.pattern}")
_ENHANCED_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")


def is_mail_address(address: str) -> bool:
    """A plain ASCII address (dot-atom, RFC 5321 section 4.1.2) of at most 254 octets; nothing that needs quoting."""
    return len(address) <= 254 and _ADDRESS.fullmatch(address) is not None


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """Where mail is handed in, and as whom.

    Params:
        mode: "starttls" (port 587), "tls" from the first byte (port 465), or "plain" (a mailbox on this machine).
        username, password: both or neither; never with "plain".
        ca_file: PEM file of the only authorities to trust; None for the system's.
        sender, sender_name: the From of every mail, also the envelope's sender.
        domain: ours; right-hand side of Message-IDs and our name in EHLO.
        connect_timeout: seconds for a connection, and again for the server's greeting.
        total_timeout: seconds for everything from `send` to its answer.
        idle_limit: seconds after which an unused connection is not trusted any more.

    Raises:
        ValueError: a combination that cannot work or would not be safe.
    """

    host: str
    port: int
    sender: str
    domain: str
    mode: Literal["starttls", "tls", "plain"] = "starttls"
    username: str | None = None
    password: Secret | None = None
    ca_file: str | None = None
    sender_name: str = "Tocsin"
    connect_timeout: float = 5.0
    total_timeout: float = 15.0
    idle_limit: float = 30.0

    def __post_init__(self) -> None:
        problems = (
            (self.mode not in ("starttls", "tls", "plain"), f"mode is starttls, tls or plain, not {self.mode!r}"),
            ((self.username is None) != (self.password is None), "username and password go together"),
            (self.mode == "plain" and self.username is not None, "a password is not sent over plain SMTP"),
            (not is_mail_address(self.sender), "sender is not a mail address"),
            (_DOMAIN.fullmatch(self.domain) is None, "domain is not a domain name"),
            (not self.sender_name.isprintable(), "sender_name holds a control character"),
            (not 0 < self.connect_timeout < self.total_timeout, "connect_timeout must be below total_timeout"),
        )
        for wrong, problem in problems:
            if wrong:
                raise ValueError(f"smtp: {problem}")


class Step(StrEnum):
    """How far a delivery got; the words appear in reasons."""

    QUEUE = "waiting for the connection"
    CONNECT = "connect"
    TLS = "TLS"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"


def tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    """TLS 1.2 or newer with certificate and host name verified.

    Raises:
        OSError: `ca_file` cannot be read, or (ssl.SSLError) holds no certificate.
    """
    return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=settings.ca_file)


def outcome_of(step: Step, error: aiosmtplib.SMTPException | OSError) -> Outcome:
    """What `error` at `step` means for the page (RFC 5321 section 4.2.1, contract page 08).

    4xx may work later, 5xx never will. Whatever is refused before the recipient is named is our configuration, not
    this address. Silence after the content started may mean that it was accepted.
    """
    reason = f"{step.value}: {_describe(error)}"
    if isinstance(error, aiosmtplib.SMTPResponseException) and 400 <= error.code <= 599:
        about_message = step in (Step.RECIPIENT, Step.CONTENT)
        return Retry(reason) if error.code < 500 else Rejected(reason, broken=not about_message)
    if step is Step.CONTENT:
        return Uncertain(reason)
    if _is_misconfiguration(error):
        return Rejected(reason, broken=True)
    return Retry(reason)


def _is_misconfiguration(error: Exception) -> bool:
    """A certificate that does not verify, or a server without STARTTLS or AUTH: only a person can mend these."""
    return _certificate_error(error) is not None or type(error) is aiosmtplib.SMTPException


def _describe(error: Exception) -> str:
    """In words without personal data: a server's own text may repeat an address, so only its codes are kept."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        enhanced = _ENHANCED_CODE.match(error.message)  # RFC 3463
        return f"{error.code} {enhanced.group()}" if enhanced else str(error.code)
    if (untrusted := _certificate_error(error)) is not None:
        return f"certificate refused ({untrusted.verify_message.rstrip('.')})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if type(error) is aiosmtplib.SMTPException:
        return "the server does not offer it"
    return f"connection failed ({type(error.__cause__ or error).__name__})"


def _certificate_error(error: Exception) -> ssl.SSLCertVerificationError | None:
    """The failed verification behind `error`; aiosmtplib wraps it for implicit TLS and passes it on for STARTTLS."""
    for candidate in (error, error.__cause__):
        if isinstance(candidate, ssl.SSLCertVerificationError):
            return candidate
    return None
