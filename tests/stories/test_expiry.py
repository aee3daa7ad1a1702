"""An alert that nobody speaks of any more ends by itself; a silence of our own making ends nothing."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from streams.store.base import InboxRow
from tests.memory_world import MemoryWorld
from tests.world import START, World, alert, webhook


def test_an_alert_that_nobody_speaks_of_any_more_ends_by_itself(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(hours=4)
    world.fire("ServiceDown", service="payments")
    world.advance(hours=7)
    world.expect_incident("INC-1", status="acknowledged")
    world.advance(hours=2)
    world.expect_incident("INC-1", status="resolved")
    world.fire("ServiceDown", service="payments")
    world.expect_incident("INC-2", status="triggered")
    world.expect_page("ada", "INC-2")


def test_an_alert_ends_when_its_source_said_that_it_would(world: World) -> None:
    member = alert("ServiceDown", {"service": "payments"}, world.now())

    def said(minutes: int) -> None:
        ends_at = (world.now() + timedelta(minutes=minutes)).isoformat()
        world.post(webhook([{**member, "endsAt": ends_at}]))

    said(4)
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(minutes=3)
    said(4)
    world.advance(minutes=3)
    world.expect_incident("INC-1", status="acknowledged")
    world.advance(minutes=2)
    world.expect_incident("INC-1", status="resolved")
    said(4)
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")


def test_a_firing_alert_that_would_have_ended_already_is_not_taken_at_that_word() -> None:
    world = MemoryWorld()
    ended = (world.now() - timedelta(minutes=1)).isoformat()
    world.post(webhook([{**alert("ServiceDown", {"service": "payments"}, world.now()), "endsAt": ended}]))
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(hours=1)
    world.expect_incident("INC-1", status="acknowledged")


@pytest.fixture
def deaf() -> Iterator[MemoryWorld]:
    """A world in which an alert was heard of nine hours ago, and nobody looked since."""
    made = MemoryWorld()
    made.fire("ServiceDown", service="payments")
    made.ack("INC-1")
    made._now += timedelta(hours=9)
    made.ends.known, made.ends.as_of = {0: made.offset}, made.now()
    yield made
    made._taken.add(0)
    made.close()


def test_it_ends_once_all_that_was_said_meanwhile_is_folded(deaf: MemoryWorld) -> None:
    assert deaf.expiry.step() == 1
    deaf.expect_incident("INC-1", status="resolved")


def test_while_alerts_wait_in_kafka_nothing_ends(deaf: MemoryWorld) -> None:
    deaf.ends.known = {0: deaf.offset + 1}
    assert deaf.expiry.step() == 0
    deaf.expect_incident("INC-1", status="acknowledged")


def test_while_alerts_wait_in_the_inbox_nothing_ends(deaf: MemoryWorld) -> None:
    deaf.store.put_inbox([InboxRow("r-9", 0, b"alertmanager:0", b"{}", deaf.now() - timedelta(seconds=1))])
    assert deaf.expiry.step() == 0
    deaf.expect_incident("INC-1", status="acknowledged")


def test_as_long_as_kafka_was_not_asked_nothing_ends(deaf: MemoryWorld) -> None:
    deaf.ends.as_of = None
    assert deaf.expiry.step() == 0
    deaf.ends.as_of = START + timedelta(hours=7)
    assert deaf.expiry.step() == 0
    deaf.expect_incident("INC-1", status="acknowledged")


def test_a_deadline_is_looked_at_again_only_when_it_comes(deaf: MemoryWorld) -> None:
    """A repeat moves what is remembered of the alert, not the deadline; the group is then looked at once more."""
    deaf._now = START + timedelta(hours=4)
    deaf.fire("ServiceDown", service="payments")
    deaf._now = START + timedelta(hours=9)
    deaf.ends.known, deaf.ends.as_of = {0: deaf.offset}, deaf.now()
    assert deaf.expiry.step() == 1
    deaf.expect_incident("INC-1", status="acknowledged")
    deaf._now = deaf.ends.as_of = START + timedelta(hours=12, seconds=1)
    assert deaf.expiry.step() == 1
    deaf.expect_incident("INC-1", status="resolved")


def test_more_alerts_than_one_save_takes_end_one_after_the_other(deaf: MemoryWorld) -> None:
    for number in range(130):
        deaf.fire("Many", service="catalogue", instance=str(number))
    deaf.ack("INC-2")
    deaf._now += timedelta(hours=9)
    while deaf.expire():
        pass
    deaf.expect_incident("INC-2", status="resolved")
    assert deaf.next_message("edsger")
