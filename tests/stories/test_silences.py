"""A silence: what matches is not spoken of from its start to its end, and what still fires then is."""

import pytest

from tests.memory_world import MemoryWorld
from tests.world import CONFIG, World


def test_a_silenced_alert_opens_nothing_and_is_announced_when_the_silence_ends(world: World) -> None:
    world.silence(minutes=30, service="payments")
    world.fire("ServiceDown", service="payments")
    world.fire("ServiceDown", service="catalogue")
    world.expect_page("edsger", "INC-1")
    world.ack("INC-1", by="edsger")
    world.advance(minutes=29)
    world.expect_incidents(1)
    world.advance(minutes=1)
    world.expect_page("ada", "INC-2")
    world.expect_incident("INC-2", title="ServiceDown (payments)", status="triggered")


def test_an_alert_that_ends_while_it_is_silenced_was_never_spoken_of(world: World) -> None:
    world.silence(minutes=30, service="payments")
    world.fire("ServiceDown", service="payments")
    world.advance(minutes=10)
    world.end("ServiceDown", service="payments")
    world.advance(minutes=30)
    world.expect_incidents(0)
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")


def test_a_silence_that_begins_while_people_are_paged_stops_that(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    silence = world.silence(minutes=60, alertname="ServiceDown")
    world.advance(minutes=30)
    world.expect_nothing()
    world.expect_incident("INC-1", status="triggered")
    assert "escalation.stopped.v1" in world.event_types("INC-1")
    world.end_silence(silence)
    world.expect_page("ada", "INC-1")
    assert "incident.reannounced.v1" in world.event_types("INC-1")
    world.advance(minutes=5)
    world.expect_page("grace", "INC-1")
    world.ack("INC-1", by="grace")


def test_what_somebody_has_taken_is_not_announced_again(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    silence = world.silence(minutes=60, service="payments")
    world.ack("INC-1")
    world.end_silence(silence)
    world.advance(minutes=10)
    world.expect_incident("INC-1", status="acknowledged")


def test_as_long_as_one_alert_is_spoken_of_its_incident_is(world: World) -> None:
    world.fire("ServiceDown", service="payments", instance="a")
    world.expect_page("ada", "INC-1")
    world.fire("ServiceDown", service="payments", instance="b")
    world.silence(minutes=60, instance="a")
    world.advance(minutes=5)
    world.expect_page("grace", "INC-1")
    world.silence(minutes=60, instance="b")
    world.advance(minutes=20)
    world.expect_nothing()
    world.fire("ServiceDown", service="payments", instance="c")
    world.expect_page("ada", "INC-1")
    world.expect_incidents(1)
    world.ack("INC-1")


def test_a_silence_that_is_to_come_begins_at_its_time(world: World) -> None:
    world.silence(minutes=30, after=2, service="payments")
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.advance(minutes=20)
    world.expect_nothing()
    world.advance(minutes=12)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_an_incident_ends_with_its_last_alert_whether_that_is_spoken_of_or_not(world: World) -> None:
    world.fire("ServiceDown", service="payments", instance="a")
    world.expect_page("ada", "INC-1")
    world.silence(minutes=60, instance="b")
    world.fire("ServiceDown", service="payments", instance="b")
    world.end("ServiceDown", service="payments", instance="a")
    world.advance(minutes=20)
    world.expect_incident("INC-1", status="triggered")
    world.end("ServiceDown", service="payments", instance="b")
    world.expect_incident("INC-1", status="resolved")
    world.advance(minutes=60)


def test_a_worse_alert_that_is_silenced_makes_nothing_worse(world: World) -> None:
    world.fire("ServiceDown", service="payments", severity="low", instance="a")
    world.expect_page("ada", "INC-1")
    world.silence(minutes=60, instance="b")
    world.fire("ServiceDown", service="payments", severity="critical", instance="b")
    world.expect_incident("INC-1", severity="low")
    world.ack("INC-1")


def test_of_two_silences_the_last_to_end_counts(world: World) -> None:
    first = world.silence(minutes=10, service="payments")
    world.silence(minutes=40, alertname="ServiceDown")
    world.fire("ServiceDown", service="payments")
    world.end_silence(first)
    world.advance(minutes=39)
    world.expect_incidents(0)
    world.advance(minutes=1)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


@pytest.mark.parametrize("alerts", [3, 130])
def test_many_alerts_are_announced_once(alerts: int) -> None:
    world = MemoryWorld()
    world.silence(minutes=30, service="payments")
    for number in range(alerts):
        world.fire("ServiceDown", service="payments", instance=str(number))
    world.advance(minutes=30)
    world.expect_page("ada", "INC-1")
    world.expect_incidents(1)
    world.ack("INC-1")
    world.close()


def test_a_silence_reads_whose_an_alert_is_by_the_route_that_it_took() -> None:
    route = "  routes:\n    - {matchers: ['kind=\"index\"'], team: search}\n"
    world = MemoryWorld(config=CONFIG.replace("  routes:\n", route))
    world.silence(60, 0, **{"@team": "search"})
    world.fire("Slow", kind="index")
    world.expect_nothing()
    world.fire("Slow", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.end("Slow", kind="index")
    world.close()
