"""Whoever adds a failpoint has it struck by the matrix, or says here by which test instead.

Which story comes to which points is written down by `make test-faults`, in `reached.json`.
"""

import json

from tests.faults.catalogue import points
from tests.faults.matrix import applies, cases, firsts, later, later_cases
from tests.faults.stories import STORIES
from tests.faults.table import REACHED

ELSEWHERE: dict[str, str] = {
    f"{name}:{when}": "tests/contract/test_store_pings.py"
    for name in ("ping", "expect_ping", "forget_pings", "end_ping", "folded_until")
    for when in ("before", "after")
}
"""Failpoint -> the test that strikes it, because no story can."""


def struck() -> set[str]:
    """The points at which faults happen in some story."""
    reached = json.loads(REACHED.read_text(encoding="utf-8"))
    return {place.split()[1] for places in reached.values() for place in places}


def test_every_failpoint_is_struck() -> None:
    missing = set(points()) - struck() - set(ELSEWHERE)
    assert not missing, "give a story a way there (stories.py), or say which test strikes it"


def test_nothing_is_said_of_failpoints_that_are_not_there() -> None:
    assert struck() | set(ELSEWHERE) <= set(points())
    assert not struck() & set(ELSEWHERE)


def test_what_a_story_is_there_for_is_what_it_comes_to() -> None:
    effects = {point.partition(":")[0] for point in points()}
    assert {aim.split()[-1] for story in STORIES for aim in story.aims} <= effects


def test_a_place_belongs_to_the_story_that_is_there_for_it() -> None:
    places = {"worker save:begin": 2, "worker seek:before": 1}
    found = firsts({story.name: places for story in STORIES})
    assert found["paging"] == {"worker save:begin": 2}
    assert found["rivals"] == {"worker seek:before": 1}


def test_later_passages_are_struck_if_asked() -> None:
    assert [later(count) for count in (1, 2, 3, 9, 100)] == [[], [2], [2, 3], [5, 9], [50]]
    places = {"pager save:commit": 3, "worker save:commit": 1}
    assert {str(fault) for fault in later_cases(places)} == {
        f"pager save:commit {action} {nth}" for action in ("kill", "lose") for nth in (2, 3)
    }
    assert {fault.nth for fault in cases(places)} == {1}


def test_a_fault_is_for_whom_it_can_happen_to() -> None:
    assert not applies("operator", "swap:commit", "cancel")
    assert applies("worker", "save:commit", "pause")
    assert not applies("worker", "seek:before", "pause")
    assert not applies("pager", "save:commit", "pause")
