"""The bench's tables, and the place of its numbers in the documentation."""

from dataclasses import replace

import pytest

from tests.bench.figures import Figure, Result, Use
from tests.bench.report import (
    Round,
    Run,
    cpu_table,
    figures_table,
    filled,
    markdown,
    memory_table,
    number,
    tables,
)

ROUTE = Figure("limits", "route", 2000.0, "/s")
TAKEN = Figure("single", "taken", 500.0, "/s", "route", 0.25)
SINGLE = Result("single", (TAKEN,), 2000, {"worker": Use(3.0, 50_000_000), "gateway": Use(1.0, 90_000_000)})


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (None, "ms", "-"),
        (0.0, "", "0"),
        (12345.6, "/s", "12,346/s"),
        (99.94, "ms", "99.9 ms"),
        (1.234, "s", "1.23 s"),
        (7.0, "ms", "7 ms"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float | None, unit: str, said: str) -> None:
    assert number(value, unit) == said


def run_of(*rounds: Round, given_up: tuple[str, ...] = ()) -> Run:
    """A run of these rounds."""
    return Run("2026-11-21T10:00:00+00:00", "a machine", "abc1234", 120.0, (ROUTE,), rounds, given_up)


def test_a_row_says_what_it_stands_beside() -> None:
    table = figures_table(run_of(Round("new", 0, 77, (SINGLE,)))).without_empty()
    assert table.headings == ("measure", "what", "new", "beside", "ratio")
    assert table.rows == (("single", "taken", "500/s", "route 2,000/s", "0.25"),)


def test_rounds_stand_beside_each_other_and_the_slope_behind() -> None:
    later = replace(SINGLE, figures=(replace(TAKEN, value=400.0, ratio=0.2, slope=20.4),))
    table = figures_table(run_of(Round("new", 0, 77, (SINGLE,)), Round("full", 100, 900, (later,))))
    assert table.rows == (("single", "taken", "500/s", "400/s", "route 2,000/s", "0.25", "+20 %"),)


def test_what_only_one_round_has_is_empty_in_the_other() -> None:
    only = Result("pages", (Figure("pages", "mail, p50", None, "ms"),))
    table = figures_table(run_of(Round("new", 0, 77, (SINGLE,)), Round("full", 100, 900, (only,))))
    assert [row[2:4] for row in table.rows] == [("500/s", ""), ("", "-")]


def test_cpu_stands_in_the_order_in_which_an_alert_meets_the_processes() -> None:
    table = cpu_table(Round("new", 0, 77, (SINGLE, Result("reads", ()))))
    assert table.headings == ("measure", "gateway", "worker", "all")
    assert table.rows == (("single", "0.50", "1.50", "2"),)


def test_memory_is_the_most_that_was_held_in_a_round() -> None:
    smaller = Result("repeats", (), 10, {"worker": Use(0.0, 30_000_000)})
    other = Result("single", (), 10, {"peer": Use(0.0, 60_000_000)})
    table = memory_table((Round("new", 0, 77, (SINGLE, smaller)), Round("peer", 0, 0, (other,))))
    assert table.headings == ("", "gateway", "worker", "peer")
    assert table.rows == (("new", "90", "50", ""), ("peer", "", "", "60"))


def test_the_fragment_has_every_number_and_what_could_not_be_measured() -> None:
    text = markdown(run_of(Round("new", 0, 77, (SINGLE,)), given_up=("reads: late",)))
    assert "in 2 minutes, on a machine. There were 0 open alerts and 77 events before the new.\n" in text
    assert "| route | 2,000/s |" in text
    assert "| single | taken | 500/s | route 2,000/s | 0.25 |" in text
    assert "| single | 0.50 | 1.50 | 2 |" in text
    assert "- reads: late" in text


def test_nothing_measured_is_no_table() -> None:
    assert tables(replace(run_of(Round("new", 0, 0)), limits=())) == []


def test_only_what_is_between_the_marks_of_its_name_is_replaced() -> None:
    page = (
        "Head\n<!-- peer: begin -->\nx\n<!-- peer: end -->\n<!-- numbers: begin -->\nold\n<!-- numbers: end -->\nTail\n"
    )
    once = filled(page, "numbers", "new\n")
    assert once == page.replace("\nold\n", "\n\nnew\n\n")
    assert filled(once, "numbers", "new\n") == once


@pytest.mark.parametrize("page", ["", "<!-- numbers: begin -->", "<!-- numbers: end -->"])
def test_a_page_without_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="has no <!-- numbers"):
        filled(page, "numbers", "new")
