"""What cannot be decided is put aside, a person is told, and everything else goes on."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from domain import folding, reporting, routing
from domain.config import Config
from schemas.received import received
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams.fold import Arrival, Unreadable
from streams.store.base import TrackingMove
from tests.memory_world import MemoryWorld
from tests.world import alert, webhook


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryWorld]:
    """A world with a bug: alerts named Poison cannot be routed."""
    routes_of = reporting.routes_of

    def broken(config: Config, said: reporting.Report) -> tuple[routing.Routing, ...]:
        if said.alert.labels["alertname"] == "Poison":
            raise ValueError("a bug")
        return routes_of(config, said)

    monkeypatch.setattr(folding, "routes_of", broken)
    made = MemoryWorld()
    made.may_fail = True
    yield made
    made.close()


def post(world: MemoryWorld, *names: str) -> None:
    world.post(webhook([alert(name, {"service": "payments"}, world.now()) for name in names]))


def test_one_poison_alert_costs_only_itself(world: MemoryWorld) -> None:
    post(world, "Disk", "Poison", "Net")
    assert [seen.title for seen in world.incidents()] == [
        "Disk (payments)",
        "Net (payments)",
        "Alerts from alertmanager were not understood",
    ]
    dead = world.store.dead_letters("r-000001")
    assert [(letter.index, letter.reason) for letter in dead] == [(1, "it cannot be decided (ValueError)")]
    assert world.store.tracking("default", "alerts") == {0: 0}
    assert world.expect_page("ada", "INC-1", "INC-2", "INC-3")


def test_there_is_one_open_incident_for_what_an_integration_said(world: MemoryWorld) -> None:
    post(world, "Poison")
    world.expect_page("ada", "INC-1")
    post(world, "Poison")
    world.expect_incidents(1)
    world.expect_nothing()
    world.resolve("INC-1")
    post(world, "Poison")
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")


def test_a_record_that_is_none_is_put_aside_with_its_bytes(world: MemoryWorld) -> None:
    unreadable = Unreadable("default/alerts/0@0", "alertmanager", b"\x00not json", "record: Invalid JSON")
    world.fold.save([unreadable], (TrackingMove("default", "alerts", 0, -1, 0),))
    world.settle()
    dead = world.store.dead_letters("unreadable/default/alerts/0@0")
    assert [(letter.index, letter.body) for letter in dead] == [(-1, b"\x00not json")]
    world.expect_page("ada", "INC-1")


def test_a_member_that_the_gateway_could_not_read_is_put_aside_and_somebody_is_told(world: MemoryWorld) -> None:
    body = webhook([alert("Disk", {"service": "payments"}, world.now())])
    body["alerts"].append({"labels": {"alertname": "Half"}})
    world.post(body)
    assert [letter.index for letter in world.store.dead_letters("r-000001")] == [1]
    world.expect_page("ada", "INC-1", "INC-2")


def test_lost_records_are_an_event_and_somebody_is_told(world: MemoryWorld) -> None:
    world.fold.lose(TrackingMove("default", "alerts", 0, -1, 41))
    world.settle()
    assert [e.type for e in world.store.tail(0, 1000) if e.stream.startswith("intake-")] == ["intake.alerts_lost.v1"]
    assert world.store.tracking("default", "alerts") == {0: 41}
    world.expect_incident("INC-1", title="Alerts were lost from topic alerts")
    world.expect_page("ada", "INC-1")


def test_what_fired_and_ended_while_nobody_looked_pages_nobody(world: MemoryWorld) -> None:
    fired = webhook([alert("Disk", {"service": "payments"}, world.now())])
    ended = webhook([alert("Disk", {"service": "payments"}, world.now(), world.now() + timedelta(minutes=1))])
    old = world.now()
    world._now += timedelta(minutes=10)
    world.receive(fired, old)
    world.settle()
    world.receive(ended, old + timedelta(minutes=1))
    world.advance(minutes=1)
    world.expect_incident("INC-1", status="resolved")
    world.expect_nothing()


def test_what_still_fires_pages_as_soon_as_the_partition_is_caught_up_with(world: MemoryWorld) -> None:
    body = webhook([alert("Disk", {"service": "payments"}, world.now())])
    parsed = SOURCES["alertmanager"](json.dumps(body).encode(), DEFAULT_LIMITS)
    record = received("r-1", "alertmanager", world.now(), parsed.alerts, parsed.raw, b"salt")
    arrivals = [Arrival(record, "default/alerts/0@0")]
    move = TrackingMove("default", "alerts", 0, -1, 0)
    world.fold.save(arrivals, (move,), catching_up=["default/alerts/0"])
    world.settle()
    world.expect_nothing()
    world.fold.caught_up(["default/alerts/0"])
    world.settle()
    world.expect_page("ada", "INC-1")


def test_what_was_held_back_still_waits_for_its_group(world: MemoryWorld) -> None:
    body = webhook([alert("Disk", {"service": "payments", "patience": "yes"}, world.now())])
    parsed = SOURCES["alertmanager"](json.dumps(body).encode(), DEFAULT_LIMITS)
    record = received("r-1", "alertmanager", world.now(), parsed.alerts, parsed.raw, b"salt")
    move = TrackingMove("default", "alerts", 0, -1, 0)
    world.fold.save([Arrival(record, "default/alerts/0@0")], (move,), catching_up=["default/alerts/0"])
    world.fold.caught_up(["default/alerts/0"])
    world.advance(seconds=29)
    world.expect_nothing()
    world.advance(seconds=2)
    world.expect_page("ada", "INC-1")
