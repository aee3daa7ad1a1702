"""A step of pruning that fails leaves out none of those after it."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from streams.pruning import Pruner
from streams.store.base import Conflict, Unavailable
from streams.store.leadership import Leadership
from streams.store.pruning import RULES, Pruning

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Tables:
    """What is pruned, with one table that fails."""

    def __init__(self, bad: str, error: Exception) -> None:
        self.bad, self.error = bad, error
        self.pruned: list[str] = []

    def prune(self, table: str, now: datetime, limit: int) -> int:
        self.pruned.append(table)
        self._fail(table)
        return 0

    def expire(self, limit: int) -> int:
        self.pruned.append("payloads")
        self._fail("payloads")
        return 0

    def forget(self) -> int:
        self.pruned.append("silences")
        return 0

    def _fail(self, table: str) -> None:
        if table == self.bad:
            raise self.error


class Seated:
    def hold(self) -> bool:
        return True


def failures(table: str) -> float:
    return REGISTRY.get_sample_value("tocsin_pruning_failures_total", {"table": table}) or 0.0


@pytest.mark.parametrize("bad", ["payloads", next(iter(RULES))])
@pytest.mark.parametrize(
    ("error", "said", "counted"),
    [
        (Unavailable("expire_payloads: no answer"), "the rest is pruned later", 0),
        (Conflict("moved"), "the rest is pruned later", 0),
        (ValueError("a bug"), "a table cannot be pruned", 1),
    ],
)
def test_a_step_that_fails_leaves_out_none_of_those_after_it(
    bad: str, error: Exception, said: str, counted: int
) -> None:
    tables, before = Tables(bad, error), failures(bad)
    seat: Any = Seated()
    pruner = Pruner(cast("Pruning", tables), cast("Leadership", seat), lambda: NOW, tables.expire, tables.forget)
    with capture_logs() as log:
        asyncio.run(pruner._round(asyncio.Event()))
    assert tables.pruned == [*RULES, "payloads", "silences"]
    assert [(entry["event"], entry["table"]) for entry in log] == [(said, bad)]
    assert failures(bad) - before == counted


def test_whoever_stops_a_round_stops_it() -> None:
    class Cancelled(Seated):
        def hold(self) -> bool:
            raise asyncio.CancelledError

    tables, seat = Tables("", ValueError()), Cancelled()
    pruner = Pruner(cast("Pruning", tables), cast("Leadership", seat), lambda: NOW)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(pruner._round(asyncio.Event()))
