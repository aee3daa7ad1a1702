"""Heartbeats: who has to be heard of again and again, and is not, is an alert; who is heard of again ends it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from domain.groups import AlertFired, AlertResolved
from domain.heartbeats import Gap
from streams.store.base import Listening
from streams.store.memory import MemoryStore
from tests.memory_world import MemoryWorld
from tests.world import CONFIG

INDEX = "  index: {interval: 5m, service: catalogue}\n"
BACKUP = "  backup: {interval: 1h, grace: 10m, service: payments, severity: critical, labels: {site: north}}\n"


class Watched(MemoryWorld):
    """A world with heartbeats, in which gateways can be away."""

    def __init__(self, heartbeats: str = INDEX + BACKUP, store: MemoryStore | None = None) -> None:
        super().__init__(store, f"{CONFIG}heartbeats:\n{heartbeats}")
        self.away: timedelta | None = timedelta()
        self.gaps: tuple[Gap, ...] = ()

    def settle(self) -> None:
        assert isinstance(self.store, MemoryStore)
        self.store.heard = Listening(self.away, self.gaps, self.store.heard.folded)
        super().settle()

    def declare(self, heartbeats: str) -> None:
        self.configure(f"{CONFIG}heartbeats:\n{heartbeats}")
        self.settle()

    def ping(self, name: str) -> None:
        self.store.ping(name, self.now())
        self.settle()

    def keep(self, name: str, every: float, minutes: float) -> None:
        """It pings every so many minutes, for so long."""
        for _ in range(int(minutes / every)):
            self.ping(name)
            self.advance(minutes=every)

    def outage(self, minutes: float) -> None:
        """Nothing of Tocsin runs for so long."""
        since = self.now()
        self._now += timedelta(minutes=minutes)
        self.gaps = (*self.gaps, Gap(since, self.now()))
        self.settle()


@pytest.fixture
def watched() -> Iterator[Watched]:
    world = Watched()
    yield world
    world.close()


def test_a_heartbeat_that_is_not_heard_of_is_an_alert_until_it_is(watched: Watched) -> None:
    watched.keep("index", every=4, minutes=60)
    watched.expect_incidents(0)
    watched.advance(minutes=1)
    watched.expect_page("edsger", "INC-1")
    watched.expect_incident("INC-1", title="HeartbeatMissed (catalogue)", severity="high", team="search")
    watched.ping("index")
    watched.expect_incident("INC-1", status="resolved")
    watched.advance(minutes=4)
    watched.expect_incidents(1)
    watched.advance(minutes=2)
    watched.expect_page("edsger", "INC-2")
    watched.ping("index")


def test_it_is_expected_from_its_first_ping_on(watched: Watched) -> None:
    watched.advance(hours=2)
    watched.expect_incidents(0)
    watched.ping("index")
    watched.advance(minutes=6)
    watched.expect_page("edsger", "INC-1")
    watched.ping("index")


def test_an_armed_one_is_expected_from_when_it_is_configured(watched: Watched) -> None:
    watched.declare("  night: {interval: 30m, service: catalogue, armed: true}\n")
    watched.advance(minutes=29)
    watched.expect_incidents(0)
    watched.advance(minutes=1)
    watched.expect_page("edsger", "INC-1")
    watched.ping("night")
    watched.expect_incident("INC-1", status="resolved")


def test_it_may_come_later_by_its_grace(watched: Watched) -> None:
    watched.ping("backup")
    watched.advance(minutes=69)
    watched.expect_incidents(0)
    watched.ping("backup")
    watched.advance(minutes=70)
    said = watched.expect_page("ada", "INC-1")
    assert "Heartbeat backup was last heard of at 2026-03-02 04:09:00 UTC" in said.text
    watched.ack("INC-1")


def test_the_event_says_when_it_was_last_heard_of(watched: Watched) -> None:
    watched.ping("index")
    pinged = watched.now()
    watched.advance(minutes=8)
    watched.ping("index")
    watched.expect_page("edsger", "INC-1")
    events = {type(each.event): each for each in watched.store.tail(0, 1000)}
    fired, resolved = events[AlertFired], events[AlertResolved]
    assert isinstance(fired.event, AlertFired)
    assert isinstance(resolved.event, AlertResolved)
    assert (fired.event.integration, fired.event.fingerprint) == ("heartbeat", "index")
    assert (fired.event.source_time, resolved.event.source_time) == (pinged, watched.now())
    assert fired.decision.cause.pointer == "due/heartbeat/index"
    assert fired.decision.decided_at == pinged + timedelta(minutes=5)


def test_it_can_be_silenced_as_any_alert(watched: Watched) -> None:
    watched.silence(minutes=60, heartbeat="index")
    watched.ping("index")
    watched.advance(minutes=30)
    watched.expect_incidents(0)
    watched.advance(minutes=31)
    watched.expect_page("edsger", "INC-1")
    watched.ping("index")


def test_a_ping_later_than_a_persons_resolve_counts_anew(watched: Watched) -> None:
    watched.ping("index")
    watched.advance(minutes=6)
    watched.expect_page("edsger", "INC-1")
    watched.resolve("INC-1", by="edsger")
    watched.advance(hours=1)
    watched.expect_incidents(1)
    watched.ping("index")
    watched.advance(minutes=6)
    watched.expect_page("edsger", "INC-2")
    watched.ping("index")


def test_nobody_is_missed_who_could_not_ping(watched: Watched) -> None:
    watched.ping("index")
    watched.advance(minutes=4)
    watched.outage(minutes=60)
    watched.expect_incidents(0)
    watched.advance(minutes=4)
    watched.expect_incidents(0)
    watched.ping("index")
    watched.advance(minutes=4)
    watched.expect_incidents(0)
    watched.ping("index")


def test_who_is_silent_after_an_outage_too_is_missed(watched: Watched) -> None:
    watched.ping("index")
    watched.outage(minutes=60)
    watched.advance(minutes=5)
    watched.expect_page("edsger", "INC-1")
    watched.ping("index")


def test_an_outage_after_it_was_missed_changes_nothing(watched: Watched) -> None:
    watched.ping("index")
    watched.advance(minutes=6)
    watched.expect_page("edsger", "INC-1")
    watched.ack("INC-1", by="edsger")
    watched.outage(minutes=60)
    watched.expect_incident("INC-1", status="acknowledged")


def test_a_pager_that_was_down_says_what_was_missed_meanwhile(watched: Watched) -> None:
    watched.ping("index")
    watched.jump(minutes=60)
    watched.expect_page("edsger", "INC-1")
    watched.ping("index")


@pytest.mark.parametrize("away", [timedelta(minutes=3), None])
def test_while_no_gateway_lives_nobody_is_missed(watched: Watched, away: timedelta | None) -> None:
    watched.ping("index")
    watched.away = away
    watched.advance(minutes=5, seconds=10)
    watched.expect_incidents(0)
    watched.away = timedelta()
    watched.advance(seconds=5)
    watched.expect_page("edsger", "INC-1")
    watched.ping("index")


def test_one_that_is_removed_is_not_missed_any_more(watched: Watched) -> None:
    watched.ping("index")
    watched.advance(minutes=6)
    watched.expect_page("edsger", "INC-1")
    watched.declare(BACKUP)
    watched.expect_incident("INC-1", status="resolved")
    watched.advance(minutes=2)
    watched.declare(INDEX)
    watched.advance(minutes=30)
    watched.expect_incidents(1)


def test_another_interval_counts_from_the_last_ping(watched: Watched) -> None:
    watched.ping("index")
    watched.advance(minutes=2)
    watched.declare("  index: {interval: 1h, service: catalogue}\n")
    watched.advance(minutes=50)
    watched.expect_incidents(0)
    watched.declare(INDEX)
    watched.expect_page("edsger", "INC-1")
    watched.advance(seconds=5)
    watched.declare("  index: {interval: 1h, service: catalogue}\n")
    watched.expect_incident("INC-1", status="resolved")
    watched.ping("index")


FED = """  prometheus: {interval: 10m, service: payments, fed_by: {matchers: ['alertname="Watchdog"']}}
"""


@pytest.fixture
def fed() -> Iterator[Watched]:
    world = Watched(FED)
    yield world
    world.close()


def test_an_alert_that_feeds_a_heartbeat_opens_nothing_until_it_falls_silent(fed: Watched) -> None:
    for _ in range(10):
        fed.fire("Watchdog", severity="none")
        fed.advance(minutes=5)
    fed.expect_incidents(0)
    fed.fire("ServiceDown", service="payments")
    fed.expect_page("ada", "INC-1")
    fed.ack("INC-1")
    fed.advance(minutes=5)
    fed.expect_page("ada", "INC-2")
    fed.expect_incident("INC-2", title="HeartbeatMissed (payments)")
    fed.fire("Watchdog", severity="none")
    fed.expect_incident("INC-2", status="resolved")


def counted(heartbeat: str) -> float:
    """How many alerts fed it, in this process."""
    return REGISTRY.get_sample_value("tocsin_heartbeat_fed_alerts_total", {"heartbeat": heartbeat}) or 0.0


def test_what_feeds_a_heartbeat_is_no_event_and_is_counted(fed: Watched) -> None:
    before, head = counted("prometheus"), fed.store.head()
    fed.fire("Watchdog", severity="critical")
    fed.fire("Watchdog", severity="critical")
    assert (counted("prometheus"), fed.store.head()) == (before + 2, head)
    fed.fire("ServiceDown", service="payments")
    fed.expect_page("ada", "INC-1")
    assert counted("prometheus") == before + 2


def test_its_end_is_missed_at_once(fed: Watched) -> None:
    fed.fire("Watchdog")
    fed.advance(minutes=1)
    fed.end("Watchdog")
    fed.expect_page("ada", "INC-1")
    fed.advance(minutes=1)
    fed.fire("Watchdog")
    fed.expect_incident("INC-1", status="resolved")
    fed.advance(minutes=9)
    fed.expect_incidents(1)
    fed.fire("Watchdog")


def test_the_end_of_one_that_fired_before_it_became_food_ends_it() -> None:
    world = Watched(INDEX)
    world.fire("Watchdog", service="payments")
    world.expect_page("ada", "INC-1")
    world.declare(FED)
    world.fire("Watchdog", service="payments")
    world.expect_incident("INC-1", status="triggered")
    world.end("Watchdog", service="payments")
    world.expect_page("ada", "INC-2")
    world.expect_incident("INC-1", status="resolved")
    world.ack("INC-2")
    world.close()


def test_while_alerts_wait_to_be_folded_nobody_is_missed_who_sends_them(fed: Watched) -> None:
    fed.fire("Watchdog")
    fed.advance(minutes=5)
    behind = fed.expire
    fed.expire = lambda: 0  # type: ignore[method-assign]
    fed.advance(minutes=20)
    fed.expect_incidents(0)
    fed.fire("Watchdog")
    fed.expire = behind  # type: ignore[method-assign]
    fed.settle()
    fed.advance(minutes=9)
    fed.expect_incidents(0)
    fed.advance(minutes=1, seconds=5)
    fed.expect_page("ada", "INC-1")
    fed.ack("INC-1")
