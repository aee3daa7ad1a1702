"""The watchdogs on the real thing: a worker or the gateway is frozen, Kafka stopped, and people hear of it, once."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from compose.client import Access, Client
from compose.embedded.kafka import EmbeddedKafka
from schemas.status import RoleStatus
from streams.channels.mailbox import Mail, Mailbox
from streams.store.base import Unavailable
from streams.store.heartbeats import Heartbeat
from streams.store.outages import Outages
from tests.services import Services
from tests.stack import CALM, Installation, RealWorld, until
from tests.world import START

AFTER = "5"
"""Seconds; more than a role that works rests on a busy machine, or than the relay takes to find its broker again."""


class Guarded:
    """An installation with a broker of its own, and its mailbox."""

    def __init__(self, services: Services, dsn: str, prefix: str, folder: Path) -> None:
        self.embedded = EmbeddedKafka(folder / "kafka")
        self.broker = self.embedded.start()
        self.broker.wait_ready()
        given = Services(self.broker.bootstrap, services.dsn)
        self.installation = Installation(given, dsn, prefix, folder, **{**CALM, "WATCHDOG_AFTER": AFTER})
        running = self.installation.running
        self.client = Client(Access(running.gateway_url, running.api_keys.viewer))
        self.mailbox = Mailbox(folder / "data" / "mailbox")

    def role(self, name: str) -> RoleStatus:
        return next(role for role in self.client.status().roles if role.role == name)

    def worker(self, **at_least: float) -> RoleStatus | None:
        """The worker, once these fields have come so far."""
        found = self.role("worker")
        return found if all(getattr(found, name) >= value for name, value in at_least.items()) else None

    def notices(self) -> list[Mail]:
        return [mail for mail in self.mailbox.messages() if mail.subject.startswith("[Tocsin]")]

    def metric(self, name: str) -> float:
        text = self.client._send("GET", "/metrics").text
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else -1.0

    def close(self) -> None:
        try:
            self.installation.close()
        finally:
            self.client.__exit__(None, None, None)
            self.broker.stop()


@pytest.fixture
def guarded(
    real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> Iterator[Guarded]:
    made = Guarded(real_services, new_database(), topic_prefix, tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_a_frozen_role_is_seen_and_told_of_with_kafka_and_worker_stopped(guarded: Guarded) -> None:
    world = RealWorld(guarded.installation)
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    assert guarded.role("worker").waiting == 0

    pid = guarded.installation.running.pids.worker
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for name in ("DiskFull", "SlowQueries"):
            world.send(name, service="payments")
        first = until("the lag to be seen", lambda: guarded.worker(waiting=2))
        until("the relay to have copied it all", lambda: guarded.role("relay").waiting == 0 or None)
        guarded.broker.stop()
        risen = until("the lag to rise", lambda: guarded.worker(lag_seconds=first.lag_seconds + 2))
        assert risen.waiting == 2
        assert guarded.metric('tocsin_lag_items{role="worker"}') == 2.0
        until("the watchdog's mail", lambda: len(guarded.notices()) >= 2 or None)
        told = guarded.notices()
        assert sorted(mail.to for mail in told) == ["ada@example.test", "grace@example.test"]
        assert {mail.subject for mail in told} == {"[Tocsin] the worker stands still"}
        assert "2 receipts wait to be folded" in told[0].text
        until("it to go on", lambda: guarded.worker(standing_seconds=3 * float(AFTER)))
        assert (len(guarded.notices()), guarded.role("worker").ok) == (2, False)
        guarded.broker = guarded.embedded.start()
        guarded.broker.wait_ready()
    finally:
        os.kill(pid, signal.SIGCONT)
    until("the all-clear", lambda: len(guarded.notices()) >= 4 or None, 60.0)
    assert {mail.subject for mail in guarded.notices()[2:]} == {"[Tocsin] the worker works again"}
    assert guarded.role("worker").ok


def test_a_pager_that_is_idle_and_frozen_is_missed(
    real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> None:
    installation = Installation(
        real_services, new_database(), topic_prefix, tmp_path, **{**CALM, "WATCHDOG_AFTER": AFTER}
    )
    running = installation.running
    mailbox = Mailbox(tmp_path / "data" / "mailbox")
    pid = running.pids.pager
    assert pid

    def pager(client: Client, ok: bool) -> RoleStatus | None:
        found = next(role for role in client.status().roles if role.role == "pager")
        return found if found.ok is ok else None

    try:
        RealWorld(installation).close()  # configures people who can be told
        with Client(Access(running.gateway_url, running.api_keys.viewer)) as client:
            until("a sign of life", lambda: pager(client, ok=True))
            os.kill(pid, signal.SIGSTOP)
            try:
                seen = until("it to be missed", lambda: pager(client, ok=False), 60.0)
                assert (seen.waiting, seen.detail[:25]) == (0, "1 sign of life is missing")
                until("the gateway's mail", lambda: len(mailbox.messages()) >= 2 or None, 60.0)
                assert {mail.subject for mail in mailbox.messages()} == {"[Tocsin] the pager stands still"}
            finally:
                os.kill(pid, signal.SIGCONT)
            until("it to be well", lambda: pager(client, ok=True), 60.0)
    finally:
        installation.close()


def test_a_pager_tells_of_the_last_gateway_that_answers_no_more(
    real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> None:
    installation = Installation(real_services, new_database(), topic_prefix, tmp_path, WATCHDOG_AFTER=AFTER)
    mailbox = Mailbox(tmp_path / "data" / "mailbox")

    def notices() -> list[Mail]:
        return [mail for mail in mailbox.messages() if mail.subject.startswith("[Tocsin]")]

    pid = installation.running.pids.gateway
    assert pid
    try:
        RealWorld(installation).close()  # configures people who can be told
        time.sleep(2 * float(AFTER))
        assert notices() == []
        os.kill(pid, signal.SIGSTOP)
        try:
            until("the pager's mail", lambda: len(notices()) >= 2 or None, 60.0)
            assert {mail.subject for mail in notices()} == {"[Tocsin] the gateway stands still"}
            assert sorted(mail.to for mail in notices()) == ["ada@example.test", "grace@example.test"]
            time.sleep(2 * float(AFTER))
            assert len(notices()) == 2
        finally:
            os.kill(pid, signal.SIGCONT)
        until("the all-clear", lambda: len(notices()) >= 4 or None, 60.0)
        assert {mail.subject for mail in notices()[2:]} == {"[Tocsin] the gateway works again"}
    finally:
        installation.close()


def test_heartbeats_are_seen_by_others(store_dsn: str) -> None:
    here, there = Heartbeat(store_dsn, "gateway"), Heartbeat(store_dsn, "gateway")
    try:
        assert there.last() is None
        here.beat()
        first = there.last()
        assert first is not None
        here.beat()
        assert first < (there.last() or first)
        assert Heartbeat(store_dsn, "pager").last() is None
    finally:
        here.close()
        there.close()
    dead = Heartbeat("postgresql://tocsin@127.0.0.1:9/tocsin", "gateway")
    with pytest.raises(Unavailable):
        dead.beat()


def test_outages_are_given_to_one_who_tells(store_dsn: str) -> None:
    here, there = Outages(store_dsn), Outages(store_dsn)
    assert here.begin(["worker", "pager"], START) == {"worker", "pager"}
    assert there.begin(["worker", "relay"], START) == {"relay"}
    here.told(["worker"])
    with psycopg.connect(store_dsn) as connection:
        connection.execute("update tocsin.outages set claimed_at = claimed_at - interval '61 s'")
    assert there.begin(["worker", "pager"], START) == {"pager"}
    ended = {one.role: one.told for one in there.end(["worker", "pager", "projector"], START)}
    assert ended == {"worker": True, "pager": False}
    assert [(one.role, one.ours) for one in here.end(["worker"], START)] == [("worker", False)]
    there.end_told(["worker"])
    with psycopg.connect(store_dsn) as connection:
        connection.execute("update tocsin.outages set end_claimed_at = end_claimed_at - interval '61 s'")
    assert here.end(["worker"], START) == ()
    assert [(one.role, one.ours) for one in here.end(["pager"], START)] == [("pager", True)]
    assert there.end(["pager"], START + timedelta(hours=2)) == ()
    assert here.begin(["worker"], START) == {"worker"}
