"""An alert that nobody speaks of any more ends by itself; a silence of our own making ends nothing."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from domain.book import Book, Due
from domain.expiry import EXPIRE
from schemas.config_files import parse_config
from streams.configuring import apply
from streams.store.base import Conflict, InboxRow, Save
from tests.memory_world import ORG, PERSON, MemoryWorld
from tests.world import CONFIG, START, World, alert, webhook


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


def expiring(world: MemoryWorld, after: str | None) -> None:
    """Apply another `expires_after` of the integration, or none."""
    said = f", expires_after: {after}" if after else ""
    world.configure(CONFIG.replace(", expires_after: 8h", said))
    world.settle()


@pytest.fixture
def silent() -> Iterator[MemoryWorld]:
    """A world without `expires_after`, in which an alert fires that nobody speaks of any more."""
    world = MemoryWorld(config=CONFIG.replace(", expires_after: 8h", ""))
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(minutes=30)
    yield world
    world.close()


def test_a_time_out_reaches_what_fires_already(silent: MemoryWorld) -> None:
    expiring(silent, "1h")
    silent.advance(minutes=29)
    silent.expect_incident("INC-1", status="acknowledged")
    silent.advance(minutes=2)
    silent.expect_incident("INC-1", status="resolved")


def test_a_shorter_time_out_reaches_what_fires_already(silent: MemoryWorld) -> None:
    expiring(silent, "8h")
    silent.advance(minutes=15)
    expiring(silent, "1h")
    silent.advance(minutes=14)
    silent.expect_incident("INC-1", status="acknowledged")
    silent.advance(minutes=2)
    silent.expect_incident("INC-1", status="resolved")


def test_what_was_silent_for_longer_than_a_new_time_out_ends_at_once(silent: MemoryWorld) -> None:
    silent.fire("ServiceDown", service="catalogue")
    silent.expect_page("edsger", "INC-2")
    silent.ack("INC-2")
    expiring(silent, "10m")
    silent.expect_incident("INC-1", status="resolved")
    silent.expect_incident("INC-2", status="acknowledged")
    silent.advance(minutes=11)
    silent.expect_incident("INC-2", status="resolved")


def test_a_longer_time_out_counts_when_the_shorter_one_has_come(silent: MemoryWorld) -> None:
    expiring(silent, "1h")
    expiring(silent, "2h")
    silent.advance(minutes=89)
    silent.expect_incident("INC-1", status="acknowledged")
    silent.advance(minutes=2)
    silent.expect_incident("INC-1", status="resolved")


def test_a_look_under_the_old_configuration_does_not_lose_the_new_deadline(silent: MemoryWorld) -> None:
    """The worker has claimed the deadline when the configuration changes: what it then saves is refused."""
    expiring(silent, "8h")
    (due,) = silent.store.claim_due(silent.now() + timedelta(hours=8), 60, 1, EXPIRE)
    late = Book(ORG, silent.store.config(), {})
    late.put_due(Due(EXPIRE, due.key, silent.now() + timedelta(hours=8), due.rev))
    silent.configure(CONFIG.replace("expires_after: 8h", "expires_after: 1h"))
    with pytest.raises(Conflict):
        silent.store.save(Save(late))
    silent.advance(minutes=31)
    silent.expect_incident("INC-1", status="resolved")


def test_a_dry_run_ends_nothing(silent: MemoryWorld) -> None:
    objects = parse_config(CONFIG.replace("expires_after: 8h", "expires_after: 10m"), "world.yaml")
    apply(silent.store, ORG, objects, PERSON, silent.now(), b"salt", dry_run=True)
    silent.advance(minutes=10)
    silent.expect_incident("INC-1", status="acknowledged")


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
