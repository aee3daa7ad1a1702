"""Time intervals of a route: outside of working hours some things can wait until the morning."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.memory_world import MemoryWorld
from tests.world import CONFIG, START

TIMES = """
time_intervals:
  night:
    - {times: [{start_time: '22:00', end_time: '24:00'}, {start_time: '00:00', end_time: '08:00'}]}
  office: [{weekdays: ['monday:friday'], times: [{start_time: '09:00', end_time: '17:00'}]}]
"""
ROUTES = """
    - {matchers: ['team="batch"'], mute_time_intervals: [night]}
    - {matchers: ['team="reports"'], active_time_intervals: [office]}
"""


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    """At three on a Monday morning."""
    made = MemoryWorld(config=CONFIG.replace("  routes:\n", "  routes:" + ROUTES) + TIMES)
    yield made
    made.close()


def test_it_is_three_on_a_monday_morning() -> None:
    assert datetime(2026, 3, 2, 3, tzinfo=UTC) == START
    assert START.isoweekday() == 1


def test_what_can_wait_waits_until_the_night_is_over(world: MemoryWorld) -> None:
    world.fire("Stuck", service="payments", team="batch")
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(hours=4, minutes=59)
    world.expect_incidents(1)
    world.advance(minutes=1)
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")


def test_what_is_over_by_the_morning_is_not_spoken_of(world: MemoryWorld) -> None:
    world.fire("Stuck", service="payments", team="batch")
    world.advance(hours=1)
    world.end("Stuck", service="payments", team="batch")
    world.advance(hours=6)
    world.expect_incidents(0)


def test_a_page_that_runs_into_the_night_stops_there(world: MemoryWorld) -> None:
    world.advance(hours=18, minutes=58)
    world.fire("Stuck", service="payments", team="batch")
    world.expect_page("ada", "INC-1")
    world.advance(hours=5)
    world.fire("Stuck", service="payments", team="batch")
    world.expect_nothing()
    world.advance(hours=5, minutes=2)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")


def test_some_things_are_for_office_hours_alone(world: MemoryWorld) -> None:
    world.fire("Late", service="payments", team="reports")
    world.advance(hours=5, minutes=59)
    world.expect_incidents(0)
    world.advance(minutes=1)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
