"""What a store knows of incidents that alerts may join, and that nothing comes between looking for one and saving."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain import belonging, ids, incidents
from domain.book import Book
from domain.config import Config
from domain.correlating import CANDIDATES, Candidate, Candidates, CorrelationRule
from streams.store.base import Conflict, Save, Store
from tests.contract.storing import AT, CAUSE, book, opened

SPOT, ELSEWHERE = ("near", "ab" * 16, "db"), ("near", "ab" * 16, "mail")
RULE = CorrelationRule("near", 60.0)


def incident(number: int) -> str:
    return ids.incident_stream("default", f"group-{number}", 1)


def ruled(store: Store, *streams: str) -> Book:
    """A book of a configuration that has a rule."""
    return replace(book(store, *streams), config=replace(Config(), correlation_rules={RULE.id: RULE}))


def stands(number: int, seconds: int = 0) -> Candidate:
    return Candidate(incident(number), AT + timedelta(seconds=seconds), ids.alert_id("default", "am", f"f{number}"))


def opening(store: Store, number: int, seconds: int = 0) -> Candidate:
    """An incident is opened, so many seconds later, and stands at the spot."""
    candidate = stands(number, seconds)
    made = ruled(store, candidate.incident)
    made.begin(CAUSE, candidate.opened_at)
    made.write(candidate.incident, opened(number))
    made.opened[SPOT] = (candidate,)
    store.save(Save(made))
    return candidate


def act(store: Store, number: int, *events: incidents.IncidentEvent) -> None:
    made = ruled(store, incident(number))
    made.begin(CAUSE, AT, (incident(number),))
    made.write(incident(number), *events)
    store.save(Save(made))


def looking(store: Store) -> Book:
    """Somebody looks for an incident, in vain, and opens one elsewhere."""
    made = ruled(store, incident(99))
    made.candidates = store.candidates({SPOT: AT})
    made.alone[SPOT] = AT
    made.begin(CAUSE, AT)
    made.write(incident(99), opened(99))
    return made


def test_open_incidents_are_found_at_their_spot_the_first_opened_first(store: Store) -> None:
    later, first = opening(store, 1, 30), opening(store, 2, 10)
    found = store.candidates({SPOT: AT, ELSEWHERE: AT})
    assert found.at == {SPOT: (first, later)}
    assert store.candidates({SPOT: AT + timedelta(seconds=11)}).at == {SPOT: (later,)}
    assert store.candidates({ELSEWHERE: AT}) == Candidates({}, found.seen)


def test_nothing_is_found_where_nobody_looks(store: Store) -> None:
    assert store.candidates({}) == Candidates()
    opening(store, 1)
    assert store.candidates({}).at == {}
    assert store.candidates({}).seen > 0


def test_very_many_are_not_read(store: Store) -> None:
    every = [opening(store, number, number) for number in range(CANDIDATES + 2)]
    assert store.candidates({SPOT: AT}).at == {SPOT: tuple(every[:CANDIDATES])}


def test_what_is_over_is_not_found_until_it_is_open_again(store: Store) -> None:
    candidate = opening(store, 1)
    act(store, 1, incidents.Resolved("person"))
    assert store.candidates({SPOT: AT}).at == {}
    act(store, 1, incidents.Commented(book(store).put_payload("text", b"salt", b"x")))
    assert store.candidates({SPOT: AT}).at == {}
    act(store, 1, incidents.Reopened())
    assert store.candidates({SPOT: AT}).at == {SPOT: (candidate,)}


def test_what_ends_in_the_save_that_opens_it_is_not_found(store: Store) -> None:
    made = ruled(store, incident(1))
    made.begin(CAUSE, AT)
    made.write(incident(1), opened(1), incidents.Resolved("alerts_ended"))
    made.opened[SPOT] = (stands(1),)
    store.save(Save(made))
    assert store.candidates({SPOT: AT}).at == {}


def merge(store: Store, loser: int, winner: int, undo: bool = False) -> None:
    """One incident is merged into another, or taken out of it again."""
    made = ruled(store, incident(loser), incident(winner))
    made.begin(CAUSE, AT, (incident(loser), incident(winner)))
    if undo:
        made.write(incident(loser), belonging.Unmerged(incident(winner), winner, "triggered", ()))
        made.write(incident(winner), belonging.Parted(incident(loser), loser, ()))
    else:
        made.write(incident(loser), belonging.Merged(incident(winner), winner))
        made.write(incident(winner), belonging.Absorbed(incident(loser), loser, ()))
    store.save(Save(made))


def elsewhere(store: Store, number: int) -> None:
    """An incident is opened that stands nowhere."""
    act(store, number, opened(number))


def test_what_is_merged_is_found_while_what_it_is_merged_into_is_open(store: Store) -> None:
    losers = [opening(store, number, number) for number in (1, 2)]
    elsewhere(store, 8)
    elsewhere(store, 9)
    merge(store, 1, 8)
    merge(store, 8, 9)
    merge(store, 2, 9)
    assert store.candidates({SPOT: AT}).at == {SPOT: tuple(losers)}
    act(store, 9, incidents.Resolved("person"))
    assert store.candidates({SPOT: AT}).at == {}
    act(store, 1, incidents.Commented(book(store).put_payload("text", b"salt", b"x")))
    assert store.candidates({SPOT: AT}).at == {}
    act(store, 9, incidents.Reopened())
    assert store.candidates({SPOT: AT}).at == {SPOT: tuple(losers)}
    merge(store, 8, 9, undo=True)
    act(store, 9, incidents.Resolved("person"))
    assert store.candidates({SPOT: AT}).at == {SPOT: (losers[0],)}
    merge(store, 1, 8, undo=True)
    act(store, 8, incidents.Resolved("person"))
    assert store.candidates({SPOT: AT}).at == {SPOT: (losers[0],)}


def test_what_is_taken_out_of_another_and_merged_again_follows_that_one(store: Store) -> None:
    loser = opening(store, 1)
    elsewhere(store, 8)
    elsewhere(store, 9)
    merge(store, 1, 8)
    merge(store, 1, 8, undo=True)
    merge(store, 1, 9)
    act(store, 8, incidents.Resolved("person"))
    assert store.candidates({SPOT: AT}).at == {SPOT: (loser,)}
    act(store, 9, incidents.Resolved("person"))
    assert store.candidates({SPOT: AT}).at == {}


def test_what_is_merged_into_what_nobody_may_acknowledge_is_not_found(store: Store) -> None:
    first, second = opening(store, 1), opening(store, 2, 1)
    act(store, 9, replace(opened(9), ack="refused"))
    merge(store, 1, 2)
    assert store.candidates({SPOT: AT}).at == {SPOT: (first, second)}
    merge(store, 2, 9)
    assert store.candidates({SPOT: AT}).at == {}
    merge(store, 2, 9, undo=True)
    assert store.candidates({SPOT: AT}).at == {SPOT: (first, second)}


def test_the_winner_of_many_that_ends_in_the_save_that_lets_one_go_takes_the_others_along(store: Store) -> None:
    losers = [opening(store, number, number) for number in (1, 2)]
    elsewhere(store, 9)
    merge(store, 1, 9)
    merge(store, 2, 9)
    made = ruled(store, incident(1), incident(9))
    made.begin(CAUSE, AT, (incident(1), incident(9)))
    made.write(incident(1), belonging.Unmerged(incident(9), 9, "triggered", ()))
    made.write(incident(9), belonging.Parted(incident(1), 1, ()), incidents.Resolved("alerts_ended"))
    store.save(Save(made))
    assert store.candidates({SPOT: AT}).at == {SPOT: (losers[0],)}


def test_many_that_are_merged_into_what_is_over_hide_none_that_is_open(store: Store) -> None:
    elsewhere(store, 99)
    for number in range(CANDIDATES):
        opening(store, number, number)
        merge(store, number, 99)
    act(store, 99, incidents.Resolved("person"))
    usable = opening(store, CANDIDATES, CANDIDATES)
    assert store.candidates({SPOT: AT}).at == {SPOT: (usable,)}


def test_that_what_others_were_merged_into_is_reopened_meanwhile_is_noticed(store: Store) -> None:
    opening(store, 1, 10)
    elsewhere(store, 9)
    merge(store, 1, 9)
    act(store, 9, incidents.Resolved("person"))
    late = looking(store)
    act(store, 9, incidents.Reopened())
    with pytest.raises(Conflict):
        store.save(Save(late))


def test_an_incident_that_is_opened_meanwhile_is_noticed(store: Store) -> None:
    late = looking(store)
    opening(store, 1, 10)
    with pytest.raises(Conflict):
        store.save(Save(late))
    again = looking(store)
    store.save(Save(again))
    assert store.load([incident(99)])[incident(99)].version == 1


def test_an_incident_that_is_reopened_meanwhile_is_noticed(store: Store) -> None:
    opening(store, 1, 10)
    act(store, 1, incidents.Resolved("person"))
    late = looking(store)
    act(store, 1, incidents.Reopened())
    with pytest.raises(Conflict):
        store.save(Save(late))


def test_what_is_over_by_then_or_too_old_or_elsewhere_is_no_conflict(store: Store) -> None:
    late = looking(store)
    opening(store, 1, 10)
    act(store, 1, incidents.Resolved("person"))
    opening(store, 2, -10)
    elsewhere = ruled(store, incident(3))
    elsewhere.begin(CAUSE, AT)
    elsewhere.write(incident(3), opened(3))
    elsewhere.opened[ELSEWHERE] = (stands(3),)
    store.save(Save(elsewhere))
    store.save(Save(late))


def test_without_a_rule_nothing_is_written_so_who_joins_looks_at_the_incident(store: Store) -> None:
    candidate = opening(store, 1)
    plain = book(store, incident(1))
    plain.begin(CAUSE, AT, (incident(1),))
    plain.write(incident(1), incidents.Resolved("person"))
    store.save(Save(plain))
    assert store.candidates({SPOT: AT}).at == {SPOT: (candidate,)}
