"""The e-mail channel against real SMTP servers: TLS, logins, refusals, and servers that stop answering.

`tests/smtp_peer.py` has the servers. Only tests of silence shorten the time-outs, so that a busy machine fails nothing.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streams.channels.base import Message, PageLine, Rejected, Retry, Secret, Sent, Uncertain
from streams.channels.email import EmailChannel
from streams.channels.smtp import SmtpSettings
from tests.smtp_peer import HANG, RESET, Authority, Peer, Scripted, silent_port

HOST = "127.0.0.1"
PASSWORD = "correct horse battery"
SECRETS = (PASSWORD.encode(), base64.b64encode(PASSWORD.encode()), b"\0tocsin\0", b"AUTH")
TOTAL = 1.0
SHORT: dict[str, Any] = {"connect_timeout": 0.5, "total_timeout": TOTAL}
SLACK = 5.0
"""Seconds that a busy machine may be late."""
LINE = PageLine(
    incident_id="0c6f1f6f-0000-5000-8000-000000000007",
    number=7,
    title="ServiceDown",
    severity="critical",
    status="triggered",
    service="payments",
    team="platform",
    opened_at=datetime(2026, 3, 3, 3, 12, tzinfo=UTC),
    loop=1,
    step=1,
    why="step 1 of policy platform-default",
)
PAGE = Message(key="delivery-1", to="ada@example.test", person_id="ada", lines=(LINE,))


def page(number: int) -> Message:
    return replace(PAGE, key=f"delivery-{number}", lines=(replace(LINE, first=False),))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def settings(port: int, authority: Authority | None = None, **changes: Any) -> SmtpSettings:
    """STARTTLS with a password when there is an authority to trust, plain otherwise."""
    common = SmtpSettings(
        host=HOST,
        port=port,
        sender="tocsin@example.test",
        domain="tocsin.example.test",
        mode="plain",
    )
    if authority is not None:
        common = replace(
            common, mode="starttls", username="tocsin", password=Secret(PASSWORD), ca_file=str(authority.ca_file)
        )
    return replace(common, **changes)


@asynccontextmanager
async def channel(using: SmtpSettings) -> AsyncIterator[EmailChannel]:
    opened = EmailChannel(using, lambda: datetime(2026, 3, 3, 3, 17, tzinfo=UTC))
    try:
        yield opened
    finally:
        await opened.close()


async def send_once(using: SmtpSettings, message: Message = PAGE) -> Sent | Retry | Rejected | Uncertain:
    """One message through a channel of its own; no longer than the settings allow, whatever happens."""
    async with channel(using) as opened:
        started = time.monotonic()
        outcome = await opened.send(message)
        assert time.monotonic() - started < using.total_timeout + SLACK
        return outcome


# TLS and logins


async def test_mail_goes_through_starttls_with_a_login(authority: Authority) -> None:
    async with Peer(password=PASSWORD).serving(starttls=authority.server_context(HOST)) as peer:
        outcome = await send_once(settings(peer.port, authority))

    assert isinstance(outcome, Sent)
    assert peer.logins == 1
    assert [mail["Message-ID"] for mail in peer.mails] == [outcome.provider_id]
    assert peer.recipients == ["ada@example.test"]


async def test_mail_goes_through_tls_from_the_first_byte(authority: Authority) -> None:
    async with Peer(password=PASSWORD).serving(tls=authority.server_context(HOST)) as peer:
        outcome = await send_once(settings(peer.port, authority, mode="tls"))

    assert isinstance(outcome, Sent)
    assert peer.logins == 1


async def test_without_starttls_there_is_no_mail_and_no_password(authority: Authority) -> None:
    async with Peer(password=PASSWORD).serving() as peer:  # takes logins in the clear, as a thief would
        outcome = await send_once(settings(peer.port, authority))

    assert outcome == Rejected("TLS: the server does not offer it", broken=True)
    assert peer.seen.startswith(b"EHLO tocsin.example.test\r\n")
    assert not any(secret in peer.seen for secret in SECRETS)
    assert peer.mails == []


@pytest.mark.parametrize("mode", ["starttls", "tls"])
@pytest.mark.parametrize(
    ("name", "days", "complaint"),
    [
        ("mail.example.test", 30, "IP address mismatch"),
        (HOST, -1, "certificate has expired"),
        ("unknown authority", 30, "unable to get local issuer certificate"),
    ],
)
async def test_a_certificate_that_does_not_verify_ends_it_before_the_password(
    authority: Authority, tmp_path: Path, mode: str, name: str, days: int, complaint: str
) -> None:
    signer = Authority(tmp_path, "Somebody else") if name == "unknown authority" else authority
    context = signer.server_context(HOST if name == "unknown authority" else name, days)
    peer = Peer(password=PASSWORD)
    async with peer.serving(**{mode: context}):
        outcome = await send_once(settings(peer.port, authority, mode=mode))

    assert isinstance(outcome, Rejected)
    assert outcome.broken
    assert complaint in outcome.reason
    assert not any(secret in peer.seen for secret in SECRETS)
    assert peer.mails == []


async def test_the_systems_authorities_do_not_vouch_for_a_home_made_certificate(authority: Authority) -> None:
    async with Peer(password=PASSWORD).serving(starttls=authority.server_context(HOST)) as peer:
        outcome = await send_once(settings(peer.port, authority, ca_file=None))

    assert isinstance(outcome, Rejected)
    assert "certificate refused" in outcome.reason


async def test_a_wrong_password_breaks_the_channel_not_the_address(authority: Authority) -> None:
    async with Peer(password="another").serving(starttls=authority.server_context(HOST)) as peer:
        outcome = await send_once(settings(peer.port, authority))

    assert outcome == Rejected("login: 535 5.7.8", broken=True)


def test_a_password_over_plain_smtp_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="a password is not sent over plain SMTP"):
        settings(1025, username="tocsin", password=Secret(PASSWORD))


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "opportunistic"},
        {"username": "tocsin"},
        {"sender": "tocsin@example.test\r\nBcc: eve@example.test"},
        {"sender_name": "Tocsin\r\nBcc: eve@example.test"},
        {"domain": "example.test>\r\n"},
        {"connect_timeout": 20.0},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_that_cannot_work_are_refused_when_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="smtp: "):
        settings(1025, **wrong)


def test_settings_do_not_show_the_password(authority: Authority) -> None:
    assert PASSWORD not in repr(settings(587, authority))


# What a server's answers mean


@pytest.mark.parametrize(
    ("step", "answer", "expected"),
    [
        ("greeting", "421 4.3.2 shutting down", Retry("connect: 421 4.3.2")),
        ("greeting", "554 5.7.1 not you", Rejected("connect: 554 5.7.1", broken=True)),
        ("MAIL", "452 4.3.1 disk full", Retry("sender: 452 4.3.1")),
        ("MAIL", "530 5.7.0 STARTTLS first", Rejected("sender: 530 5.7.0", broken=True)),
        ("RCPT", "450 ada@example.test is greylisted", Retry("recipient: 450")),
        ("RCPT", "550-5.1.1 no\r\n550 5.1.1 such user ada@example.test", Rejected("recipient: 550 5.1.1")),
        ("DATA", "451 4.3.0 try later", Retry("content: 451 4.3.0")),
        ("content", "452 4.2.2 mailbox full", Retry("content: 452 4.2.2")),
        ("content", "554 5.7.1 looks like spam", Rejected("content: 554 5.7.1")),
        ("RCPT", "hello?", Retry("recipient: -1")),
        ("content", "hello?", Uncertain("content: -1")),
    ],
)
async def test_an_answer_decides_the_outcome(step: str, answer: str, expected: Retry | Rejected | Uncertain) -> None:
    async with Scripted({step: answer}).serving() as server:
        assert await send_once(settings(server.port)) == expected


async def test_an_address_that_is_none_never_reaches_a_server() -> None:
    async with Peer().serving() as peer:
        for to in ("", "ada", "ada@example.test\r\nRCPT TO:<eve@example.test>", "ada@b c", "<a@b>", "a@b,c@d", "ä@b"):
            assert isinstance(await send_once(settings(peer.port), replace(PAGE, to=to)), Rejected)

    assert peer.connections == 0


# Servers that stop answering


@pytest.mark.parametrize("fate", [HANG, RESET])
@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT"])
async def test_silence_before_the_content_is_a_retry(step: str, fate: str) -> None:
    async with Scripted({step: fate}).serving() as server:
        outcome = await send_once(settings(server.port, **SHORT))

    assert isinstance(outcome, Retry)


@pytest.mark.parametrize("fate", [HANG, RESET])
@pytest.mark.parametrize("step", ["DATA", "content"])
async def test_silence_after_the_content_began_is_uncertain(step: str, fate: str) -> None:
    async with Scripted({step: fate}).serving() as server:
        outcome = await send_once(settings(server.port, **SHORT))

    assert isinstance(outcome, Uncertain)


async def test_a_server_that_is_slow_at_every_step_does_not_stretch_the_total() -> None:
    slow = dict.fromkeys(("greeting", "EHLO", "MAIL", "RCPT", "DATA", "content"), TOTAL / 4)
    async with Scripted({}, delays=slow).serving() as server:
        outcome = await send_once(settings(server.port, **SHORT))

    assert isinstance(outcome, Retry)


async def test_a_late_answer_is_not_taken_for_the_answer_to_the_next_message() -> None:
    server = Scripted({}, delays={"content": TOTAL + 0.2})
    async with server.serving(), channel(settings(server.port, **SHORT)) as opened:
        assert isinstance(await opened.send(page(1)), Uncertain)
        server.delays = {"RSET": 0.3}
        assert isinstance(await opened.send(page(2)), Sent)

    assert server.connections == 2


async def test_nobody_listening_is_a_retry() -> None:
    async with Scripted({}).serving() as server:
        port = server.port

    assert await send_once(settings(port)) == Retry("connect: connection failed (ConnectionRefusedError)")


async def test_a_host_without_an_address_is_a_retry() -> None:
    outcome = await send_once(settings(25, host="mail.invalid", connect_timeout=3.0, total_timeout=6.0))

    assert isinstance(outcome, Retry)


async def test_a_silent_tls_handshake_is_a_retry(authority: Authority) -> None:
    async with silent_port() as port:
        outcome = await send_once(settings(port, authority, mode="tls", **SHORT))

    assert isinstance(outcome, Retry)


async def test_a_silent_starttls_handshake_is_a_retry(authority: Authority) -> None:
    script = {"EHLO": "250-scripted\r\n250 STARTTLS", "STARTTLS": "220 go on"}  # and then no TLS
    async with Scripted(script).serving() as server:
        outcome = await send_once(settings(server.port, authority, **SHORT))

    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("TLS: ")


async def test_everybody_in_the_queue_of_a_hanging_server_gets_an_answer_in_time() -> None:
    async with Scripted({"MAIL": HANG}).serving() as server, channel(settings(server.port, **SHORT)) as opened:
        started = time.monotonic()
        outcomes = await asyncio.gather(*(opened.send(page(number)) for number in range(20)))
        took = time.monotonic() - started

    assert {type(outcome) for outcome in outcomes} == {Retry}
    assert took < TOTAL + SLACK


# One connection for many


async def test_a_burst_shares_one_connection_and_one_login(authority: Authority) -> None:
    context = authority.server_context(HOST)
    async with (
        Peer(password=PASSWORD).serving(starttls=context) as peer,
        channel(settings(peer.port, authority)) as opened,
    ):
        outcomes = await asyncio.gather(*(opened.send(page(number)) for number in range(50)))

    assert {type(outcome) for outcome in outcomes} == {Sent}
    assert len(peer.mails) == 50
    assert (peer.connections, peer.logins) == (1, 1)


async def test_a_refused_recipient_does_not_cost_the_connection() -> None:
    async with Peer().serving() as peer, channel(settings(peer.port)) as opened:
        peer.replies["RCPT"] = "550 5.1.1 no such user"
        assert isinstance(await opened.send(page(1)), Rejected)
        del peer.replies["RCPT"]
        assert isinstance(await opened.send(page(2)), Sent)

    assert peer.connections == 1
    assert peer.recipients == ["ada@example.test"]


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    script = {"RSET": "421 4.4.2 idle too long"}
    async with Scripted(script).serving() as server, channel(settings(server.port)) as opened:
        assert isinstance(await opened.send(page(1)), Sent)
        assert isinstance(await opened.send(page(2)), Sent)

    assert server.connections == 2


async def test_a_connection_that_died_in_silence_costs_a_moment_not_the_page() -> None:
    async with (
        Scripted({"RSET": HANG}).serving() as server,
        channel(settings(server.port, connect_timeout=0.5)) as opened,
    ):
        assert isinstance(await opened.send(page(1)), Sent)
        assert isinstance(await opened.send(page(2)), Sent)

    assert server.connections == 2


async def test_an_idle_connection_is_not_trusted() -> None:
    async with Peer().serving() as peer, channel(settings(peer.port, idle_limit=0.05)) as opened:
        await opened.send(page(1))
        await asyncio.sleep(0.1)
        await opened.send(page(2))

    assert peer.connections == 2


async def test_a_server_that_comes_back_is_used_again() -> None:
    peer = Peer()
    async with peer.serving():
        using = settings(peer.port)
        async with channel(using) as opened:
            assert isinstance(await opened.send(page(1)), Sent)
            peer.replies["MAIL"] = "421 4.3.2 restarting"
            assert isinstance(await opened.send(page(2)), Retry)
            peer.replies.clear()
            assert isinstance(await opened.send(page(2)), Sent)

    assert len(peer.mails) == 2


async def test_closing_says_goodbye() -> None:
    async with Scripted({}).serving() as server:
        await send_once(settings(server.port))
        await asyncio.sleep(0)

    assert server.heard == ["EHLO", "MAIL", "RCPT", "DATA", "content", "QUIT"]


async def test_closing_is_bounded_when_the_server_is_gone() -> None:
    async with Scripted({"QUIT": HANG}).serving() as server:
        started = time.monotonic()
        await send_once(settings(server.port, **SHORT))

    assert time.monotonic() - started < SHORT["connect_timeout"] + SLACK
