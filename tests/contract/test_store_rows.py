"""What a store promises of positions, alerts and deadlines, asked of the one in memory and of the real one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.belonging import Part
from domain.book import Book, Due, Held
from streams.store.base import (
    Conflict,
    Save,
    Store,
    TrackingMove,
)
from tests.contract.storing import AT, CAUSE, ESCALATION, INCIDENT, book, opened, row

ELSEWHERE = "incident-6f1f7b0e-0000-5000-8000-00000000000e"


def test_a_position_moves_only_from_where_it_was(store: Store) -> None:
    first = TrackingMove("default", "alerts", 3, -1, 41)
    store.save(Save(book(store), (first,)))
    assert store.tracking("default", "alerts") == {3: 41}
    with pytest.raises(Conflict):
        store.save(Save(book(store), (first,)))
    with pytest.raises(Conflict):
        store.save(Save(book(store), (TrackingMove("default", "alerts", 3, 40, 99),)))
    store.save(Save(book(store), (TrackingMove("default", "alerts", 3, 41, 42),)))
    assert store.tracking("default", "alerts") == {3: 42}
    assert store.tracking("default", "elsewhere") == {}


def test_events_are_not_saved_when_the_position_has_moved(store: Store) -> None:
    store.save(Save(book(store), (TrackingMove("default", "alerts", 0, -1, 5),)))
    zombie = book(store, INCIDENT)
    zombie.begin(CAUSE, AT)
    zombie.write(INCIDENT, opened())
    with pytest.raises(Conflict):
        store.save(Save(zombie, (TrackingMove("default", "alerts", 0, -1, 9),)))
    assert store.head() == 0
    assert store.load([INCIDENT])[INCIDENT].version == 0


def test_an_alert_row_changes_only_from_the_revision_that_was_read(store: Store) -> None:
    new = book(store)
    new.put_alert(row())
    store.save(Save(new))
    kept = store.alerts([row().id])[row().id]
    assert kept == row()
    first, second = (Book("default", store.config(), {}, store.alerts([row().id])) for _ in range(2))
    for counted in (first, second):
        counted.put_alert(replace(kept, count=2, rev=2))
    store.save(Save(first))
    with pytest.raises(Conflict):
        store.save(Save(second))
    assert store.alerts([row().id])[row().id] == replace(kept, count=2, rev=2)


def test_the_revision_counts_changes_whether_they_were_saved_together_or_not(store: Store) -> None:
    together = book(store)
    for count in (1, 2, 3):
        together.put_alert(replace(row(), count=count, rev=count))
    store.save(Save(together))
    assert store.alerts([row().id])[row().id].rev == 3


def test_a_row_that_skips_a_revision_is_a_mistake(store: Store) -> None:
    with pytest.raises(ValueError, match="is at revision 0, not 1"):
        book(store).put_alert(replace(row(), rev=2))


def test_an_alert_that_two_saw_first_is_a_conflict_for_the_second(store: Store) -> None:
    first, second = book(store), book(store)
    first.put_alert(row())
    second.put_alert(row())
    store.save(Save(first))
    with pytest.raises(Conflict):
        store.save(Save(second))


def test_the_alerts_of_an_episode_move_to_another_incident(store: Store) -> None:
    mine, other, elsewhere = row("f1"), row("f2"), row("f3")
    new = book(store)
    new.put_alert(mine)
    new.put_alert(replace(other, episode=other.episode + 1))
    new.put_alert(replace(elsewhere, group="group-6f1f7b0e-0000-5000-8000-00000000000f"))
    store.save(Save(new))
    counted = Book("default", store.config(), {}, store.alerts([mine.id]))
    counted.put_alert(replace(mine, count=2, rev=2))
    moving = book(store)
    moving.move_alerts(Part(mine.group or "", mine.episode), mine.incident or "", ELSEWHERE)
    store.save(Save(moving))
    found = store.alerts([mine.id, other.id, elsewhere.id])
    assert [found[name].incident == ELSEWHERE for name in (mine.id, other.id, elsewhere.id)] == [True, False, False]
    with pytest.raises(Conflict):
        store.save(Save(counted))


def test_the_latest_alert_of_an_incident_is_read_with_its_text(store: Store) -> None:
    assert store.latest_alert(INCIDENT) is None
    texts = book(store)
    texts.put_payload("alert/r-1/0", b"salt", b"older")
    texts.put_payload("alert/r-2/0", b"salt", b"newer")
    texts.put_alert(row("f1"))
    texts.put_alert(replace(row("f2"), payload="alert/r-2/0", last_seen=AT + timedelta(seconds=1)))
    store.save(Save(texts))
    assert store.latest_alert(INCIDENT) == b"newer"


def put_due(store: Store, due: Due) -> None:
    put = book(store)
    put.put_due(due)
    store.save(Save(put))


def test_a_deadline_is_claimed_when_it_has_come_and_by_one_pager(store: Store) -> None:
    put_due(store, Due("escalate", ESCALATION, AT))
    assert store.claim_due(AT - timedelta(seconds=1), 60, 10, "escalate") == []
    assert store.claim_due(AT, 60, 10, "other") == []
    claimed = store.claim_due(AT, 60, 10, "escalate")
    assert [due.key for due in claimed] == [ESCALATION]
    assert store.claim_due(AT, 60, 10, "escalate") == []


def test_a_claim_that_outlived_its_lease_is_claimed_again(store: Store) -> None:
    put_due(store, Due("escalate", ESCALATION, AT))
    assert store.claim_due(AT, -1, 10, "escalate")
    assert store.claim_due(AT, 60, 10, "escalate")


def test_of_two_who_meet_a_deadline_the_second_is_refused(store: Store) -> None:
    put_due(store, Due("escalate", ESCALATION, AT))
    claimed = store.claim_due(AT, 60, 10, "escalate")[0]
    put_due(store, replace(claimed, at=AT + timedelta(minutes=5)))
    with pytest.raises(Conflict):
        put_due(store, replace(claimed, at=AT + timedelta(minutes=9)))
    dropped = book(store)
    dropped.drop_due("escalate", ESCALATION, claimed.rev)
    with pytest.raises(Conflict):
        store.save(Save(dropped))


def test_a_deadline_that_is_dropped_never_comes(store: Store) -> None:
    put_due(store, Due("escalate", ESCALATION, AT))
    dropped = book(store)
    dropped.drop_due("escalate", ESCALATION)
    store.save(Save(dropped))
    assert store.claim_due(AT, 60, 10, "escalate") == []


def test_a_deadline_cannot_be_put_twice_as_new(store: Store) -> None:
    put_due(store, Due("escalate", ESCALATION, AT))
    with pytest.raises(Conflict):
        put_due(store, Due("escalate", ESCALATION, AT))


def test_a_held_deadline_is_brought_forward_to_when_it_would_have_come_and_never_back(store: Store) -> None:
    second = timedelta(seconds=1)
    held, other = Held("default/alerts/3", AT), Held("default/alerts/4", AT)
    put_due(store, Due("escalate", "late", AT + 30 * second, held=held))
    put_due(store, Due("escalate", "waits", AT + 30 * second, held=Held("default/alerts/3", AT + 20 * second)))
    put_due(store, Due("escalate", "other", AT + 30 * second, held=other))
    put_due(store, Due("escalate", "early", AT, held=held))
    now = AT + 5 * second
    assert store.release_held(["default/alerts/3"], now) == 3
    assert store.release_held(["default/alerts/3"], now) == 0
    assert {due.key: due.at for due in store.claim_due(now, 60, 10, "escalate")} == {"late": now, "early": AT}
    assert [due.key for due in store.claim_due(AT + 20 * second, 60, 10, "escalate")] == ["waits"]
