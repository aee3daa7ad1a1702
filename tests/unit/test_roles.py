"""The parts of a role: none goes missing without the role."""

import asyncio

import pytest

from compose.roles import _together
from streams import owned


async def works(stopping: asyncio.Event) -> None:
    await stopping.wait()


async def is_cancelled() -> None:
    raise asyncio.CancelledError


async def ends() -> None:
    return


async def fails() -> None:
    raise OSError("broken")


@pytest.mark.parametrize("part", [is_cancelled, ends])
async def test_a_part_that_ends_by_itself_ends_the_role(part: object) -> None:
    stopping = asyncio.Event()
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(_together(stopping, works(stopping), part()), 5)  # type: ignore[operator]
    assert raised.group_contains(RuntimeError, match="ended by itself")


async def test_an_error_of_a_part_is_the_roles() -> None:
    stopping = asyncio.Event()
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(_together(stopping, works(stopping), fails()), 5)
    assert raised.group_contains(OSError, match="broken")


async def test_all_parts_end_when_it_is_stopped() -> None:
    stopping = asyncio.Event()
    role = asyncio.create_task(_together(stopping, works(stopping), works(stopping)))
    await asyncio.sleep(0.01)
    stopping.set()
    await asyncio.wait_for(role, 5)


async def test_a_task_beside_a_role_that_a_library_cancels_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "PAUSE", 0.01)
    begun = asyncio.Queue[None]()

    async def work() -> None:
        await begun.put(None)
        raise asyncio.CancelledError

    async with asyncio.timeout(5), owned.owned({"work": work}):
        await begun.get()
        await begun.get()
