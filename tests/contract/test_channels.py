"""What every channel promises the pager, checked on the fake that stories use and on the real ones.

A new channel adds its `Situation` below and nothing else. Read `streams/channels/base.py` first.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.channels.base import Channel, Message, Notice, Outcome, PageLine, Rejected, Retry, Sent, Uncertain
from streams.channels.email import EmailChannel
from streams.channels.memory import MemoryChannel
from streams.channels.smtp import SmtpSettings
from tests.smtp_peer import Peer

NOW = datetime(2026, 3, 3, 3, 17, tzinfo=UTC)
ADDRESS = "ada@example.test"
LINE = PageLine(
    incident_id="0c6f1f6f-0000-5000-8000-000000000007",
    number=7,
    title="ServiceDown",
    severity="critical",
    status="triggered",
    service="payments",
    team="platform",
    opened_at=datetime(2026, 3, 3, 3, 12, tzinfo=UTC),
    loop=1,
    step=1,
    why="step 1 of policy platform-default",
)


def message(key: str = "delivery-1", **changes: Any) -> Message:
    return replace(Message(key=key, to=ADDRESS, person_id="ada", lines=(replace(LINE, first=False),)), **changes)


@dataclass
class Situation:
    """A channel, its provider's mood, and the delivery keys that reached the person."""

    channel: Channel
    provider: Callable[[str], None]
    arrived: Callable[[], list[str]]


async def memory(stack: AsyncExitStack) -> Situation:
    channel = MemoryChannel()
    moods: dict[str, Outcome] = {
        "later": Retry("recipient: 451"),
        "never": Rejected("recipient: 550 5.1.1"),
        "misconfigured": Rejected("sender: 530", broken=True),
        "silent": Uncertain("content: no answer in time"),
    }

    def provider(mood: str) -> None:
        if mood != "well":
            channel.script(moods[mood], arrives=mood == "silent")

    def arrived() -> list[str]:
        return [page.key for page in channel.delivered] + [notice.key for notice in channel.notices]

    return Situation(channel, provider, arrived)


async def email(stack: AsyncExitStack) -> Situation:
    peer = await stack.enter_async_context(Peer().serving())
    channel = EmailChannel(SmtpSettings("127.0.0.1", peer.port, "tocsin@example.test", "example.test", "plain"), _now)
    stack.push_async_callback(channel.close)
    moods = {
        "later": {"RCPT": f"451 4.7.1 greylisted {ADDRESS}"},
        "never": {"RCPT": f"550 5.1.1 <{ADDRESS}> no such user"},
        "misconfigured": {"MAIL": f"530 5.7.0 authenticate first, {ADDRESS}"},
    }

    def provider(mood: str) -> None:
        peer.replies = moods.get(mood, {})
        peer.hang_up_after_data = mood == "silent"

    return Situation(channel, provider, lambda: [str(mail["X-Delivery-Key"]) for mail in peer.mails])


def _now() -> datetime:
    return NOW


@pytest.fixture(params=[memory, email], ids=lambda make: make.__name__)
async def situation(request: pytest.FixtureRequest) -> AsyncIterator[Situation]:
    async with AsyncExitStack() as stack:
        yield await request.param(stack)


async def test_a_message_arrives_and_has_a_name_there(situation: Situation) -> None:
    outcome = await situation.channel.send(message())

    assert isinstance(outcome, Sent)
    assert outcome.provider_id
    assert situation.arrived() == ["delivery-1"]


async def test_a_notice_arrives_under_one_name(situation: Situation) -> None:
    wild = "a\r\nBcc: eve@example.test\r\n\r\n\x00<script>\u202e\ud800" + "x" * 1_000_000
    said = Notice("began-worker", ADDRESS, "ada", wild, wild)

    first, again = [await situation.channel.send(said) for _ in range(2)]
    assert isinstance(first, Sent)
    assert first == again
    assert situation.arrived() == ["began-worker", "began-worker"]


async def test_every_attempt_of_a_delivery_has_the_same_name_and_another_delivery_has_another(
    situation: Situation,
) -> None:
    first = await situation.channel.send(message())
    again = await situation.channel.send(message(attempt=2, possible_repeat=True))
    other = await situation.channel.send(message("delivery-2"))

    assert first == again != other


async def test_what_may_work_later_is_a_retry(situation: Situation) -> None:
    situation.provider("later")

    assert isinstance(await situation.channel.send(message()), Retry)
    assert situation.arrived() == []


async def test_an_address_that_does_not_exist_is_rejected_without_blaming_the_channel(situation: Situation) -> None:
    situation.provider("never")
    outcome = await situation.channel.send(message())

    assert isinstance(outcome, Rejected)
    assert not outcome.broken


async def test_a_misconfigured_channel_says_that_it_is_broken(situation: Situation) -> None:
    situation.provider("misconfigured")
    outcome = await situation.channel.send(message())

    assert isinstance(outcome, Rejected)
    assert outcome.broken


async def test_a_message_that_left_without_an_answer_is_uncertain(situation: Situation) -> None:
    situation.provider("silent")

    assert isinstance(await situation.channel.send(message()), Uncertain)
    assert situation.arrived() == ["delivery-1"]


@pytest.mark.parametrize("mood", ["later", "never", "misconfigured", "silent"])
async def test_a_reason_never_holds_an_address(situation: Situation, mood: str) -> None:
    situation.provider(mood)
    outcome = await situation.channel.send(message())

    assert not isinstance(outcome, Sent)
    assert outcome.reason
    assert "@" not in outcome.reason


@pytest.mark.parametrize("mood", ["later", "never", "misconfigured", "silent"])
async def test_trouble_with_one_message_does_not_spoil_the_next(situation: Situation, mood: str) -> None:
    situation.provider(mood)
    await situation.channel.send(message("delivery-1"))
    situation.provider("well")

    assert isinstance(await situation.channel.send(message("delivery-2")), Sent)
    assert situation.arrived()[-1] == "delivery-2"


async def test_a_burst_arrives_once_each(situation: Situation) -> None:
    keys = [f"delivery-{number}" for number in range(30)]
    outcomes = await asyncio.gather(*(situation.channel.send(message(key)) for key in keys))

    assert {type(outcome) for outcome in outcomes} == {Sent}
    assert Counter(situation.arrived()) == Counter(keys)


async def test_whatever_a_monitoring_system_wrote_is_delivered(situation: Situation) -> None:
    wild = "a\r\nBcc: eve@example.test\r\n\r\n\x00<script>\u202e\ud800" + "x" * 1_000_000
    line = replace(
        LINE, title=wild, service=wild, why=wild, summary=wild, labels=((wild, wild),), links=((wild, wild),)
    )

    assert isinstance(await situation.channel.send(message(lines=(line,))), Sent)
    assert len(situation.arrived()) == 1


async def test_an_abandoned_send_leaves_the_channel_usable(situation: Situation) -> None:
    abandoned = asyncio.create_task(situation.channel.send(message()))
    await asyncio.sleep(0)
    abandoned.cancel()
    await asyncio.gather(abandoned, return_exceptions=True)

    assert isinstance(await situation.channel.send(message("delivery-2")), Sent)


async def test_closing_twice_is_fine(situation: Situation) -> None:
    await situation.channel.send(message())
    await situation.channel.close()
    await situation.channel.close()
