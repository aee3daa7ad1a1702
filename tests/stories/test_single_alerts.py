"""Single alerts: who has all that is spoken of has the incident; what a person closed is over until it begins anew."""

from datetime import timedelta

import pytest

from domain.decision import Refused
from tests.memory_world import MemoryWorld
from tests.world import CONFIG, World

DOWN = "ServiceDown"


def test_who_acknowledges_every_alert_has_the_incident(world: World) -> None:
    world.fire(DOWN, service="payments", instance="a")
    world.expect_page("ada", "INC-1")
    world.fire(DOWN, service="payments", instance="b")
    assert world.command_alert("ack", DOWN, service="payments", instance="a")
    world.expect_incident("INC-1", status="triggered")
    world.advance(minutes=5)
    world.expect_page("grace", "INC-1")
    assert world.command_alert("ack", DOWN, by="grace", service="payments", instance="b")
    world.expect_incident("INC-1", status="acknowledged")
    world.advance(minutes=60)
    assert not world.command_alert("ack", DOWN, service="payments", instance="b")


def test_a_new_alert_does_not_undo_it(world: World) -> None:
    world.fire(DOWN, service="payments", instance="a")
    world.expect_page("ada", "INC-1")
    world.command_alert("ack", DOWN, service="payments", instance="a")
    world.fire(DOWN, service="payments", instance="b")
    world.advance(minutes=60)
    world.expect_incident("INC-1", status="acknowledged")


def test_what_nobody_hears_of_needs_nobody(world: World) -> None:
    world.fire(DOWN, service="payments", instance="a")
    world.expect_page("ada", "INC-1")
    world.silence(minutes=60, instance="b")
    world.fire(DOWN, service="payments", instance="b")
    world.command_alert("ack", DOWN, service="payments", instance="a")
    world.expect_incident("INC-1", status="acknowledged")


def test_giving_an_alert_back_gives_the_incident_back(world: World) -> None:
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.command_alert("ack", DOWN, service="payments")
    assert world.command_alert("unack", DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.expect_incident("INC-1", status="triggered")
    assert not world.command_alert("unack", DOWN, service="payments")
    world.command_alert("ack", DOWN, service="payments")


def test_an_incident_that_was_given_back_is_taken_again_by_its_alert() -> None:
    """Its only alert is acknowledged all the while."""
    world = MemoryWorld()
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.command_alert("ack", DOWN, service="payments")
    world.command("unack", "INC-1")
    world.expect_page("ada", "INC-1")
    assert world.command_alert("ack", DOWN, service="payments")
    world.expect_incident("INC-1", status="acknowledged")
    world.close()


def test_somebody_who_works_on_the_incident_goes_on() -> None:
    world = MemoryWorld()
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.command_alert("ack", DOWN, service="payments")
    world.command("start", "INC-1", "grace")
    world.command_alert("unack", DOWN, service="payments")
    world.expect_incident("INC-1", status="in_progress")
    world.close()


def test_an_acknowledgement_ends_with_the_firing() -> None:
    world = MemoryWorld()
    world.fire(DOWN, service="payments", instance="a")
    world.expect_page("ada", "INC-1")
    world.fire(DOWN, service="payments", instance="b")
    world.command_alert("ack", DOWN, service="payments", instance="a")
    world.end(DOWN, service="payments", instance="a")
    world.fire(DOWN, service="payments", instance="a")
    world.command_alert("ack", DOWN, service="payments", instance="b")
    world.expect_incident("INC-1", status="triggered")
    world.command_alert("ack", DOWN, service="payments", instance="a")
    world.expect_incident("INC-1", status="acknowledged")
    world.close()


def test_an_acknowledgement_outlasts_a_silence() -> None:
    world = MemoryWorld()
    world.fire(DOWN, service="payments", instance="a")
    world.expect_page("ada", "INC-1")
    world.fire(DOWN, service="payments", instance="b")
    world.command_alert("ack", DOWN, service="payments", instance="a")
    world.silence(minutes=1, instance="a")
    world.advance(minutes=2)
    world.command_alert("ack", DOWN, service="payments", instance="b")
    world.expect_incident("INC-1", status="acknowledged")
    world.close()


@pytest.mark.parametrize(("verb", "code"), [("ack", "alert_suppressed"), ("unack", None), ("resolve", None)])
def test_of_what_nothing_is_said_nobody_has_to_take_it(verb: str, code: str | None) -> None:
    world = MemoryWorld()
    world.silence(minutes=30, service="payments")
    world.fire(DOWN, service="payments")
    if code:
        with pytest.raises(Refused) as refused:
            world.command_alert(verb, DOWN, service="payments")
        assert refused.value.code == code
        world.command_alert("resolve", DOWN, service="payments")
    else:
        assert world.command_alert(verb, DOWN, service="payments") is (verb == "resolve")
        world.command_alert("resolve", DOWN, service="payments")
    world.advance(minutes=60)
    world.expect_incidents(0)
    world.close()


def test_what_has_ended_cannot_be_acknowledged() -> None:
    world = MemoryWorld()
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.end(DOWN, service="payments")
    for verb in ("ack", "unack"):
        with pytest.raises(Refused) as refused:
            world.command_alert(verb, DOWN, service="payments")
        assert refused.value.code == "alert_resolved"
    assert not world.command_alert("resolve", DOWN, service="payments")
    world.close()


@pytest.mark.parametrize(
    ("ack", "resolved", "code"), [("refused", False, "ack_not_allowed"), (None, True, "incident_resolved")]
)
def test_what_the_incident_refuses_its_alert_refuses(ack: str | None, resolved: bool, code: str) -> None:
    route = "    - {matchers: ['alertname=\"ServiceDown\"'], ack: refused}\n"
    world = MemoryWorld(config=CONFIG.replace("  routes:\n", f"  routes:\n{route}") if ack else CONFIG)
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    if resolved:
        world.resolve("INC-1")
    with pytest.raises(Refused) as refused:
        world.command_alert("ack", DOWN, service="payments")
    assert refused.value.code == code
    world.close()


# -- an alert that a person closes -------------------------------------------------------------------------------------


def test_closing_the_last_alert_ends_the_incident(world: World) -> None:
    world.fire(DOWN, service="payments", instance="a")
    world.expect_page("ada", "INC-1")
    world.fire(DOWN, service="payments", instance="b")
    assert world.command_alert("resolve", DOWN, service="payments", instance="a")
    world.expect_incident("INC-1", status="triggered")
    assert world.command_alert("resolve", DOWN, service="payments", instance="b")
    world.expect_incident("INC-1", status="resolved")
    world.advance(minutes=60)
    assert not world.command_alert("resolve", DOWN, service="payments", instance="b")


def test_repeats_of_a_closed_firing_say_nothing_and_a_new_one_does(world: World) -> None:
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.command_alert("resolve", DOWN, service="payments")
    for _ in range(3):
        world.advance(minutes=5)
        world.fire(DOWN, service="payments")
    world.expect_incidents(1)
    world.end(DOWN, service="payments")
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")


def test_a_later_start_fires_even_if_nobody_said_that_it_ended() -> None:
    world = MemoryWorld()
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.command_alert("resolve", DOWN, service="payments")
    world.advance(minutes=10)
    world._fired_at.clear()
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")
    world.close()


def test_a_firing_after_a_resolve_counts_whatever_its_start() -> None:
    world = MemoryWorld()
    began = world.now()
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.command_alert("resolve", DOWN, service="payments")
    world.advance(minutes=10)
    world.end(DOWN, service="payments")
    world.advance(minutes=10)
    world.fire(DOWN, at=began, service="payments")
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")
    world.close()


def test_a_late_copy_of_what_was_closed_says_nothing() -> None:
    world = MemoryWorld()
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.advance(minutes=4)
    world.command_alert("resolve", DOWN, service="payments")
    world.advance(minutes=2)
    world._fired_at.clear()
    world.fire(DOWN, at=world.now() - timedelta(minutes=30), service="payments")
    world.expect_incidents(1)
    world.close()


def test_what_a_person_closes_does_not_make_an_alert_flap() -> None:
    route = "    - {matchers: ['alertname=\"ServiceDown\"'], flap_threshold: 3, flap_window: 1h, flap_quiet: 10m}\n"
    world = MemoryWorld(config=CONFIG.replace("  routes:\n", f"  routes:\n{route}"))
    for number in (1, 2):
        world._fired_at.clear()
        world.fire(DOWN, service="payments")
        world.expect_page("ada", f"INC-{number}")
        world.command_alert("resolve", DOWN, service="payments")
        world.advance(minutes=1)
    world.close()


def test_each_way_of_an_alert_is_closed_by_itself() -> None:
    """One way begins anew while the other goes on: each stays in its own group."""
    routes = (
        "    - {matchers: ['alertname=\"ServiceDown\"'], continue: true}\n"
        "    - {matchers: ['alertname=\"ServiceDown\"'], policy: search-only, team: search, service: catalogue}\n"
    )
    world = MemoryWorld(config=CONFIG.replace("  routes:\n", f"  routes:\n{routes}"))
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-1")
    world.expect_page("edsger", "INC-2")
    world.command_alert("resolve", DOWN, service="payments")
    world.fire(DOWN, service="payments")
    world.expect_incident("INC-1", status="resolved")
    world.expect_incident("INC-2", status="triggered")
    world.command("resolve", "INC-2")
    world._fired_at.clear()
    world.advance(minutes=2)
    world.fire(DOWN, service="payments")
    world.expect_page("ada", "INC-3")
    world.expect_incidents(3)
    world.ack("INC-3")
    world.close()
