"""The bench's tables, and the place of its numbers in the documentation."""

import pytest

from tests.bench.figures import Figure, Result, Use
from tests.bench.report import Round, Run, cpu_table, filled, markdown, memory_table, number, rows

LIMITS = {"route": Figure("limits", "route", 2000.0, "/s")}
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


def test_a_row_says_what_it_stands_beside() -> None:
    assert rows([TAKEN], LIMITS) == [("single", "taken", "500/s", "route 2,000/s", "0.25", "")]


def test_a_row_says_how_much_worse_it_became() -> None:
    figure = Figure("pages", "mail, p50", 40.0, "ms", slope=12.4)
    assert rows([figure], {}) == [("pages", "mail, p50", "40 ms", "", "", "+12 %")]


def test_cpu_stands_in_the_order_in_which_an_alert_meets_the_processes() -> None:
    headings, body = cpu_table([SINGLE, Result("reads", ())])
    assert headings == ("measure", "gateway", "worker", "all")
    assert body == [("single", "0.50", "1.50", "2")]


def test_memory_is_the_most_that_was_held() -> None:
    later = Result("repeats", (), 10, {"worker": Use(0.0, 30_000_000)})
    assert memory_table([SINGLE, later]) == (("gateway", "worker"), [("90", "50")])


def test_the_fragment_has_every_number_and_what_could_not_be_measured() -> None:
    rounds = (Round("A new store", 0, 77, (SINGLE,)),)
    run = Run("2026-11-21T10:00:00+00:00", "a machine", "abc1234", 120.0, (LIMITS["route"],), rounds, ("reads: late",))
    text = markdown(run)
    assert "at revision abc1234, in 2 minutes, on a machine." in text
    assert "| route | 2,000/s |" in text
    assert "### A new store: 0 open alerts and 77 events before" in text
    assert "| single | taken | 500/s | route 2,000/s | 0.25 |" in text
    assert "| single | 0.50 | 1.50 | 2 |" in text
    assert "- reads: late" in text


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
