"""What a route says besides where an alert goes: reopening, being quiet for a while, flapping, no acknowledging."""

from collections.abc import Iterator

import pytest

from domain.decision import Refused
from domain.groups import AlertFlapping
from tests.memory_world import MemoryWorld
from tests.world import CONFIG

ROUTES = """
    - {matchers: ['kind="reopens"'], reopen_within: 30m}
    - {matchers: ['kind="quiet"'], suppress_for: 10m}
    - {matchers: ['kind="flaps"'], flap_threshold: 4, flap_window: 30m, flap_quiet: 20m}
    - {matchers: ['kind="security"'], ack: refused}
    - {matchers: ['kind="again"'], repeat_interval: 2h, policy: search-only}
    - {matchers: ['kind="minor"'], severity: low}
"""


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld(config=CONFIG.replace("  routes:\n", "  routes:" + ROUTES))
    yield made
    made.close()


def once(world: MemoryWorld, kind: str, minutes: float = 1) -> None:
    """The alert fires, and ends a while later."""
    world.fire("Down", service="payments", kind=kind)
    world.advance(minutes=minutes)
    world.end("Down", service="payments", kind=kind)


def test_a_refire_within_the_time_reopens_the_incident(world: MemoryWorld) -> None:
    once(world, "reopens")
    world.expect_page("ada", "INC-1")
    world.expect_incident("INC-1", status="resolved")
    world.advance(minutes=29)
    once(world, "reopens")
    world.expect_page("ada", "INC-1")
    world.expect_incidents(1)
    world.advance(minutes=31)
    once(world, "reopens")
    world.expect_page("ada", "INC-2")


def test_a_group_that_has_just_ended_is_quiet_for_a_while(world: MemoryWorld) -> None:
    once(world, "quiet")
    world.expect_page("ada", "INC-1")
    world.advance(minutes=2)
    once(world, "quiet")
    world.advance(minutes=2)
    world.fire("Down", service="payments", kind="quiet")
    world.advance(minutes=4)
    world.expect_incidents(1)
    world.advance(minutes=2)
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")


def test_a_flapping_alert_is_told_of_once_more_and_then_not_until_it_was_steady(world: MemoryWorld) -> None:
    for incident in ("INC-1", "INC-2", "INC-3"):
        once(world, "flaps")
        said = world.expect_page("ada", incident)
        notice = "an alert of it changed 5 times in 30 min; no more is said of that until it was steady for a while"
        assert (notice in said.text) == (incident == "INC-3")
        world.advance(minutes=1)
    for _ in range(4):
        once(world, "flaps")
        world.advance(minutes=1)
    world.expect_nothing()
    world.expect_incidents(3)
    assert flapping(world) == [(5, 1800.0)]
    world.fire("Down", service="payments", kind="flaps")
    world.advance(minutes=19)
    world.expect_incidents(3)
    world.advance(minutes=1)
    world.expect_page("ada", "INC-4")
    world.ack("INC-4")


def test_an_alert_that_changes_slowly_does_not_flap(world: MemoryWorld) -> None:
    for number in range(1, 6):
        once(world, "flaps", minutes=4)
        world.expect_page("ada", f"INC-{number}")
        world.advance(minutes=20)
    assert flapping(world) == []


def test_whoever_has_an_incident_is_not_called_away_by_what_begins_to_flap_in_it(world: MemoryWorld) -> None:
    world.fire("Down", service="payments", kind="flaps", pod="steady")
    assert "changed" not in world.expect_page("ada", "INC-1").text
    world.ack("INC-1")
    for _ in range(2):
        world.fire("Down", service="payments", kind="flaps", pod="b")
        world.advance(minutes=1)
        world.end("Down", service="payments", kind="flaps", pod="b")
        world.advance(minutes=1)
    world.fire("Down", service="payments", kind="flaps", pod="b")
    world.advance(minutes=1)
    assert flapping(world) == [(5, 1800.0)]
    world.expect_nothing()
    world.command("unack", "INC-1")
    assert "an alert of it changed 5 times in 30 min" in world.expect_page("ada", "INC-1").text
    world.ack("INC-1")


def test_of_several_alerts_that_flap_it_is_said_how_many_they_are(world: MemoryWorld) -> None:
    world.fire("Down", service="payments", kind="flaps", pod="steady")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    for pod in ("b", "c"):
        for _ in range(2):
            world.fire("Down", service="payments", kind="flaps", pod=pod)
            world.end("Down", service="payments", kind="flaps", pod=pod)
            world.advance(minutes=1)
        world.fire("Down", service="payments", kind="flaps", pod=pod)
    world.command("unack", "INC-1")
    assert "2 alerts of it changed up to 5 times in 30 min" in world.expect_page("ada", "INC-1").text
    world.ack("INC-1")
    world.end("Down", service="payments", kind="flaps", pod="b")
    world.command("unack", "INC-1")
    assert "an alert of it changed 5 times in 30 min" in world.expect_page("ada", "INC-1").text
    world.ack("INC-1")


def test_what_begins_to_flap_after_everybody_was_told_in_vain_is_told_of_once(world: MemoryWorld) -> None:
    world.fire("Down", service="payments", kind="flaps", pod="steady")
    for person in ("ada", "grace", "ada", "grace"):
        world.expect_page(person, "INC-1")
        world.advance(minutes=10)
    world.advance(hours=1)
    for _ in range(2):
        world.fire("Down", service="payments", kind="flaps", pod="b")
        world.advance(minutes=1)
        world.end("Down", service="payments", kind="flaps", pod="b")
        world.advance(minutes=1)
    world.expect_nothing()
    world.fire("Down", service="payments", kind="flaps", pod="b")
    assert "an alert of it changed 5 times in 30 min" in world.expect_page("ada", "INC-1").text
    world.ack("INC-1")
    world.end("Down", service="payments", kind="flaps", pod="b")
    world.fire("Down", service="payments", kind="flaps", pod="b")
    world.advance(hours=1)
    world.expect_nothing()
    assert flapping(world) == [(5, 1800.0)]


@pytest.mark.parametrize("by", ["silence", "calm"])
def test_what_began_to_flap_unheard_is_told_of_when_it_can_be_and_a_calm_ends_it(world: MemoryWorld, by: str) -> None:
    if by == "silence":
        silence = world.silence(minutes=60, kind="flaps")
        for _ in range(4):
            once(world, "flaps")
            world.advance(minutes=1)
        world.expect_nothing()
        world.end_silence(silence)
        once(world, "flaps")
        assert "an alert of it changed" in world.expect_page("ada", "INC-1").text
    else:
        for incident in ("INC-1", "INC-2", "INC-3"):
            once(world, "flaps")
            world.expect_page("ada", incident)
            world.advance(minutes=1)
        world.advance(minutes=21)
        once(world, "flaps")
        assert "changed" not in world.expect_page("ada", "INC-4").text
    world.advance(minutes=1)
    if by == "silence":
        once(world, "flaps")
        world.advance(minutes=30)
    world.expect_nothing()
    assert len(flapping(world)) == 1


def flapping(world: MemoryWorld) -> list[tuple[int, float]]:
    said = [recorded.event for recorded in world.store.tail(0, 10_000)]
    return [(event.changes, event.within) for event in said if isinstance(event, AlertFlapping)]


def test_what_may_not_be_acknowledged_escalates_until_it_is_resolved(world: MemoryWorld) -> None:
    world.fire("Breach", service="payments", kind="security")
    world.expect_page("ada", "INC-1")
    for verb in ("ack", "start"):
        with pytest.raises(Refused) as why:
            world.command(verb, "INC-1")
        assert why.value.code == "ack_not_allowed"
    world.command("assign", "INC-1")
    world.command("comment", "INC-1")
    world.advance(minutes=5)
    world.expect_page("grace", "INC-1")
    world.resolve("INC-1")


def test_what_nobody_answers_is_told_again(world: MemoryWorld) -> None:
    world.fire("Down", service="payments", kind="again")
    world.expect_page("edsger", "INC-1")
    world.advance(hours=2, minutes=4)
    world.expect_nothing()
    world.advance(minutes=1)
    world.expect_page("edsger", "INC-1")
    world.ack("INC-1", by="edsger")
    world.advance(hours=3)


def test_a_route_knows_how_severe_its_alerts_are(world: MemoryWorld) -> None:
    world.fire("Down", service="payments", kind="minor")
    world.expect_page("ada", "INC-1")
    world.expect_incident("INC-1", severity="low")
    world.fire("Down", service="payments", kind="minor")
    world.expect_incident("INC-1", severity="low")
    world.ack("INC-1")
