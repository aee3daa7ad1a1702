"""What a store promises of pages, asked of the one in memory and of the real one."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from domain import pages
from domain.book import PendingPage
from streams.store.base import Conflict, Save, Settlement, Store, Taken
from streams.store.pace import Pace
from streams.store.postgres import PostgresStore
from tests.contract.storing import AT, CAUSE, ESCALATION, INCIDENT, OTHER, PAGE, book, claim, page, queue_page


def test_a_page_is_claimed_once_and_settled_by_its_claimant(store: Store) -> None:
    queue_page(store)
    assert store.pending_pages([ESCALATION]) == {ESCALATION: (PendingPage(PAGE, False),)}
    claimed = claim(store)
    assert [(page.page.id, page.attempt, page.possible_repeat) for page in claimed] == [(PAGE, 1, False)]
    assert claim(store) == []
    assert store.pending_pages([ESCALATION]) == {ESCALATION: (PendingPage(PAGE, True),)}
    store.save(Save(book(store), settlements=(Settlement(PAGE, claimed[0].claim, "sent"),)))
    assert store.pending_pages([ESCALATION]) == {}
    began = claimed[0].bundled_at
    assert store.told([INCIDENT], "ada", "email", began) == frozenset()
    assert store.told([INCIDENT, OTHER], "ada", "email", began + timedelta(seconds=1)) == {INCIDENT}
    assert store.told([INCIDENT], "grace", "email", began + timedelta(seconds=1)) == frozenset()


def test_a_page_waits_for_its_time(store: Store) -> None:
    queue_page(store, AT + timedelta(seconds=30))
    assert claim(store) == []
    assert len(claim(store, AT + timedelta(seconds=30))) == 1


def test_a_page_that_was_claimed_cannot_be_cancelled_and_one_cancelled_cannot_be_claimed(store: Store) -> None:
    queue_page(store)
    late = book(store, PAGE)
    late.begin(CAUSE, AT)
    late.write(PAGE, pages.Cancelled("acknowledged"))
    late.cancel_page(PAGE)
    claimed = claim(store)[0]
    with pytest.raises(Conflict):
        store.save(Save(late))
    store.save(Save(book(store), settlements=(Settlement(PAGE, claimed.claim, "queued", AT),)))
    store.save(Save(late))
    assert claim(store) == []


def test_a_page_that_is_tried_again_keeps_its_bundle_and_counts(store: Store) -> None:
    queue_page(store)
    first = claim(store)[0]
    again = AT + timedelta(seconds=5)
    store.save(Save(book(store), settlements=(Settlement(PAGE, first.claim, "queued", again, possible_repeat=True),)))
    assert claim(store) == []
    second = claim(store, again)[0]
    assert (second.attempt, second.bundle, second.possible_repeat) == (2, first.bundle, True)
    assert second.bundled_at == first.bundled_at
    assert second.claim != first.claim


def test_a_claim_that_outlived_its_lease_is_taken_over_and_its_owner_refused(store: Store) -> None:
    queue_page(store)
    lost = claim(store, lease=-1)[0]
    taken = store.expired_claims(10)
    assert [page.page.id for page in taken] == [PAGE]
    assert store.expired_claims(10) == []
    with pytest.raises(Conflict):
        store.save(Save(book(store), settlements=(Settlement(PAGE, lost.claim, "sent"),)))
    store.save(Save(book(store), settlements=(Settlement(PAGE, taken[0].claim, "unknown"),)))


# -- how often a person is messaged ----------------------------------------------------------------------------------

SECOND = timedelta(seconds=1)


def names(taken: Taken) -> set[str]:
    return {claimed.page.id for claimed in taken.pages}


def begin(store: Store, number: int, now: datetime) -> Taken:
    """A page is queued and claimed: a message begins, unless the person has had two within the minute."""
    queue_page(store, now, number=number)
    return store.claim_pages(now, 60, 10, 2)


def test_a_person_gets_so_many_messages_in_any_minute_and_what_is_beyond_leaves_together(store: Store) -> None:
    assert len(begin(store, 1, AT).pages) == len(begin(store, 2, AT + 10 * SECOND).pages) == 1
    assert begin(store, 3, AT + 20 * SECOND) == Taken([], 1)
    assert begin(store, 4, AT + 30 * SECOND) == Taken([], 1)
    assert store.claim_pages(AT + 59 * SECOND, 60, 10, 2) == Taken([], 0)
    assert {pending.claimed for pending in store.pending_pages([ESCALATION])[ESCALATION]} == {True, False}
    both = store.claim_pages(AT + 60 * SECOND, 60, 10, 2)
    assert names(both) == {page(3), page(4)}
    assert len({claimed.bundle for claimed in both.pages}) == 1
    assert begin(store, 5, AT + 61 * SECOND) == Taken([], 1)
    assert names(store.claim_pages(AT + 70 * SECOND, 60, 10, 2)) == {page(5)}
    assert len(begin(store, 6, AT + timedelta(hours=1)).pages) == 1


def test_one_persons_limit_is_not_anothers_and_stands_in_nobodys_way(store: Store) -> None:
    for number in (1, 2, 3, 4):
        begin(store, number, AT)
    others = [queue_page(store, AT, "ada", 5, "sms"), queue_page(store, AT, "grace")]
    for number in (6, 7):
        queue_page(store, AT - SECOND, number=number)
    taken = store.claim_pages(AT, 60, 2, 2)
    assert (names(taken), taken.held) == (set(others), 2)


def test_saying_it_again_is_a_message_too_and_of_its_own(store: Store) -> None:
    [first] = begin(store, 1, AT).pages
    store.save(Save(book(store), settlements=(Settlement(first.page.id, first.claim, "queued", AT),)))
    queue_page(store, AT + SECOND, number=2)
    again = store.claim_pages(AT + SECOND, 60, 10, 3)
    assert names(again) == {page(1)}
    assert names(store.claim_pages(AT + SECOND, 60, 10, 3)) == {page(2)}
    assert begin(store, 3, AT + 2 * SECOND).held == 1


def test_pagers_that_claim_at_once_keep_one_limit(request: pytest.FixtureRequest, store: Store) -> None:
    for number in range(1, 41):
        queue_page(store, number=number)
    pagers = [store] * 6
    if isinstance(store, PostgresStore):
        pagers = [PostgresStore(request.getfixturevalue("store_dsn"), pool_size=1) for _ in pagers]
    with ThreadPoolExecutor(len(pagers)) as threads:
        taken = list(threads.map(lambda pager: [pager.claim_pages(AT, 60, 1, 4, 1) for _ in range(8)], pagers))
    assert sum(len(one.pages) for rounds in taken for one in rounds) == 4
    assert store.claim_pages(AT + 59 * SECOND, 60, 100, 4).pages == []
    assert len(store.claim_pages(AT + 60 * SECOND, 60, 100, 4).pages) == 36
    for pager in pagers:
        pager.close()


def test_a_message_takes_all_that_its_person_is_to_be_told_and_the_limit_counts_messages(store: Store) -> None:
    adas = {queue_page(store, AT - SECOND, number=number) for number in range(1, 31)}
    graces = {queue_page(store, AT, "grace", number) for number in range(1, 4)}
    assert names(store.claim_pages(AT, 60, 1, 20)) == adas
    assert names(store.claim_pages(AT, 60, 1, 20)) == graces


def test_a_message_speaks_of_so_many_pages_at_most_the_oldest_first(store: Store) -> None:
    pages = [queue_page(store, AT - number * SECOND, number=number) for number in range(1, 6)]
    assert names(store.claim_pages(AT, 60, 10, 20, 3)) == set(pages[2:])
    assert names(store.claim_pages(AT, 60, 10, 20, 3)) == set(pages[:2])


def test_many_messages_within_a_minute_keep_a_distance(store: Store) -> None:
    pace = Pace(20)
    assert (pace.at_once, round(pace.distance.total_seconds(), 2)) == (10, 5.45)

    def go_on(number: int, now: datetime) -> Taken:
        queue_page(store, now, number=number)
        return store.claim_pages(now, 60, 10, 20)

    for number in range(10):
        assert len(go_on(number, AT).pages) == 1
    assert go_on(10, AT + SECOND) == go_on(11, AT + 2 * SECOND) == Taken([], 1)
    late = AT + pace.distance
    assert store.claim_pages(late - timedelta(milliseconds=1), 60, 10, 20) == Taken([], 0)
    assert names(store.claim_pages(late, 60, 10, 20)) == {page(10), page(11)}
    begun = 11
    for second in range(6, 60):
        begun += len(go_on(second + 100, AT + second * SECOND).pages) > 0
    assert begun == 20
    assert go_on(200, AT + 60 * SECOND) == Taken([], 1)
    assert names(store.claim_pages(AT + 65 * SECOND, 60, 10, 20)) == {page(200)}
