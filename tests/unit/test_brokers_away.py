"""Brokers that go away in mid-flight, and partitions that go to somebody else: nothing is left behind."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from aiokafka.errors import KafkaConnectionError

from schemas.settings import Settings
from streams import brokers, relay, sealer
from streams.positions import Positions, Standing
from streams.relay import Relay
from streams.sealer import Sealer
from streams.store.base import Identity
from streams.worker import Worker

IDENTITY = Identity(str(UUID(int=0)), 1)
SETTINGS = Settings(kafka_bootstrap="127.0.0.1:1")


class Away:
    """A producer whose broker has gone: it cannot be used, and `stop` waits for ever."""

    made: "list[Away]"

    def __init__(self, **_: object) -> None:
        self.closed = False
        self.client = SimpleNamespace(close=self._close)
        self._sender = SimpleNamespace(sender_task=None)
        self.made.append(self)

    async def start(self) -> None:
        self._sender.sender_task = asyncio.create_task(asyncio.sleep(3600))
        raise KafkaConnectionError("gone")

    async def stop(self) -> None:
        await asyncio.sleep(3600)

    async def _close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("role", ["relay", "sealer"])
async def test_a_producer_whose_broker_is_gone_is_dropped_with_its_task_and_its_client(
    monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    monkeypatch.setattr(Away, "made", [], raising=False)
    monkeypatch.setattr(brokers, "CLOSE_TIMEOUT", 0.05)
    for module in (relay, sealer):
        monkeypatch.setattr(module, "AIOKafkaProducer", Away)
        monkeypatch.setattr(module, "TIMEOUT_MS", 200)
    nothing: Any = SimpleNamespace(identity=lambda: IDENTITY)
    with pytest.raises(KafkaConnectionError):
        if role == "relay":
            await Relay(SETTINGS, nothing, nothing)._relay(asyncio.Event())
        else:
            of = SimpleNamespace(settings=SETTINGS)
            await Sealer._publish(cast("Sealer", of), nothing, asyncio.Event(), asyncio.Event())
    await asyncio.sleep(0)
    [producer] = Away.made
    assert producer.closed
    assert producer._sender.sender_task.cancelled()


async def test_positions_that_moved_in_a_partition_that_was_taken_away_are_nobodys_here() -> None:
    positions = Positions("default", "alerts")
    positions.assign({0: Standing(0, 9), 1: Standing(0, 9)}, {})
    sought: list[int] = []

    async def tracking() -> Mapping[int, int]:
        positions.assign({1: Standing(0, 9)}, {1: 3})
        return {0: 5, 1: 7}

    async def seek_back(partition: int, found: int | None) -> None:
        sought.append(partition)

    worker = SimpleNamespace(_positions=positions, _tracking=tracking, _seek_back=seek_back)
    await Worker._lost(cast("Worker", worker), [0, 1])
    assert (positions.folded, sought) == ({1: 7}, [1])
