"""The parts of a role: none goes missing without the role."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from compose.roles import _together
from schemas.settings import load_settings
from streams import owned, sealer
from streams.clock import system_clock
from streams.store.base import Identity


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


class NoSeals:
    """A table of seals with nothing in it and nothing to seal."""

    def __getattr__(self, name: str) -> Callable[..., object]:
        answers = {"identity": Identity("store", 1), "last": None, "close": None}
        return lambda *_: answers.get(name, [])


class Seated:
    """The one who may seal."""

    def hold(self) -> bool:
        return True

    def release(self) -> None:
        return


async def test_copies_of_seals_that_a_library_cancels_are_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer, "STANDBY", 0.01)
    monkeypatch.setattr(sealer, "LONGEST_PAUSE", 0.05)
    begun, stopping = asyncio.Queue[None](), asyncio.Event()

    async def publish(*_: object) -> None:
        await begun.put(None)
        raise asyncio.CancelledError

    monkeypatch.setattr(sealer.Sealer, "_publish", publish)
    made = sealer.Sealer(load_settings(data_dir=tmp_path), NoSeals, Seated(), system_clock, 0.01)  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        working = asyncio.create_task(made.run(stopping))
        await begun.get()
        await begun.get()
        stopping.set()
        await working
