"""A role ends when it is told to, also while what it waits for does not come."""

import asyncio

import pytest

from compose import roles


async def test_a_role_that_waits_for_what_is_away_is_cancelled_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "STOP_WITHIN", 0.05)
    stopping = asyncio.Event()
    waits = asyncio.create_task(asyncio.Event().wait())
    asyncio.get_running_loop().call_later(0.05, stopping.set)
    async with asyncio.timeout(5):
        await roles._until_stopped(waits, stopping)
    assert waits.cancelled()


async def test_what_is_in_hand_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "STOP_WITHIN", 5.0)
    stopping, finished = asyncio.Event(), []

    async def work() -> None:
        await stopping.wait()
        await asyncio.sleep(0.05)
        finished.append(True)

    stopping.set()
    await roles._until_stopped(asyncio.create_task(work()), stopping)
    assert finished == [True]


async def test_an_error_of_the_role_is_its_own() -> None:
    async def work() -> None:
        raise ValueError("not foreseen")

    with pytest.raises(ValueError, match="not foreseen"):
        await roles._until_stopped(asyncio.create_task(work()), asyncio.Event())
