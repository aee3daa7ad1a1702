"""What a store knows of firing alerts that are suppressed, that inhibit, and that are looked at again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.alerts import AlertRow, AlertStatus
from domain.inhibition import INHIBIT, Side, Source
from domain.reviewing import REVIEW
from streams.store.base import Conflict, FiringAlert, Save, Store
from tests.contract.storing import AT, book, row

PLACE = ("worse", "ab" * 16)
SOURCE, TARGET = Side(PLACE, True, False), Side(PLACE, False, True)


def put(store: Store, *rows: AlertRow) -> None:
    made = book(store)
    for each in rows:
        made.alerts |= store.alerts([each.id])
        made.put_alert(replace(each, rev=made.alerts[each.id].rev + 1 if each.id in made.alerts else 1))
    store.save(Save(made))


def place(store: Store, alert: AlertRow, *sides: Side) -> None:
    made = book(store)
    made.standing |= store.standing([alert.id])
    made.place(alert.id, alert.group or "", sides, AT)
    store.save(Save(made))


def ids_of(found: Sequence[FiringAlert]) -> list[str]:
    return [alert.row.fingerprint for alert in found]


def test_a_row_is_read_back_with_all_that_suppression_needs(store: Store) -> None:
    kept = replace(row(), suppressed="silence/x", flips=(AT, AT + timedelta(microseconds=1)))
    put(store, kept)
    assert store.alerts([kept.id]) == {kept.id: kept}


def test_firing_alerts_are_read_page_by_page_the_newest_first(store: Store) -> None:
    rows = [replace(row(f"f{n}"), first_seen=AT + timedelta(seconds=n // 2)) for n in range(5)]
    put(store, *rows, replace(row("over"), status=AlertStatus.RESOLVED))
    first = store.firing(None, 3)
    rest = store.firing(first[-1].row, 3)
    order = sorted(rows, key=lambda each: (each.first_seen, each.id), reverse=True)
    assert [*first, *rest] == [FiringAlert(each, None, None) for each in order]
    assert store.firing(rest[-1].row, 3) == []


def test_a_firing_alert_comes_with_its_payload(store: Store) -> None:
    made = book(store)
    made.put_payload("alert/r-1/0", b"salt", b"{}")
    made.put_alert(row())
    store.save(Save(made))
    assert store.firing_among([row().id, row("other").id]) == [FiringAlert(row(), b"salt", b"{}")]


def test_sources_and_targets_are_found_at_their_place_while_they_fire(store: Store) -> None:
    source, target = row("source"), row("target")
    put(store, source, target)
    place(store, source, SOURCE)
    place(store, target, TARGET)
    assert store.sources([PLACE, ("other", PLACE[1])]) == {PLACE: {source.id: Source("group-x", False)}}
    assert store.targets(PLACE) == [target.id]
    assert store.standing([source.id, target.id]) == {source.id: (SOURCE,), target.id: (TARGET,)}
    put(store, replace(source, status=AlertStatus.RESOLVED), replace(target, status=AlertStatus.RESOLVED))
    assert store.sources([PLACE]) == {}
    assert store.targets(PLACE) == []
    place(store, source)
    assert store.standing([source.id]) == {}


def test_a_source_that_begins_meanwhile_is_noticed(store: Store) -> None:
    source, target = row("source"), row("target")
    put(store, source)
    late = book(store)
    assert late.inhibitor(target.id, (TARGET,)) is None
    late.put_alert(target)
    place(store, source, SOURCE)
    with pytest.raises(Conflict):
        store.save(Save(late))
    again = book(store)
    again.sources |= store.sources([PLACE])
    assert again.inhibitor(target.id, (TARGET,)) is not None
    again.put_alert(target)
    store.save(Save(again))


def test_a_source_that_ends_meanwhile_is_noticed(store: Store) -> None:
    source, target = row("source"), row("target")
    put(store, source)
    place(store, source, SOURCE)
    late = book(store)
    late.sources |= store.sources([PLACE])
    assert late.inhibitor(target.id, (TARGET,)) is not None
    late.put_alert(target)
    place(store, source)
    with pytest.raises(Conflict):
        store.save(Save(late))


def test_what_a_book_places_itself_needs_no_look_at_the_store(store: Store) -> None:
    source, target = row("source"), row("target")
    both = book(store)
    for each, side in ((source, SOURCE), (target, TARGET)):
        both.put_alert(each)
        both.place(each.id, each.group or "", (side,), AT)
    assert both.inhibitor(target.id, (TARGET,)) is not None
    store.save(Save(both))
    assert store.targets(PLACE) == [target.id]


def test_a_place_is_looked_at_again_only_if_something_stands_there_that_can_be_inhibited(store: Store) -> None:
    source, target = row("source"), row("target")
    put(store, source, target)
    place(store, source, SOURCE)
    assert store.claim_due(AT, 60, 1, INHIBIT) == []
    place(store, target, TARGET)
    assert store.claim_due(AT, 60, 1, INHIBIT) == []
    place(store, source)
    [due] = store.claim_due(AT, 60, 1, INHIBIT)
    assert (due.key, due.at) == ("/".join(PLACE), AT)
    place(store, source, SOURCE)
    [again] = store.claim_due(AT, 60, 1, INHIBIT)
    assert again.rev > due.rev, "who has claimed it meets it in vain"


def test_what_is_woken_is_met_again_by_whoever_has_claimed_it(store: Store) -> None:
    def wake() -> None:
        woken = book(store)
        woken.wake(REVIEW, "default", AT)
        store.save(Save(woken))

    wake()
    [due] = store.claim_due(AT, 60, 1, REVIEW)
    wake()
    done = book(store)
    done.drop_due(REVIEW, "default", due.rev)
    with pytest.raises(Conflict):
        store.save(Save(done))
    [again] = store.claim_due(AT, 60, 1, REVIEW)
    assert again.at == AT
