"""Maintenance windows: planned work, once or again and again, during which nobody is told of what it touches."""

from collections.abc import Callable, Iterator

import pytest

from domain.groups import AlertSuppressed
from tests.memory_world import MemoryWorld
from tests.world import CONFIG

Worlds = Callable[[str], MemoryWorld]


@pytest.fixture
def planned() -> Iterator[Worlds]:
    """Worlds in which some work is planned; it is three on a Monday morning."""
    made: list[MemoryWorld] = []

    def world(windows: str) -> MemoryWorld:
        made.append(MemoryWorld(config=CONFIG + "maintenance_windows:\n" + windows))
        return made[-1]

    yield world
    for each in made:
        each.close()


def test_what_is_worked_on_is_not_spoken_of_and_announced_afterwards_if_it_still_fires(planned: Worlds) -> None:
    world = planned("  upgrade: {services: [payments], start: 2026-03-02T03:00Z, duration: 1h}\n")
    world.fire("Down", service="payments")
    world.fire("Down", service="catalogue")
    world.expect_page("edsger", "INC-1")
    world.ack("INC-1", by="edsger")
    world.fire("Gone", service="payments")
    world.advance(minutes=30)
    world.end("Gone", service="payments")
    world.advance(minutes=30)
    world.expect_page("ada", "INC-2")
    world.expect_incident("INC-2", title="Down (payments)")
    world.expect_incidents(2)
    world.ack("INC-2")


def test_work_that_begins_while_somebody_is_paged_stops_that(planned: Worlds) -> None:
    world = planned("  upgrade: {teams: [platform], start: 2026-03-02T03:02Z, duration: 30m}\n")
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.advance(minutes=20)
    world.expect_nothing()
    world.end("Down", service="payments")
    world.advance(minutes=20)
    world.expect_incident("INC-1", status="resolved")


def test_work_comes_again(planned: Worlds) -> None:
    world = planned("  nightly: {services: [payments], start: 2026-03-01T04:00Z, duration: 1h, rrule: FREQ=DAILY}\n")
    for _ in range(2):
        world.advance(hours=1, minutes=30)
        world.fire("Down", service="payments")
        world.advance(minutes=10)
        world.end("Down", service="payments")
        world.expect_incidents(0)
        world.advance(hours=22, minutes=20)
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_it_is_about_what_fits_all_that_it_names(planned: Worlds) -> None:
    world = planned(
        "  upgrade: {services: [payments], matchers: ['instance=\"a\"'], start: 2026-03-02T03:00Z, duration: 1h}\n"
    )
    world.fire("Down", service="payments", instance="a")
    world.fire("Down", service="payments", instance="b")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(minutes=70)
    world.expect_incidents(1)


def test_work_that_is_called_off_is_over(planned: Worlds) -> None:
    world = planned("  upgrade: {services: [payments], start: 2026-03-02T03:00Z, duration: 5h}\n")
    world.fire("Down", service="payments")
    world.expect_nothing()
    world.configure(CONFIG)
    world.settle()
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_what_still_fires_when_work_ends_is_announced_again_unless_somebody_has_it(planned: Worlds) -> None:
    world = planned("  upgrade: {teams: [platform], start: 2026-03-02T03:02Z, duration: 30m}\n")
    for name in ("Down", "Slow"):
        world.fire(name, service="payments")
    for name in ("INC-1", "INC-2"):
        world.expect_page("ada", name)
    world.advance(minutes=3)
    world.ack("INC-2")
    world.advance(minutes=28)
    world.expect_nothing()
    world.advance(minutes=1)
    world.expect_page("ada", "INC-1")
    world.advance(minutes=5)
    world.expect_page("grace", "INC-1")
    world.ack("INC-1")


def test_an_incident_with_another_alert_goes_on(planned: Worlds) -> None:
    world = planned("  upgrade: {matchers: ['instance=\"a\"'], start: 2026-03-02T03:02Z, duration: 30m}\n")
    for instance in "ab":
        world.fire("Down", service="payments", instance=instance)
    world.expect_page("ada", "INC-1")
    world.advance(minutes=5)
    world.expect_page("grace", "INC-1")
    world.ack("INC-1")


def test_of_several_windows_the_one_that_ends_last_counts(planned: Worlds) -> None:
    world = planned(
        "  short: {services: [payments], start: 2026-03-02T03:00Z, duration: 30m}\n"
        "  long: {services: [payments], start: 2026-03-02T03:00Z, duration: 1h}\n"
    )
    world.fire("Down", service="payments")
    (said,) = [e.event for e in world.store.tail(0, 1000) if isinstance(e.event, AlertSuppressed)]
    assert (said.reason, said.rule) == ("maintenance_window", "long")
    world.advance(minutes=59)
    world.expect_nothing()
    world.advance(minutes=1)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_where_work_is_done_says_the_alert_or_its_service() -> None:
    somewhere = CONFIG.replace("catalogue: {", "catalogue: {environment: staging, ")
    window = "maintenance_windows: {w: {environments: [staging], start: 2026-03-02T03:00Z, duration: 1h}}\n"
    world = MemoryWorld(config=somewhere + window)
    world.fire("Down", service="catalogue")
    world.fire("Down", service="payments", environment="staging")
    world.expect_incidents(0)
    world.fire("Down", service="catalogue", environment="production")
    world.expect_page("edsger", "INC-1")
    world.ack("INC-1")
    world.close()


def test_work_that_takes_longer_is_given_another_end(planned: Worlds) -> None:
    world = planned("  upgrade: {services: [payments], start: 2026-03-02T03:00Z, duration: 30m}\n")
    world.fire("Down", service="payments")
    world.advance(minutes=20)
    longer = "maintenance_windows: {upgrade: {services: [payments], start: 2026-03-02T03:00Z, duration: 1h}}\n"
    world.configure(CONFIG + longer)
    world.advance(minutes=39)
    world.expect_nothing()
    world.advance(minutes=1)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_what_is_silenced_as_well_is_announced_when_both_are_over(planned: Worlds) -> None:
    world = planned("  upgrade: {services: [payments], start: 2026-03-02T03:00Z, duration: 30m}\n")
    silence = world.silence(minutes=60, service="payments")
    world.fire("Down", service="payments")
    (said,) = [e.event for e in world.store.tail(0, 1000) if isinstance(e.event, AlertSuppressed)]
    assert (said.reason, said.rule) == ("silence", silence)
    world.advance(minutes=59)
    world.expect_nothing()
    world.advance(minutes=1)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
