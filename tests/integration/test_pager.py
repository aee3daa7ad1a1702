"""Paging on the real thing: a pager dies with a mail in hand; Kafka and the worker are away."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiosmtpd.controller import Controller

from compose.datadir import read_running
from compose.embedded.kafka import EmbeddedKafka
from tests.services import Services
from tests.stack import CALM, Installation, RealWorld, free_port, until


class SlowServer:
    """A mail server that takes each mail at once and, while `slow`, does not say so."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.slow = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.original_content, policy=default))
        if self.slow:
            await asyncio.sleep(60)
        return "250 2.0.0 OK"


@pytest.fixture
def server() -> Iterator[tuple[SlowServer, int]]:
    handler = SlowServer()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield handler, controller.port
    controller.stop()


@contextmanager
def installed(services: Services, dsn: str, prefix: str, folder: Path, **settings: str) -> Iterator[Installation]:
    installation = Installation(services, dsn, prefix, folder, **CALM, **settings)
    try:
        yield installation
    finally:
        installation.close()


def pid_of(installation: Installation, role: str) -> int | None:
    """The process of a role, as run.json has it now."""
    running = read_running(installation.folder / "data")
    return getattr(running.pids, role) if running else None


def kill(installation: Installation, role: str) -> None:
    """Kill a role's process with -9 and wait for the one that the supervisor starts in its place."""
    before = pid_of(installation, role)
    assert before
    os.kill(before, signal.SIGKILL)
    until(f"another {role}", lambda: (pid_of(installation, role) not in (None, before)) or None)


def types(dsn: str, kind: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        query = "select topic from tocsin.stored_events where originator_id like %s order by notification_id"
        return [row[0] for row in connection.execute(query, (f"{kind}-%",))]


def test_a_pager_killed_between_send_and_save_sends_again_and_says_so(
    real_services: Services,
    new_database: Callable[[], str],
    topic_prefix: str,
    tmp_path: Path,
    server: tuple[SlowServer, int],
) -> None:
    handler, port = server
    mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_MODE": "plain"}
    with installed(real_services, new_database(), topic_prefix, tmp_path, **mail) as installation:
        world = RealWorld(installation)
        handler.slow = True
        world.send("ServiceDown", service="payments")
        until("the mail to be taken", lambda: handler.mails or None)
        kill(installation, "pager")
        handler.slow = False
        with psycopg.connect(installation.dsn) as connection:  # rather than wait a minute for what it had claimed
            connection.execute("update tocsin.pages set lease_until = clock_timestamp() where status = 'claimed'")
            connection.execute("update tocsin.due set lease_until = clock_timestamp() where lease_until is not null")
        until("the mail to be taken again", lambda: len(handler.mails) == 2 or None)
        world.settle()
        first, again = handler.mails
        assert first["Message-ID"] == again["Message-ID"]
        assert (first["X-Possible-Repeat"], again["X-Possible-Repeat"]) == (None, "yes")
        assert "Possible repeat" in again.get_body(("plain",)).get_content()
        assert types(installation.dsn, "page") == ["page.queued.v1", "page.unknown.v1", "page.sent.v1"]


def test_people_are_paged_and_heard_with_kafka_down_and_the_worker_restarted(
    real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> None:
    embedded = EmbeddedKafka(tmp_path / "kafka")
    broker = embedded.start()
    broker.wait_ready()
    try:
        given = Services(broker.bootstrap, real_services.dsn)
        with installed(given, new_database(), topic_prefix, tmp_path) as installation:
            world = RealWorld(installation)
            world.fire("ServiceDown", service="payments")
            world.expect_page("ada", "INC-1")
            broker.stop()
            kill(installation, "worker")
            world.advance(minutes=6)
            assert "nobody has acknowledged" in world.expect_page("grace", "INC-1").text
            world.ack("INC-1", by="grace")
            world.expect_incident("INC-1", status="acknowledged")
            world.advance(hours=1)
            world.expect_nothing()
            broker = embedded.start()
            broker.wait_ready()
            world.close()
    finally:
        broker.stop()
