"""The local mailbox as its users meet it: a process that takes mail, and a folder that anybody can read."""

from __future__ import annotations

import asyncio
import mailbox as stdlib_mailbox
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.channels.base import Message, PageLine, Retry, Sent
from streams.channels.email import EmailChannel
from streams.channels.mailbox import Mailbox, format_mail, serve
from streams.channels.maildir import MailStore
from streams.channels.smtp import SmtpSettings

NOW = datetime(2026, 3, 3, 3, 17, tzinfo=UTC)
LINE = PageLine(
    incident_id="0c6f1f6f-0000-5000-8000-000000000007",
    number=7,
    title="ServiceDown",
    severity="critical",
    status="triggered",
    service="payments",
    team="platform",
    opened_at=NOW - timedelta(minutes=5),
    loop=1,
    step=1,
    why="step 1 of policy platform-default",
    summary="\x1b[31mred\x1b[0m",
)


def channel_to(port: int) -> EmailChannel:
    return EmailChannel(
        SmtpSettings("127.0.0.1", port, "tocsin@example.test", "tocsin.example.test", "plain"), lambda: NOW
    )


def page(number: int = 7) -> Message:
    return Message(f"d-{number}", "ada@example.test", "ada", (LINE,))


async def start(folder: Path, port: int = 0) -> tuple[asyncio.subprocess.Process, int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.channels.mailbox", "--maildir", str(folder), "--port", str(port)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    return process, int(line.rsplit(":", 1)[1]) if line else 0


@asynccontextmanager
async def running(folder: Path, limit: int = 10_000) -> AsyncIterator[int]:
    """The mailbox inside this process."""
    ports: asyncio.Queue[int] = asyncio.Queue()
    stop = asyncio.Event()
    task = asyncio.create_task(serve(folder, 0, ports.put_nowait, stop, limit))
    try:
        yield await asyncio.wait_for(ports.get(), 5)
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


async def test_a_page_sent_to_the_mailbox_process_can_be_read_and_the_process_ends_when_told(tmp_path: Path) -> None:
    process, port = await start(tmp_path / "mail")
    try:
        channel = channel_to(port)
        outcome = await channel.send(page())
        mail = await Mailbox(tmp_path / "mail").wait_for(lambda mail: mail.to == "ada@example.test", timeout=30)
    finally:
        process.send_signal(signal.SIGTERM)  # the channel's connection is still open: it must not delay the end
        assert await asyncio.wait_for(process.wait(), 30) == 0
    await channel.close()

    assert isinstance(outcome, Sent)
    assert mail.subject == "[INC-7] ServiceDown (payments)"
    assert mail.text.startswith("CRITICAL · INC-7 · triggered")
    assert mail.html.startswith("<!DOCTYPE html>")
    assert mail.headers["Message-ID"] == outcome.provider_id
    assert mail.headers["Delivered-To"] == "ada@example.test"
    assert abs(datetime.now(UTC) - mail.received_at) < timedelta(minutes=1)


async def test_a_stopped_mailbox_takes_no_mail_on_connections_that_were_open(tmp_path: Path) -> None:
    async with running(tmp_path) as port:
        channel = channel_to(port)
        assert isinstance(await channel.send(page(1)), Sent)

    assert isinstance(await channel.send(page(2)), Retry)
    await channel.close()
    assert len(Mailbox(tmp_path).messages()) == 1


async def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    async with running(tmp_path / "mail") as port:
        process, _ = await start(tmp_path / "other", port)
        _, errors = await asyncio.wait_for(process.communicate(), 10)

    assert process.returncode == 1
    assert errors.startswith(b"mailbox: ")
    assert errors.count(b"\n") == 1


async def test_mails_come_in_order_and_any_mail_program_can_read_them(tmp_path: Path) -> None:
    async with running(tmp_path) as port:
        channel = channel_to(port)
        for number in range(5):
            await channel.send(page(number))
        await channel.close()

    keys = [mail.headers["X-Delivery-Key"] for mail in Mailbox(tmp_path).messages()]
    assert keys == ["d-0", "d-1", "d-2", "d-3", "d-4"]
    assert len(stdlib_mailbox.Maildir(tmp_path, create=False)) == 5


async def test_a_mail_moved_by_a_mail_program_is_still_there(tmp_path: Path) -> None:
    file = MailStore(tmp_path).add(b"To: ada@example.test\r\nSubject: seen\r\n\r\nhello\r\n")
    box = Mailbox(tmp_path)
    assert len(box.messages()) == 1
    file.rename(tmp_path / "cur" / f"{file.name}:2,S")

    assert [mail.subject for mail in box.messages()] == ["seen"]


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    store = MailStore(tmp_path, limit=10)
    for number in range(45):
        store.add(f"Subject: {number}\r\n\r\n".encode())

    subjects = [int(mail.subject) for mail in Mailbox(tmp_path).messages()]
    assert subjects == list(range(45 - len(subjects), 45))
    assert 10 <= len(subjects) <= 11


def test_a_limit_counts_what_was_there_before(tmp_path: Path) -> None:
    for number in range(30):
        MailStore(tmp_path, limit=10).add(f"Subject: {number}\r\n\r\n".encode())

    assert len(Mailbox(tmp_path).messages()) <= 11


async def test_a_full_disk_is_a_retry_for_the_sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(store: MailStore, content: bytes) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MailStore, "add", full)
    async with running(tmp_path) as port:
        channel = channel_to(port)
        outcome = await channel.send(page())
        await channel.close()

    assert outcome.reason == "content: 452 4.3.1"


async def test_waiting_for_a_mail_that_does_not_come_says_what_there_is(tmp_path: Path) -> None:
    MailStore(tmp_path).add(b"Subject: another\r\n\r\n")

    with pytest.raises(TimeoutError, match="another"):
        await Mailbox(tmp_path).wait_for(lambda mail: False, timeout=0.1)


def test_an_empty_mailbox_is_empty(tmp_path: Path) -> None:
    assert Mailbox(tmp_path / "nothing").messages() == []


async def test_a_mail_in_the_terminal_cannot_move_the_cursor(tmp_path: Path) -> None:
    MailStore(tmp_path).add(b"To: ada@example.test\r\nSubject: [INC-7] x\r\n\r\n\x1b[2Jboo\r\n")
    shown = format_mail(Mailbox(tmp_path).messages()[0])

    assert shown.splitlines()[:2] == ["│ To:       ada@example.test", "│ Subject:  [INC-7] x"]
    assert shown.endswith("│  [2Jboo")
    assert "\x1b" not in shown
