"""What a store promises, asked of the one in memory and of the real one."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain import ids, incidents, pages
from domain.alerts import AlertRow, AlertStatus
from domain.book import Book, Due, Held, PageRow, PendingPage
from domain.config import ContactMethod, Team, User
from domain.decision import Actor, Cause
from domain.incidents import Incident
from domain.severity import Severity
from schemas.events import decode, hash_event
from streams.configuring import apply
from streams.store.base import (
    Answered,
    CommandRecord,
    Conflict,
    DeadLetter,
    InboxRow,
    Save,
    Settlement,
    Store,
    TrackingMove,
)
from streams.store.memory import MemoryStore
from streams.store.postgres import PostgresStore

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
CAUSE = Cause(Actor("user", "ada"), "api", "command/1", "c-1", "c-1")
INCIDENT = ids.incident_stream("default", "group-x", 1)
OTHER = ids.incident_stream("default", "group-y", 1)
ESCALATION = ids.escalation_stream("default", INCIDENT, 1)
PAGE = ids.page_stream("default", ESCALATION, 1, 1, "ada", "email")


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    real = PostgresStore(request.getfixturevalue("store_dsn"))
    yield real
    real.close()


def book(store: Store, *streams: str) -> Book:
    return Book("default", store.config(), store.load(streams))


def opened(number: int = 1) -> incidents.Opened:
    return incidents.Opened(number, "Down", Severity.HIGH, "payments", "platform", "default", AT, AT)


def write(store: Store, stream: str, *events: incidents.IncidentEvent) -> int:
    written = book(store, stream)
    written.begin(CAUSE, AT, (stream,))
    written.write(stream, *events)
    return store.save(Save(written))


def row(fingerprint: str = "f1") -> AlertRow:
    return AlertRow(
        id=ids.alert_id("default", "am", fingerprint),
        integration="am",
        fingerprint=fingerprint,
        status=AlertStatus.FIRING,
        severity=Severity.HIGH,
        rev=0,
        source_time=AT,
        received_at=AT,
        receipt="r-1",
        first_seen=AT,
        last_seen=AT,
        count=1,
        group="group-x",
        episode=1,
        incident=INCIDENT,
        payload="alert/r-1/0",
    )


def queue_page(store: Store, at: datetime = AT) -> None:
    queued = book(store, PAGE)
    queued.begin(CAUSE, AT)
    queued.write(PAGE, pages.Queued(ESCALATION, INCIDENT, 1, 1, "ada", "email"))
    queued.put_page(PageRow(PAGE, ESCALATION, INCIDENT, "ada", "email", at))
    store.save(Save(queued))


# -- events and versions -------------------------------------------------------------------------------------------


def test_what_is_saved_is_loaded_again(store: Store) -> None:
    assert store.load([INCIDENT])[INCIDENT].version == 0
    assert write(store, INCIDENT, opened(), incidents.Acknowledged()) == 2
    loaded = store.load([INCIDENT])[INCIDENT]
    assert (loaded.version, loaded.last_at) == (2, AT)
    assert isinstance(loaded.state, Incident)
    assert loaded.state.status is incidents.IncidentStatus.ACKNOWLEDGED


def test_positions_are_gapless_over_all_streams(store: Store) -> None:
    write(store, INCIDENT, opened(1))
    write(store, OTHER, opened(2), incidents.Acknowledged())
    write(store, INCIDENT, incidents.Acknowledged())
    assert [event.position for event in store.tail(0, 100)] == [1, 2, 3, 4]
    assert [event.position for event in store.tail(1, 2)] == [2, 3]
    assert store.head() == 4
    assert [event.version for event in store.history(INCIDENT)] == [1, 2]


def test_of_two_who_write_one_stream_the_second_is_refused(store: Store) -> None:
    write(store, INCIDENT, opened())
    first, second = book(store, INCIDENT), book(store, INCIDENT)
    for written in (first, second):
        written.begin(CAUSE, AT)
        written.write(INCIDENT, incidents.Acknowledged())
    store.save(Save(first))
    with pytest.raises(Conflict):
        store.save(Save(second))
    assert store.head() == 2
    assert store.load([INCIDENT])[INCIDENT].version == 2


def test_a_decision_on_something_that_moved_is_refused(store: Store) -> None:
    write(store, INCIDENT, opened())
    skewed = book(store, INCIDENT, OTHER)
    skewed.begin(CAUSE, AT)
    skewed.read(INCIDENT, Incident)
    skewed.write(OTHER, opened(2))
    write(store, INCIDENT, incidents.Resolved("person"))
    with pytest.raises(Conflict, match="was read"):
        store.save(Save(skewed))
    assert store.load([OTHER])[OTHER].version == 0


def test_a_stream_that_was_read_as_absent_and_exists_now_is_a_conflict(store: Store) -> None:
    skewed = book(store, INCIDENT, OTHER)
    skewed.begin(CAUSE, AT)
    skewed.read(INCIDENT, Incident)
    skewed.write(OTHER, opened(2))
    write(store, INCIDENT, opened())
    with pytest.raises(Conflict):
        store.save(Save(skewed))


def test_every_event_is_chained_to_the_one_before_it_in_its_stream(store: Store) -> None:
    write(store, INCIDENT, opened())
    write(store, OTHER, opened(2))
    write(store, INCIDENT, incidents.Acknowledged(), incidents.Started())
    tips: dict[str, bytes] = {}
    for event in store.raw_tail(0, 100):
        assert decode(event.type, event.state).prev == tips.get(event.stream, b"").hex()
        assert event.hash == hash_event(event.stream, event.version, event.type, event.state)
        tips[event.stream] = event.hash
    assert store.load([INCIDENT])[INCIDENT].tip == tips[INCIDENT]


def test_a_decision_carries_what_it_read(store: Store) -> None:
    write(store, INCIDENT, opened())
    decided = book(store, INCIDENT, OTHER)
    decided.begin(CAUSE, AT)
    decided.read(INCIDENT, Incident)
    decided.write(OTHER, opened(2))
    store.save(Save(decided))
    assert store.history(OTHER)[0].decision.reads == ((INCIDENT, 1),)
    assert store.history(OTHER)[0].decision.cause == CAUSE


# -- positions in Kafka --------------------------------------------------------------------------------------------


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


# -- alerts --------------------------------------------------------------------------------------------------------


def test_an_alert_row_changes_only_from_the_revision_that_was_read(store: Store) -> None:
    new = book(store)
    new.put_alert(row())
    store.save(Save(new))
    kept = store.alerts([row().id])[row().id]
    assert kept == replace(row(), rev=1)
    first, second = (Book("default", store.config(), {}, store.alerts([row().id])) for _ in range(2))
    for counted in (first, second):
        counted.put_alert(replace(kept, count=2))
    store.save(Save(first))
    with pytest.raises(Conflict):
        store.save(Save(second))
    assert store.alerts([row().id])[row().id] == replace(kept, count=2, rev=2)


def test_the_revision_counts_changes_whether_they_were_saved_together_or_not(store: Store) -> None:
    together = book(store)
    for count in (1, 2, 3):
        together.put_alert(replace(row(), count=count))
    store.save(Save(together))
    assert store.alerts([row().id])[row().id].rev == 3


def test_an_alert_that_two_saw_first_is_a_conflict_for_the_second(store: Store) -> None:
    first, second = book(store), book(store)
    first.put_alert(row())
    second.put_alert(row())
    store.save(Save(first))
    with pytest.raises(Conflict):
        store.save(Save(second))


def test_the_latest_alert_of_an_incident_is_read_with_its_text(store: Store) -> None:
    assert store.latest_alert(INCIDENT) is None
    texts = book(store)
    texts.put_payload("alert/r-1/0", b"salt", b"older")
    texts.put_payload("alert/r-2/0", b"salt", b"newer")
    texts.put_alert(row("f1"))
    texts.put_alert(replace(row("f2"), payload="alert/r-2/0", last_seen=AT + timedelta(seconds=1)))
    store.save(Save(texts))
    assert store.latest_alert(INCIDENT) == b"newer"


# -- deadlines -----------------------------------------------------------------------------------------------------


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


# -- pages ---------------------------------------------------------------------------------------------------------


def test_a_page_is_claimed_once_and_settled_by_its_claimant(store: Store) -> None:
    queue_page(store)
    assert store.pending_pages([ESCALATION]) == {ESCALATION: (PendingPage(PAGE, False),)}
    claimed = store.claim_pages(AT, 60, 10)
    assert [(page.page.id, page.attempt, page.possible_repeat) for page in claimed] == [(PAGE, 1, False)]
    assert store.claim_pages(AT, 60, 10) == []
    assert store.pending_pages([ESCALATION]) == {ESCALATION: (PendingPage(PAGE, True),)}
    store.save(Save(book(store), settlements=(Settlement(PAGE, claimed[0].claim, "sent"),)))
    assert store.pending_pages([ESCALATION]) == {}
    began = claimed[0].bundled_at
    assert store.told([INCIDENT], "ada", "email", began) == frozenset()
    assert store.told([INCIDENT, OTHER], "ada", "email", began + timedelta(seconds=1)) == {INCIDENT}
    assert store.told([INCIDENT], "grace", "email", began + timedelta(seconds=1)) == frozenset()


def test_a_page_waits_for_its_time(store: Store) -> None:
    queue_page(store, AT + timedelta(seconds=30))
    assert store.claim_pages(AT, 60, 10) == []
    assert len(store.claim_pages(AT + timedelta(seconds=30), 60, 10)) == 1


def test_a_page_that_is_postponed_waits_and_stays_queued(store: Store) -> None:
    queue_page(store)
    later = AT + timedelta(seconds=40)
    assert store.postpone_pages({}) == 0
    assert store.postpone_pages({("grace", "email"): later, ("ada", "sms"): later}) == 0
    assert store.postpone_pages({("ada", "email"): later, ("grace", "email"): later}) == 1
    assert store.postpone_pages({("ada", "email"): later}) == 0
    assert store.claim_pages(AT, 60, 10) == []
    assert store.pending_pages([ESCALATION]) == {ESCALATION: (PendingPage(PAGE, False),)}
    assert [page.attempt for page in store.claim_pages(later, 60, 10)] == [1]
    assert store.postpone_pages({("ada", "email"): later + timedelta(seconds=9)}) == 0


def test_a_page_that_was_claimed_cannot_be_cancelled_and_one_cancelled_cannot_be_claimed(store: Store) -> None:
    queue_page(store)
    late = book(store, PAGE)
    late.begin(CAUSE, AT)
    late.write(PAGE, pages.Cancelled("acknowledged"))
    late.cancel_page(PAGE)
    claim = store.claim_pages(AT, 60, 10)[0]
    with pytest.raises(Conflict):
        store.save(Save(late))
    store.save(Save(book(store), settlements=(Settlement(PAGE, claim.claim, "queued", AT),)))
    store.save(Save(late))
    assert store.claim_pages(AT, 60, 10) == []


def test_a_page_that_is_tried_again_keeps_its_bundle_and_counts(store: Store) -> None:
    queue_page(store)
    first = store.claim_pages(AT, 60, 10)[0]
    again = AT + timedelta(seconds=5)
    store.save(Save(book(store), settlements=(Settlement(PAGE, first.claim, "queued", again, possible_repeat=True),)))
    assert store.claim_pages(AT, 60, 10) == []
    second = store.claim_pages(again, 60, 10)[0]
    assert (second.attempt, second.bundle, second.possible_repeat) == (2, first.bundle, True)
    assert second.bundled_at == first.bundled_at
    assert second.claim != first.claim


def test_a_claim_that_outlived_its_lease_is_taken_over_and_its_owner_refused(store: Store) -> None:
    queue_page(store)
    lost = store.claim_pages(AT, -1, 10)[0]
    taken = store.expired_claims(10)
    assert [page.page.id for page in taken] == [PAGE]
    assert store.expired_claims(10) == []
    with pytest.raises(Conflict):
        store.save(Save(book(store), settlements=(Settlement(PAGE, lost.claim, "sent"),)))
    store.save(Save(book(store), settlements=(Settlement(PAGE, taken[0].claim, "unknown"),)))


# -- commands, inbox, dead letters -----------------------------------------------------------------------------------


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


def test_whoever_has_the_store_to_himself_saves_and_others_wait(store: Store) -> None:
    done: list[str] = []
    other = threading.Thread(target=lambda: done.append(f"other {write(store, OTHER, opened(2))}"))
    with store.exclusive():
        other.start()
        time.sleep(0.1)
        done.append(f"mine {write(store, INCIDENT, opened())}")
    other.join(10)
    assert done == ["mine 1", "other 2"]


def test_a_long_stream_is_loaded_as_it_was_written(request: pytest.FixtureRequest, store: Store) -> None:
    write(store, INCIDENT, opened())
    for number in range(5):
        write(store, INCIDENT, *[incidents.Assigned((f"user-{number}-{n}",)) for n in range(100)])
    fresh = PostgresStore(request.getfixturevalue("store_dsn")) if isinstance(store, PostgresStore) else store
    assert fresh.load([INCIDENT]) == store.load([INCIDENT])
    assert write(fresh, INCIDENT, incidents.Acknowledged()) == 502
    assert [event.version for event in fresh.history(INCIDENT)] == list(range(1, 503))


# -- configuration -------------------------------------------------------------------------------------------------


def test_a_change_of_configuration_is_an_event_and_makes_older_decisions_conflict(store: Store) -> None:
    before = book(store, INCIDENT)
    before.begin(CAUSE, AT)
    before.write(INCIDENT, opened())
    ada = User("ada", "Ada Example", (ContactMethod("email", "ada@example.test"),))
    objects = {("user", "ada"): ada, ("team", "platform"): Team("platform")}
    applied = apply(store, "default", objects, CAUSE, AT, b"salt")
    assert applied.changes == (("team", "platform", "create"), ("user", "ada", "create"))
    assert store.config().users["ada"] == ada
    assert store.config().revision == applied.revision == 2
    with pytest.raises(Conflict, match="configuration"):
        store.save(Save(before))


def test_personal_data_is_not_in_the_events(store: Store) -> None:
    ada = User("ada", "Ada Example", (ContactMethod("email", "ada@example.test"),))
    apply(store, "default", {("user", "ada"): ada}, CAUSE, AT, b"salt")
    assert not any(b"example.test" in event.state or b"Example" in event.state for event in store.raw_tail(0, 10))


def test_applying_the_same_twice_writes_nothing_and_pruning_removes(store: Store) -> None:
    objects = {("team", "platform"): Team("platform"), ("team", "search"): Team("search")}
    apply(store, "default", objects, CAUSE, AT, b"salt")
    assert apply(store, "default", objects, CAUSE, AT, b"salt").changes == ()
    fewer = {("team", "platform"): Team("platform")}
    assert apply(store, "default", fewer, CAUSE, AT, b"salt").changes == ()
    assert apply(store, "default", fewer, CAUSE, AT, b"salt", prune=True, dry_run=True).changes
    assert set(store.config().teams) == {"platform", "search"}
    assert apply(store, "default", fewer, CAUSE, AT, b"salt", prune=True).changes == (("team", "search", "remove"),)
    assert set(store.config().teams) == {"platform"}


def test_numbers_count_up(store: Store) -> None:
    assert [store.next_number() for _ in range(3)] == [1, 2, 3]


def test_waiting_ends_when_somebody_saves(store: Store) -> None:
    assert store.wait(0.01) is False
