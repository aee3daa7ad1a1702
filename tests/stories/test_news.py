"""News of an incident: what is released into one that is over, what makes one worse that somebody has, what comes when
everybody was told already."""

from collections.abc import Callable, Iterator

import pytest

from tests.memory_world import MemoryWorld
from tests.world import CONFIG, alert, webhook

INTERVALS = "  group_by: [alertname, service]\n"


@pytest.fixture
def made() -> Iterator[Callable[[str], MemoryWorld]]:
    """A world whose root route says this besides; it fails for every message that nobody expected."""
    worlds: list[MemoryWorld] = []

    def make(says: str = "") -> MemoryWorld:
        worlds.append(MemoryWorld(config=CONFIG.replace(INTERVALS, INTERVALS + says)))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


Made = Callable[..., MemoryWorld]


# -- released ----------------------------------------------------------------------------------------------------------


def test_what_was_silenced_from_its_begin_is_announced_though_its_incident_was_resolved_meanwhile(made: Made) -> None:
    world = made()
    silence = world.silence(minutes=60, instance="b")
    world.fire("ServiceDown", service="payments", instance="a", severity="low")
    world.expect_page("ada", "INC-1")
    world.fire("ServiceDown", service="payments", instance="b")
    world.resolve("INC-1")
    world.end_silence(silence)
    world.expect_page("ada", "INC-2")
    world.expect_incident("INC-2", severity="critical", status="triggered")
    world.ack("INC-2")


def test_what_is_released_makes_its_incident_as_severe_as_it_is(made: Made) -> None:
    world = made()
    silence = world.silence(minutes=60, instance="b")
    world.fire("ServiceDown", service="payments", instance="a", severity="low")
    world.expect_page("ada", "INC-1")
    world.fire("ServiceDown", service="payments", instance="b")
    world.expect_incident("INC-1", severity="low")
    world.end_silence(silence)
    world.expect_incident("INC-1", severity="critical", status="triggered")
    world.ack("INC-1")


def test_what_became_worse_while_it_was_silenced_by_its_severity_is_silenced_no_more(made: Made) -> None:
    world = made()
    world.silence(60, 0, **{"@severity": "low"})
    world.post(webhook([spoken_of(world, "low")]))
    world.expect_nothing()
    world.advance(seconds=30)
    world.post(webhook([spoken_of(world, "critical")]))
    world.expect_page("ada", "INC-1")
    world.expect_incident("INC-1", severity="critical")
    world.ack("INC-1")


def spoken_of(world: MemoryWorld, severity: str) -> dict[str, object]:
    """One alert that keeps its fingerprint whatever its severity is, as other sources than Prometheus have it."""
    began = world._fired_at.setdefault("keeps", world.now())
    member = alert("DiskFull", {"service": "payments"}, began)
    return {**member, "labels": {**member["labels"], "severity": severity}}


# -- worse -------------------------------------------------------------------------------------------------------------


def test_an_incident_that_gets_worse_after_it_was_acknowledged_is_announced_again(made: Made) -> None:
    world = made()
    world.fire("ServiceDown", service="payments", instance="a", severity="medium")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(minutes=30)
    world.fire("ServiceDown", service="payments", instance="b", severity="medium")
    world.expect_nothing()
    world.fire("ServiceDown", service="payments", instance="c", severity="critical")
    world.expect_page("ada", "INC-1")
    world.expect_incident("INC-1", severity="critical", status="triggered")
    world.advance(minutes=5)
    world.expect_page("grace", "INC-1")
    world.ack("INC-1", by="grace")
    world.advance(hours=1)
    world.expect_nothing()


def test_a_repeat_that_is_worse_announces_what_somebody_has_acknowledged(made: Made) -> None:
    world = made()
    world.post(webhook([spoken_of(world, "low")]))
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(minutes=2)
    world.post(webhook([spoken_of(world, "high")]))
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_whoever_works_on_it_is_not_called_away_by_what_makes_it_worse(made: Made) -> None:
    world = made()
    world.fire("ServiceDown", service="payments", instance="a", severity="medium")
    world.expect_page("ada", "INC-1")
    world.command("start", "INC-1")
    world.fire("ServiceDown", service="payments", instance="b", severity="critical")
    world.advance(hours=1)
    world.expect_incident("INC-1", severity="critical", status="in_progress")


def test_a_person_who_says_that_it_is_worse_is_not_paged_about_that(made: Made) -> None:
    world = made()
    world.fire("ServiceDown", service="payments", severity="medium")
    world.fire("QueueFull", service="payments", severity="critical")
    world.expect_page("ada", "INC-1")
    world.expect_page("ada", "INC-2")
    world.ack("INC-1")
    world.merge("INC-2", "INC-1")
    world.advance(hours=1)
    world.expect_incident("INC-1", severity="critical", status="acknowledged")


# -- when everybody was told -------------------------------------------------------------------------------------------


def told_in_vain(world: MemoryWorld) -> None:
    """INC-1 is open, and each step of its policy has run twice."""
    world.fire("ServiceDown", service="payments", instance="a")
    for user in ("ada", "grace", "ada", "grace"):
        world.expect_page(user, "INC-1")
        world.advance(minutes=10)
    world.advance(hours=2)
    world.expect_nothing()


def test_what_gets_worse_while_the_last_step_is_waited_for_is_told_again_at_once(made: Made) -> None:
    world = made()
    world.fire("ServiceDown", service="payments", instance="a", severity="low")
    for loop, user in enumerate(("ada", "grace", "ada", "grace")):
        world.expect_page(user, "INC-1")
        world.advance(minutes=(5, 10, 5, 9)[loop])
    world.fire("ServiceDown", service="payments", instance="b", severity="low")
    world.expect_nothing()
    world.fire("ServiceDown", service="payments", instance="c", severity="critical")
    assert "CRITICAL" in world.expect_page("ada", "INC-1").text
    world.advance(minutes=5)
    world.expect_page("grace", "INC-1")
    world.ack("INC-1", by="grace")
    world.advance(hours=2)
    world.expect_nothing()


def test_what_joins_while_the_last_step_is_waited_for_is_news_after_group_interval(made: Made) -> None:
    world = made("  group_interval: 30m\n")
    world.fire("ServiceDown", service="payments", instance="a")
    for loop, user in enumerate(("ada", "grace", "ada", "grace")):
        world.expect_page(user, "INC-1")
        world.advance(minutes=(5, 10, 5, 9)[loop])
    world.fire("ServiceDown", service="payments", instance="b")
    world.fire("ServiceDown", service="payments", instance="c")
    world.expect_nothing()
    world.advance(minutes=1)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(hours=2)
    world.expect_nothing()


def test_another_alert_of_what_everybody_was_told_of_in_vain_is_news_after_group_interval(made: Made) -> None:
    world = made("  group_interval: 5m\n")
    told_in_vain(world)
    world.fire("ServiceDown", service="payments", instance="b")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_news_wait_until_group_interval_is_over_since_the_last_announcement(made: Made) -> None:
    world = made("  group_interval: 6h\n")
    told_in_vain(world)
    world.fire("ServiceDown", service="payments", instance="b")
    world.fire("ServiceDown", service="payments", instance="c")
    world.advance(hours=3)
    world.expect_nothing()
    world.advance(minutes=20)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_without_group_interval_only_what_is_worse_is_news(made: Made) -> None:
    world = made()
    world.fire("ServiceDown", service="payments", instance="a", severity="low")
    for user in ("ada", "grace", "ada", "grace"):
        world.expect_page(user, "INC-1")
        world.advance(minutes=10)
    world.advance(hours=1)
    world.fire("ServiceDown", service="payments", instance="b", severity="low")
    world.advance(hours=1)
    world.expect_nothing()
    world.fire("ServiceDown", service="payments", instance="c", severity="critical")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
