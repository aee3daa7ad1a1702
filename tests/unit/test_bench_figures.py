"""The arithmetic of the bench."""

import pytest

from tests.bench.figures import Figure, Use, beside, per_thousand, percentile, ratio, slope, sloped, spread


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0.01, 0.2, 0.5, 0.99, 1.0)] == [1.0, 1.0, 3.0, 5.0, 5.0]


def test_of_a_hundred_the_99th_percentile_is_the_last_but_one() -> None:
    assert percentile([float(value) for value in range(1, 101)], 0.99) == 99.0


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 0.5) is None


@pytest.mark.parametrize("share", [0.0, 1.01, -1.0])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], share)


def test_latencies_are_told_in_milliseconds() -> None:
    assert spread("pages", "mail", [0.1, 0.3], ("p50", "max")) == [
        Figure("pages", "mail, p50", 100.0, "ms"),
        Figure("pages", "mail, max", 300.0, "ms"),
    ]


def test_latencies_of_nothing_are_unknown() -> None:
    assert spread("pages", "mail", [], ("p99",)) == [Figure("pages", "mail, p99", None, "ms")]


@pytest.mark.parametrize(
    ("value", "limit", "expected"), [(50.0, 200.0, 0.25), (None, 2.0, None), (1.0, None, None), (1.0, 0.0, None)]
)
def test_a_ratio_needs_both(value: float | None, limit: float | None, expected: float | None) -> None:
    assert ratio(value, limit) == expected


def test_a_figure_stands_beside_the_limit_that_it_names() -> None:
    limits = {"route": Figure("limits", "route", 400.0, "/s")}
    assert beside(Figure("single", "taken", 100.0, "/s", "route"), limits).ratio == 0.25
    assert beside(Figure("single", "taken", 100.0, "/s", "another"), limits).ratio is None
    assert beside(Figure("single", "failed", 0.0, ""), limits).ratio is None


def test_fewer_a_second_is_worse_and_so_are_more_milliseconds() -> None:
    assert slope(1000.0, 800.0, "/s") == 20.0
    assert slope(1000.0, 1100.0, "/s") == -10.0
    assert slope(50.0, 60.0, "ms") == 20.0


@pytest.mark.parametrize(("before", "after"), [(None, 1.0), (1.0, None), (0.0, 1.0)])
def test_a_slope_needs_two_points(before: float | None, after: float | None) -> None:
    assert slope(before, after, "ms") is None


def test_only_the_same_figure_gives_a_slope() -> None:
    before = [Figure("single", "taken", 100.0, "/s")]
    after = [Figure("single", "taken", 90.0, "/s"), Figure("repeats", "taken", 90.0, "/s")]
    assert [figure.slope for figure in sloped(after, before)] == [10.0, None]


def test_counts_have_no_slope() -> None:
    before, after = Figure("reads", "incidents there are", 10.0, ""), Figure("reads", "incidents there are", 100.0, "")
    assert sloped([after], [before])[0].slope is None


def test_the_most_of_a_load_has_no_slope() -> None:
    before, after = Figure("storm", "answer, max", 10.0, "ms"), Figure("storm", "answer, max", 20.0, "ms")
    assert sloped([after], [before])[0].slope is None


def test_cpu_is_told_for_each_thousand() -> None:
    assert per_thousand(Use(3.0, 0), 2000) == 1.5
    assert per_thousand(Use(3.0, 0), 0) is None
