"""What the pager does when channels fail, pagers die and deadlines are met late."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from domain import escalations, pages
from domain.ids import stream_kind
from streams.channels.base import Rejected, Retry, Uncertain
from streams.store.memory import MemoryStore
from tests.memory_world import MemoryWorld


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld()
    yield made
    made.close()


def happened(world: MemoryWorld, kind: str) -> list[str]:
    events = world.store.tail(0, 1_000_000)
    return [event.type.removesuffix(".v1") for event in events if stream_kind(event.stream) == kind]


def test_a_mail_server_that_is_away_for_a_moment_delays_the_page(world: MemoryWorld) -> None:
    world.channel.script(Retry("connect: refused"), Retry("connect: refused"))
    world.fire("Disk", service="payments")
    world.expect_nothing()
    world.advance(seconds=30)
    world.expect_page("ada", "INC-1")
    assert happened(world, "page") == ["page.queued", "page.sent"]
    assert [message.key for message in world.channel.messages] == [world.channel.messages[0].key] * 3


def test_an_acknowledgement_stops_a_page_that_waits_for_another_attempt(world: MemoryWorld) -> None:
    world.channel.script(Retry("connect: refused"))
    world.fire("Disk", service="payments")
    world.ack("INC-1", by="grace")
    world.advance(minutes=10)
    world.expect_nothing()
    assert happened(world, "page") == ["page.queued", "page.cancelled"]


def test_an_acknowledgement_while_a_page_is_in_flight_names_it_and_a_failed_attempt_is_not_repeated(
    world: MemoryWorld,
) -> None:
    world.receive_only("Disk")
    world.pager.step()
    (delivery,) = world.pager.claim(10)
    world.command_only("ack", "INC-1", "grace")
    stopped = [e.event for e in world.store.tail(0, 1000) if e.type == "escalation.stopped.v1"]
    assert getattr(stopped[0], "in_flight", ()) == (delivery.pages[0].page.id,)
    world.channel.script(Retry("connect: refused"))
    world.deliver([delivery])
    world.advance(minutes=10)
    world.expect_nothing()
    assert happened(world, "page") == ["page.queued", "page.cancelled"]


def test_a_page_that_was_perhaps_sent_is_sent_again_under_the_same_key_and_says_so(world: MemoryWorld) -> None:
    world.channel.script(Uncertain("data: no answer"), arrives=True)
    world.fire("Disk", service="payments")
    world.advance(seconds=30)
    first, second = world.expect_page("ada", "INC-1"), world.expect_page("ada", "INC-1")
    assert "repeat" not in first.text.lower()
    assert "repeat" in second.text.lower()
    assert len({message.key for message in world.channel.messages}) == 1
    assert happened(world, "page") == ["page.queued", "page.unknown", "page.sent"]


def test_what_was_perhaps_sent_is_not_repeated_after_an_acknowledgement(world: MemoryWorld) -> None:
    world.channel.script(Uncertain("data: no answer"))
    world.receive_only("Disk")
    world.pager.step()
    claimed = world.pager.claim(10)
    world.command_only("ack", "INC-1", "grace")
    world.deliver(claimed)
    world.advance(minutes=10)
    world.expect_nothing()
    assert happened(world, "page") == ["page.queued", "page.unknown"]


def test_an_address_that_is_refused_fails_at_once_and_the_escalation_goes_on(world: MemoryWorld) -> None:
    world.channel.script(Rejected("rcpt: 550"))
    world.fire("Disk", service="payments")
    world.expect_nothing()
    world.advance(minutes=5)
    world.expect_page("grace", "INC-1")
    assert happened(world, "page") == ["page.queued", "page.failed", "page.queued", "page.sent"]


def test_a_channel_that_never_works_is_given_up_in_the_end(world: MemoryWorld) -> None:
    world.channel.script(*[Retry("connect: refused")] * 8)
    world.fire("Disk", service="catalogue")
    world.advance(minutes=10)
    assert happened(world, "page") == ["page.queued", "page.failed"]
    assert len(world.channel.messages) == pages_tried(world) == 8


def pages_tried(world: MemoryWorld) -> int:
    failed = [e.event for e in world.store.tail(0, 1000) if isinstance(e.event, pages.Failed)]
    return failed[0].attempt


def test_a_pager_that_died_with_a_page_in_hand_leaves_it_to_another(world: MemoryWorld) -> None:
    world.receive_only("Disk")
    world.pager.step()
    assert world.pager.claim(10)
    world.advance(seconds=70)
    page = world.expect_page("ada", "INC-1")
    assert "repeat" in page.text.lower()
    assert happened(world, "page") == ["page.queued", "page.unknown", "page.sent"]


def test_a_pager_that_comes_back_too_late_changes_nothing(world: MemoryWorld) -> None:
    world.receive_only("Disk")
    world.pager.step()
    late = world.pager.claim(10)
    world.advance(seconds=70)
    world.expect_page("ada", "INC-1")
    before = world.store.head()
    world.deliver(late)
    assert world.store.head() == before
    world.expect_page("ada", "INC-1")


def test_incidents_of_one_moment_reach_a_person_in_one_message(world: MemoryWorld) -> None:
    for name in ("Disk", "Net", "Cpu"):
        world.receive_only(name)
    world.settle()
    page = world.expect_page("ada", "INC-1", "INC-2", "INC-3")
    assert page.subject.startswith("3 incidents")


def test_after_an_outage_one_step_runs_and_later_ones_count_from_now(world: MemoryWorld) -> None:
    world.fire("Disk", service="payments")
    world.expect_page("ada", "INC-1")
    world.jump(hours=2)
    world.expect_page("grace", "INC-1")
    world.expect_nothing()
    world.advance(minutes=9)
    world.expect_nothing()
    world.advance(minutes=2)
    world.expect_page("ada", "INC-1")
    delayed = [e.event for e in world.store.tail(0, 1000) if isinstance(e.event, escalations.StepDelayed)]
    assert [(event.loop, event.step) for event in delayed] == [(1, 2)]


def test_editing_a_policy_changes_no_escalation_that_runs(world: MemoryWorld) -> None:
    world.fire("Disk", service="payments")
    world.expect_page("ada", "INC-1")
    edited = world.config.replace("role: secondary}], escalate_after: 10m", "role: primary}], escalate_after: 10m")
    assert edited != world.config
    world.configure(edited)
    world.advance(minutes=6)
    world.expect_page("grace", "INC-1")


def test_people_are_those_who_have_the_role_when_the_step_runs(world: MemoryWorld) -> None:
    world.fire("Disk", service="payments")
    world.expect_page("ada", "INC-1")
    world.configure(world.config.replace("{user: grace, role: secondary}", "{user: edsger, role: secondary}"))
    world.advance(minutes=6)
    world.expect_page("edsger", "INC-1")


def test_two_pagers_meet_one_deadline_once(world: MemoryWorld) -> None:
    world.receive_only("Disk")
    store = world.store
    assert isinstance(store, MemoryStore)
    due = store.claim_due(world.now(), -1, 10, "escalate")[0]
    world.pager.step()
    world.settle()
    world.expect_page("ada", "INC-1")
    world.meet(due)
    world.advance(seconds=1)
    world.expect_nothing()


def test_a_page_in_flight_when_an_exhausted_escalation_is_acknowledged_is_not_tried_again(world: MemoryWorld) -> None:
    world.receive_only("Disk", service="catalogue")
    world.pager.step()
    in_flight = world.pager.claim(10)
    world._now += timedelta(minutes=6)
    world.pager.step()
    assert "escalation.exhausted" in happened(world, "escalation")
    world.command_only("ack", "INC-1", "ada")
    world.channel.script(Retry("connect: refused"))
    world.deliver(in_flight)
    world.advance(minutes=10)
    world.expect_nothing()
    assert happened(world, "page") == ["page.queued", "page.cancelled"]
