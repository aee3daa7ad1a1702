"""What a store promises of commands, inbox and dead letters, asked of the one in memory and of the real one."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from streams.store.base import (
    Answered,
    CommandRecord,
    Conflict,
    DeadLetter,
    InboxRow,
    Save,
    Store,
    TrackingMove,
)
from tests.contract.storing import AT, CAUSE, INCIDENT, OTHER, book, opened


def test_an_answer_is_kept_with_the_decision_and_given_once(store: Store) -> None:
    assert store.answered("key", "k-1") is None
    record = CommandRecord("key", "k-1", b"digest", b"answer", AT)
    acting = book(store, INCIDENT)
    acting.begin(CAUSE, AT)
    acting.write(INCIDENT, opened())
    store.save(Save(acting, command=record))
    assert store.answered("key", "k-1") == Answered(b"digest", b"answer", 1)
    assert store.answered("another", "k-1") is None
    again = book(store, OTHER)
    again.begin(CAUSE, AT)
    again.write(OTHER, opened(2))
    with pytest.raises(Conflict):
        store.save(Save(again, command=record))
    assert store.load([OTHER])[OTHER].version == 0


def inbox_row(receipt: str = "r-1", part: int = 1, at: datetime = AT) -> InboxRow:
    return InboxRow(receipt, part, b"am:0", b"body", at)


def test_an_inbox_row_is_folded_once(store: Store) -> None:
    store.put_inbox([inbox_row(), inbox_row(part=2), inbox_row()])
    assert store.claim_inbox(60, 10) == [inbox_row(), inbox_row(part=2)]
    assert store.claim_inbox(60, 10) == []
    store.save(Save(book(store), inbox=(("r-1", 1),)))
    with pytest.raises(Conflict):
        store.save(Save(book(store), inbox=(("r-1", 1), ("r-1", 2))))
    store.save(Save(book(store), inbox=(("r-1", 2),)))


def test_inbox_rows_come_oldest_first_and_again_when_a_lease_ends(store: Store) -> None:
    store.put_inbox([inbox_row("r-2", at=AT + timedelta(seconds=1)), inbox_row("r-1")])
    assert [row.receipt for row in store.claim_inbox(-1, 1)] == ["r-1"]
    assert [row.receipt for row in store.claim_inbox(60, 10)] == ["r-1", "r-2"]


def test_forwarding_is_apart_from_folding(store: Store) -> None:
    store.put_inbox([inbox_row()])
    assert store.claim_unforwarded(60, 10) == [inbox_row()]
    assert store.claim_unforwarded(60, 10) == []
    store.mark_forwarded([inbox_row()])
    assert store.claim_inbox(60, 10) == [inbox_row()]
    store.save(Save(book(store), inbox=(("r-1", 1),)))


def test_what_could_not_be_decided_is_kept_once_with_its_reason(store: Store) -> None:
    dead = DeadLetter("default/alerts/0@7", 3, "r-1", "am", "no route", b"what it was", AT)
    store.save(Save(book(store), (TrackingMove("default", "alerts", 0, -1, 7),), dead_letters=(dead,)))
    store.save(Save(book(store), dead_letters=(replace(dead, reason="again"),)))
    assert store.dead_letters("r-1") == [dead]
    assert store.dead_letters("r-2") == []
