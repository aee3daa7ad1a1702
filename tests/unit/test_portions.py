"""What became of pages is saved some at a time: nobody who acknowledges waits for ten thousand of them."""

from hypothesis import given
from hypothesis import strategies as st

from domain.book import PageRow
from domain.delivering import Delivered
from streams.messages import Delivery
from streams.pager import SETTLED_TOGETHER, Outcomes, portions
from streams.store.base import ClaimedPage
from tests.contract.storing import AT


def outcomes(name: str, count: int) -> Outcomes:
    rows = [PageRow(f"{name}-{number}", "escalation-1", "incident-1", name, "email", AT) for number in range(count)]
    pages = tuple(ClaimedPage(row, "claim-1", "claim-1", AT, 1, False) for row in rows)
    return Outcomes(Delivery(f"delivery-{name}", name, "email", pages, None), Delivered(), AT)


def names(outcomes: list[Outcomes]) -> list[tuple[str, str]]:
    return [(outcome.delivery.key, page.page.id) for outcome in outcomes for page in outcome.delivery.pages]


@given(st.lists(st.integers(1, 3) | st.integers(1, 3 * SETTLED_TOGETHER), max_size=6))
def test_every_page_is_in_one_portion_in_order_and_none_is_too_large(counts: list[int]) -> None:
    given = [outcomes(f"person-{index}", count) for index, count in enumerate(counts)]
    found = list(portions(given))
    assert [name for portion in found for name in names(portion)] == names(given)
    assert all(0 < len(names(portion)) <= SETTLED_TOGETHER for portion in found)


def test_small_deliveries_are_saved_together() -> None:
    assert len(list(portions([outcomes(f"person-{number}", 2) for number in range(100)]))) == 1
