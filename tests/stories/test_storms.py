"""Storms: everything breaks at once, and people are told so in a few messages that say where it is worst."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from domain import pages
from streams.channels.base import Message, Retry
from streams.channels.render import Rendered, render
from tests.memory_world import MemoryWorld
from tests.world import alert, webhook

MANY = 10_000
AT_MOST = 21
"""Messages about a storm of a minute: twenty in any minute, and one about what came last."""


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld()
    yield made
    made.close()


def break_at_once(world: MemoryWorld, numbers: Sequence[int], severity: str = "warning", **labels: str) -> None:
    """So many alerts, each of which opens an incident, in one webhook; no pager works yet."""
    named = {"service": "payments", "severity": severity, **labels}
    world.receive(webhook([alert(f"Host{number}", named, world.now()) for number in numbers]), world.now())


def heard(world: MemoryWorld, user: str) -> list[Message]:
    """What `user` has been told and no test has looked at yet."""
    found = [(index, message) for index, message in enumerate(world.channel.delivered) if index not in world._taken]
    mine = [(index, message) for index, message in found if message.person_id == user]
    world._taken.update(index for index, _ in mine)
    return [message for _, message in mine]


def pass_slowly(world: MemoryWorld) -> None:
    """Two seconds pass, with a look every tenth of one: what is due at different times is seen at different times."""
    for _ in range(20):
        world.settle()
        world._now += timedelta(seconds=0.1)


def mail(world: MemoryWorld, message: Message) -> Rendered:
    return render(message, "example.test", world.now())


def numbers(messages: Sequence[Message]) -> list[int]:
    return sorted(line.number for message in messages for line in message.lines)


def outcomes(world: MemoryWorld) -> list[str]:
    """What became of pages."""
    made = (pages.Queued, pages.Sent, pages.Failed, pages.Unknown, pages.Cancelled)
    events = [e.event for e in world.store.tail(0, 1_000_000) if isinstance(e.event, made)]
    return [event.type.split(".")[1] for event in events]


def test_what_breaks_at_once_is_one_message_and_so_is_each_step_of_its_escalation(world: MemoryWorld) -> None:
    break_at_once(world, range(297))
    break_at_once(world, range(300, 303), "critical")
    world.settle()
    [said] = heard(world, "ada")
    assert numbers([said]) == list(range(1, 301))
    assert mail(world, said).subject.startswith("300 incidents in payments, 3 critical: Host300 (payments), Host301")
    assert mail(world, said).text.startswith("payments: 3 critical, 297 medium\n\nCRITICAL · INC-298 · triggered")
    assert [line.labels != () for line in said.lines] == [True] * 50 + [False] * 250
    world.ack("INC-7")
    world.advance(minutes=5)
    [escalated] = heard(world, "grace")
    assert numbers([escalated]) == [number for number in range(1, 301) if number != 7]
    assert outcomes(world).count("sent") == 300 + 299


def test_an_acknowledgement_takes_an_incident_out_of_the_message_that_waits(world: MemoryWorld) -> None:
    for number in range(10):
        break_at_once(world, [number])
        world.settle()
    break_at_once(world, range(10, 310))
    world.settle()
    assert len(heard(world, "ada")) == 10
    world.ack("INC-200")
    world.advance(seconds=10)
    [said] = heard(world, "ada")
    assert numbers([said]) == [number for number in range(11, 311) if number != 200]


def test_what_is_critical_and_comes_late_in_a_storm_waits_for_seconds(world: MemoryWorld) -> None:
    for second in range(20):
        break_at_once(world, range(second * 10, second * 10 + 10))
        world.settle()
        world._now += timedelta(seconds=1)
    heard(world, "ada")
    break_at_once(world, [1000], "critical")
    world.advance(seconds=6)
    [said] = heard(world, "ada")
    assert said.lines[0].severity == "critical"
    world.advance(minutes=1)
    heard(world, "ada")


def test_a_message_of_many_that_was_not_taken_is_tried_again_as_one(world: MemoryWorld) -> None:
    world.channel.script(Retry("connect: refused"))
    break_at_once(world, range(300))
    world.settle()
    assert heard(world, "ada") == []
    pass_slowly(world)
    [said] = heard(world, "ada")
    assert len(said.lines) == 300
    assert [message.key for message in world.channel.messages] == [said.key] * 2


def test_a_message_of_many_whose_sender_died_is_said_again_as_one(world: MemoryWorld) -> None:
    break_at_once(world, range(300))
    world.pager.step()
    [lost] = world.pager.claim(10)
    world._now += timedelta(seconds=61)
    pass_slowly(world)
    [said] = heard(world, "ada")
    assert (said.key, said.possible_repeat, len(said.lines)) == (lost.key, True, 300)
    assert outcomes(world).count("unknown") == outcomes(world).count("sent") == 300


def test_ten_thousand_incidents_in_a_minute_are_told_in_a_few_messages(world: MemoryWorld) -> None:
    each = MANY // 50
    for part in range(50):
        severity = "critical" if part == 30 else "warning"
        break_at_once(world, range(part * each, (part + 1) * each), severity)
        world.settle()
        world._now += timedelta(seconds=1.2)
    world.ack("INC-9990")
    world.advance(seconds=10)
    told = heard(world, "ada")
    assert len(told) <= AT_MOST
    assert set(numbers(told)) | {9990} == set(range(1, MANY + 1))
    assert len(numbers(told)) in (MANY - 1, MANY)
    assert all(len(mail(world, message).html) < 100_000 for message in told)
    world.advance(minutes=5)
    escalated = heard(world, "grace")
    assert len(escalated) <= AT_MOST
    assert numbers(escalated) == [number for number in range(1, MANY + 1) if number != 9990]
