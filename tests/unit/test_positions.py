"""Where the fold stands: what an assignment means beside what the topic holds."""

import pytest

from streams.positions import Lost, Positions, Standing, TopicReplaced


def positions() -> Positions:
    return Positions("default", "alerts")


def test_a_partition_never_folded_starts_at_its_beginning() -> None:
    at = positions()
    assert at.assign({3: Standing(0, 10)}, {}) == ()
    assert at.folded == {3: -1}
    assert at.catching_up == {"default/alerts/3"}


def test_a_partition_that_is_caught_up_with_is_not_catching_up() -> None:
    at = positions()
    assert at.assign({3: Standing(0, 10), 4: Standing(0, 0)}, {3: 9}) == ()
    assert at.catching_up == frozenset()
    assert at.behind({3: 10, 4: 0}) == []
    assert at.behind({3: 11, 4: 1}) == [3, 4]


def test_catching_up_ends_at_the_end_that_was_there_at_assignment() -> None:
    at = positions()
    at.assign({3: Standing(0, 10)}, {3: 4})
    at.moved(3, 8)
    assert (at.catching_up, at.caught_up()) == ({"default/alerts/3"}, [])
    at.moved(3, 12)
    assert (at.catching_up, at.caught_up()) == (frozenset(), ["default/alerts/3"])
    at.moved(3, 13)
    assert at.caught_up() == []


def test_what_partitions_held_back_is_told_once_all_of_them_have_caught_up() -> None:
    at = positions()
    at.assign({3: Standing(0, 10), 4: Standing(0, 10), 5: Standing(0, 0)}, {3: 4, 4: 8})
    at.moved(4, 9)
    at.moved(5, 0)
    at.moved(6, 0)
    assert 6 not in at.folded
    assert (at.catching_up, at.caught_up()) == ({"default/alerts/3"}, [])
    at.moved(3, 9)
    assert at.caught_up() == ["default/alerts/3", "default/alerts/4"]
    at.assign({3: Standing(0, 20), 4: Standing(0, 10)}, {3: 9, 4: 9})
    at.moved(3, 19)
    assert at.caught_up() == ["default/alerts/3"]


def test_records_deleted_before_they_were_folded_are_lost_and_named() -> None:
    at = positions()
    assert at.assign({3: Standing(20, 30), 4: Standing(5, 5)}, {3: 9}) == (Lost(3, 10, 19), Lost(4, 0, 4))


def test_retention_behind_the_position_loses_nothing() -> None:
    assert positions().assign({3: Standing(10, 30)}, {3: 9}) == ()


def test_a_topic_that_ends_before_the_position_was_replaced() -> None:
    with pytest.raises(TopicReplaced, match=r"alerts/3 ends at offset 2, but 9 is folded"):
        positions().assign({3: Standing(0, 2)}, {3: 9})


def test_only_what_is_assigned_counts() -> None:
    at = positions()
    at.assign({3: Standing(0, 1)}, {3: 0, 5: 7})
    at.assign({4: Standing(0, 1)}, {3: 0, 5: 7})
    assert at.folded == {4: -1}
