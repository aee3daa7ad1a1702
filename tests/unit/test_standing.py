"""When a role stands still, and when it is only busy."""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import standing
from gateway.standing import Standing, readings
from projections.lag import Marks, Overdue
from schemas.settings import Settings
from schemas.status import RoleStatus
from streams.store.base import Unavailable
from tests.world import START

QUIET = Marks(10, {"projector": 10, "relay": 10}, {0: 7, 1: 3})


class Scene:
    """A gateway that sees what the test says, on a loop whose time the test moves."""

    def __init__(self) -> None:
        self.marks: Marks | None = QUIET
        self.ends: dict[int, int] = {0: 7, 1: 3}
        self.acknowledged: dict[int, int] = {}
        self.now = 1000.0
        parts: Any = SimpleNamespace(
            settings=Settings(), lags=self, clock=lambda: START, ends=SimpleNamespace(known=self.ends), intake=self
        )
        self.standing = Standing(parts)

    def look(self, _: object) -> Marks:
        if self.marks is None:
            raise Unavailable("Postgres does not answer")
        return self.marks

    def after(self, seconds: float) -> dict[str, RoleStatus]:
        """What is seen when so much time has passed, by a look each second."""
        for _ in range(int(seconds)):
            self.now += 1.0
            asyncio.run(self.standing.look())
        return {role.role: role for role in self.standing.roles()}


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    made = Scene()
    monkeypatch.setattr(standing, "_now", lambda: made.now)
    made.after(1)
    yield made


def test_nobody_stands_still_while_nothing_waits(scene: Scene) -> None:
    assert all(role.ok and not role.lag_seconds for role in scene.after(600).values())


def test_work_that_comes_after_a_long_quiet_has_not_waited_for_as_long(scene: Scene) -> None:
    scene.after(600)
    scene.ends[0] = 9
    found = scene.after(2)["worker"]
    assert (found.standing_seconds, found.lag_seconds) == (2.0, 1.0)
    assert found.since == START - timedelta(seconds=2)


def test_a_partition_that_does_not_move_while_others_do_is_the_worker_standing_still(scene: Scene) -> None:
    scene.ends[0], scene.ends[1] = 8, 100
    for folded in range(4, 44):
        scene.marks = Marks(10, {"projector": 10, "relay": 10}, {0: 7, 1: folded})
        found = scene.after(1)["worker"]
    assert (found.ok, found.standing_seconds, found.lag_seconds, found.waiting) == (False, 40.0, 39.0, 58)
    assert found.since == START - timedelta(seconds=40)
    assert "nothing has moved for 40 s" in found.detail
    assert found.remedy


def test_what_was_acknowledged_to_us_counts_when_kafka_cannot_be_asked(scene: Scene) -> None:
    scene.acknowledged[1] = 5
    assert scene.after(20)["worker"].waiting == 2
    assert not scene.after(1)["worker"].ok


def test_a_role_that_moves_lags_and_does_not_stand_still(scene: Scene) -> None:
    scene.ends[1] = 1_000
    for folded in range(4, 34):
        scene.marks = Marks(10, {"projector": 10, "relay": 10}, {0: 7, 1: folded})
        found = scene.after(1)["worker"]
    assert (found.ok, found.standing_seconds, found.lag_seconds) == (True, 0.0, 29.0)


def test_the_pager_stands_still_when_the_oldest_page_stays_the_oldest(scene: Scene) -> None:
    for second in range(20):
        pages = Overdue(second + 1, START)
        scene.marks = Marks(10, {"projector": 10, "relay": 10}, {}, pages=pages)
        found = scene.after(1)["pager"]
    assert (found.ok, found.detail[:18]) == (False, "20 pages are overd")


def test_the_sealer_may_rest_between_two_seals(scene: Scene) -> None:
    scene.marks = Marks(12, {"projector": 12, "relay": 12, "sealer": 10}, {0: 7, 1: 3})
    assert scene.after(15)["sealer"].standing_seconds == 0.0
    assert not scene.after(16)["sealer"].ok


def test_a_busy_pager_does_not_stand_still(scene: Scene) -> None:
    for second in range(20):
        pages = Overdue(5, START - timedelta(seconds=300 - second))
        scene.marks = Marks(10, {"projector": 10, "relay": 10}, {}, pages=pages)
        assert scene.after(1)["pager"].ok


def test_a_role_with_nothing_to_do_that_gives_no_sign_of_life_stands_still(scene: Scene) -> None:
    alive = replace(QUIET, silent={"worker": 0.9, "pager": 2.9, "projector": 0.1})
    scene.marks = alive
    assert all(role.ok and not role.standing_seconds for role in scene.after(60).values())
    scene.marks = replace(alive, silent={"worker": 0.9, "pager": 3.1, "projector": math.inf})
    seen = scene.after(20)
    assert {name for name, role in seen.items() if not role.ok} == {"pager", "projector"}
    assert seen["pager"].detail == "1 sign of life is missing, nothing has moved for 20 s"
    assert (seen["pager"].waiting, seen["pager"].since) == (0, START - timedelta(seconds=20))
    scene.marks = alive
    assert all(role.ok for role in scene.after(1).values())


def test_a_moved_clock_makes_nobody_stand_still(scene: Scene) -> None:
    scene.marks = Marks(10, {"projector": 10, "relay": 10}, {}, due=Overdue(3, START - timedelta(hours=2)))
    assert scene.after(1)["pager"].ok
    scene.marks = QUIET
    assert scene.after(1)["pager"].lag_seconds == 0.0


def test_the_database_that_does_not_answer_is_the_one_that_stands_still(scene: Scene) -> None:
    scene.ends[0] = 9
    scene.after(5)
    scene.marks = None
    found = scene.after(40)
    assert [name for name, role in found.items() if not role.ok] == ["postgres"]
    scene.marks = QUIET
    assert all(role.ok for role in scene.after(1).values())


def test_time_without_sight_counts_against_nobody(scene: Scene) -> None:
    scene.ends[0] = 9
    scene.marks = None
    scene.after(40)
    scene.marks = QUIET
    assert scene.after(10)["worker"].ok
    assert not scene.after(10)["worker"].ok


def test_time_in_which_we_ourselves_were_stopped_counts_against_nobody(scene: Scene) -> None:
    scene.ends[0] = 9
    scene.after(2)
    scene.now += 600.0
    assert {role.role: role for role in scene.standing.roles()}["worker"].standing_seconds == 2.0
    assert scene.after(1)["worker"].standing_seconds == 0.0
    assert not scene.after(20)["worker"].ok


def test_a_topic_that_is_shorter_than_the_position_leaves_nothing_waiting() -> None:
    found = list(readings(Marks(10, {"projector": 12}, {0: 7}), {0: 3}, START))
    assert [one.waiting for one in found] == [0, 0, 0, 0, 0]
