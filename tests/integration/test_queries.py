"""What people ask of the read models, on a real Postgres, with a real store beside them."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from domain import incidents
from domain.decision import PayloadRef
from domain.ids import stream_uuid
from domain.severity import Severity
from projections.handlers import NOT_TOLD
from projections.queries import BadCursor, IncidentFilter, Queries
from projections.runner import Projector
from schemas.api import IncidentView
from streams.store.postgres import PostgresStore
from tests.memory_world import MemoryWorld
from tests.projecting import ADA, AM, INCIDENT, Bench, Happening, log, opened, page, story
from tests.world import START

READ = "read_models"
A, B = "0436c85f03de65ce", "02ee7c9b053fff5f"
"""Fingerprints of ServiceDown on pods a and b."""
SERVICES, TEAMS = ("payments", "search", "mail"), ("platform", "data")


@pytest.fixture
def bench(store_dsn: str) -> Bench:
    return Bench(store_dsn, READ)


@pytest.fixture
def queries(bench: Bench, store_dsn: str) -> Iterator[Queries]:
    asked = Queries(store_dsn, pool_size=3)
    yield asked
    asked.close()


def stream(number: int) -> str:
    return f"incident-00000000-0000-0000-0000-{number:012}"


def incident(number: int) -> list[Happening]:
    """An incident whose fields follow from its number: every third is resolved, every other of team data."""
    facts = opened(number, severity=tuple(Severity)[number % 5], service=SERVICES[number % 3], team=TEAMS[number % 2])
    over: list[Happening] = [(stream(number), incidents.Resolved("person"), ADA)] if number % 3 == 0 else []
    return [(stream(number), facts, AM), *over]


def fill(bench: Bench, *numbers: int, start: int = 1) -> None:
    bench.deliver(log([step for number in numbers for step in incident(number)], start), 100)


def numbers(found: tuple[IncidentView, ...]) -> list[int]:
    return [view.number for view in found]


def all_pages(queries: Queries, limit: int, **filters: Any) -> list[list[int]]:
    pages, cursor = [], None
    while True:
        listed = queries.incidents(IncidentFilter(**filters), limit=limit, cursor=cursor)
        pages.append(numbers(listed.incidents))
        cursor = listed.next_cursor
        if cursor is None:
            return pages


def test_newest_first_page_by_page(bench: Bench, queries: Queries) -> None:
    fill(bench, 3, 1, 2, 5, 4)
    assert all_pages(queries, 2) == [[5, 4], [3, 2], [1]]
    assert all_pages(queries, 5) == [[5, 4, 3, 2, 1]]
    assert queries.incidents().next_cursor is None


def test_nothing_yet(queries: Queries) -> None:
    assert queries.incidents().incidents == ()
    assert (queries.incident("INC-1"), queries.timeline("1"), queries.pages("1")) == (None, None, ())
    assert queries.position() == 0


def test_filters_alone_and_together(bench: Bench, queries: Queries) -> None:
    fill(bench, *range(1, 31))

    def asked(**filters: Any) -> list[int]:
        return sorted(numbers(queries.incidents(IncidentFilter(**filters)).incidents))

    assert asked(status=("resolved",)) == list(range(3, 31, 3))
    assert asked(status=("triggered", "resolved")) == list(range(1, 31))
    assert asked(status=("acknowledged",)) == []
    assert asked(severity=("critical", "info")) == [n for n in range(1, 31) if n % 5 in (0, 4)]
    assert asked(service=("search",)) == [n for n in range(1, 31) if n % 3 == 1]
    assert asked(team=("data",)) == [n for n in range(1, 31) if n % 2 == 1]
    assert asked(status=("triggered",), severity=("high",), service=("search",), team=("data",)) == [1]
    assert asked(service=("no\0such",), team=("'; drop table incidents; --",)) == []


def test_filters_by_person_title_and_time(bench: Bench, queries: Queries) -> None:
    titles = {1: "Disk full on db-1", 2: "Service 100% down", 3: "ÄRGER with search_api"}
    happened: list[Happening] = []
    for number, title in titles.items():
        facts = opened(number, title=title, opened_at=START + timedelta(hours=number))
        happened += [
            (stream(number), facts, AM),
            (stream(number), incidents.Assigned(("ada", "grace")[: number - 1]), ADA),
        ]
    bench.deliver(log(happened), 100)

    def asked(**filters: Any) -> list[int]:
        return sorted(numbers(queries.incidents(IncidentFilter(**filters)).incidents))

    assert asked(assignee=("ada",)) == [2, 3]
    assert asked(assignee=("grace", "nobody")) == [3]
    assert asked(title="DISK") == [1]
    assert asked(title="ärger") == [3]
    assert asked(title="100%") == [2], "a percent sign is itself"
    assert asked(title="h_a") == [3], "and so is an underscore"
    assert asked(title="no\0such") == []
    assert asked(opened_after=START + timedelta(hours=2)) == [2, 3]
    assert asked(opened_before=START + timedelta(hours=2)) == [1]
    assert asked(opened_after=START, opened_before=START + timedelta(hours=3), assignee=("ada",)) == [2]


def test_a_persons_words_are_shown_and_found_until_they_are_erased(
    bench: Bench, queries: Queries, store_dsn: str
) -> None:
    made = opened(1, title="Reported for payments", words=PayloadRef("title/1", "00"))
    said = incidents.Commented(PayloadRef("comment/1", "00"))
    bench.deliver(log([(stream(1), made, ADA), (stream(1), said, ADA)]), 10)
    rows = [("title/1", b"Checkout hangs"), ("comment/1", b"It is the cache")]
    with psycopg.connect(store_dsn) as connection:
        connection.cursor().executemany("insert into tocsin.payloads (ref, body) values (%s, %s)", rows)

    def shown() -> tuple[str, list[str | None], int]:
        timeline = queries.timeline("1")
        assert timeline is not None
        found = queries.incidents(IncidentFilter(title="checkout"))
        return timeline.incident.title, [entry.words for entry in timeline.entries], len(found.incidents)

    assert shown() == ("Checkout hangs", [None, "It is the cache"], 1)
    with psycopg.connect(store_dsn) as connection:
        connection.execute("update tocsin.payloads set body = null")
    assert shown() == ("Reported for payments", [None, None], 0)


def test_filters_hold_on_every_page(bench: Bench, queries: Queries) -> None:
    fill(bench, *range(1, 31))
    assert all_pages(queries, 2, team=("data",), service=("mail",)) == [[29, 23], [17, 11], [5]]


def test_paging_under_concurrent_inserts_neither_repeats_nor_misses(bench: Bench, queries: Queries) -> None:
    """Numbers are given before they are saved, so late ones also land among those that were read already."""
    fill(bench, *range(1000, 1200, 2))
    stopping = threading.Event()

    def insert() -> None:
        for step, number in enumerate([*range(1199, 1000, -2), *range(1200, 1500)]):
            if stopping.is_set():
                return
            fill(bench, number, start=1000 + 2 * step)

    writer = threading.Thread(target=insert)
    writer.start()
    try:
        found = [number for page in all_pages(queries, 3) for number in page]
    finally:
        stopping.set()
        writer.join()
    assert len(found) == len(set(found)), "an incident was shown twice"
    assert set(range(1000, 1200, 2)) <= set(found), "an incident was missed"


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_limits(queries: Queries, limit: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 200"):
        queries.incidents(limit=limit)


@pytest.mark.parametrize(
    "cursor", ["", "x", "ö", "\0", "YmVmb3JlIC0x", "YmVmb3JlIDk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OQ", "=="]
)
def test_cursors_of_other_people(queries: Queries, cursor: str) -> None:
    with pytest.raises(BadCursor):
        queries.incidents(cursor=cursor)


@pytest.mark.parametrize(
    "ref", ["INC-7", "inc-7", "Inc-007", " 7 ", "7", INCIDENT, INCIDENT.upper(), stream_uuid(INCIDENT)]
)
def test_references(bench: Bench, queries: Queries, ref: str) -> None:
    bench.deliver(log(story()), 100)
    found = queries.incident(ref)
    assert found is not None
    assert (found.id, found.name) == (stream_uuid(INCIDENT), "INC-7")
    timeline = queries.timeline(ref)
    assert timeline is not None
    assert timeline.incident == found
    assert len(queries.pages(ref)) == 3


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "8",
        "INC-",
        "INC",
        "-7",
        "7.0",
        "٧",
        "9" * 40,
        "9" * 5000,
        "page-" + stream_uuid(INCIDENT),
        "INC-7\0",
        "' or 1=1",
    ],
)
def test_references_to_nothing(bench: Bench, queries: Queries, ref: str) -> None:
    bench.deliver(log(story()), 100)
    assert (queries.incident(ref), queries.timeline(ref), queries.pages(ref)) == (None, None, ())


def test_a_timeline_reads_as_what_happened(bench: Bench, queries: Queries) -> None:
    bench.deliver(log(story()), 100)

    timeline = queries.timeline("7")

    assert timeline is not None
    told = [event.position for event in log(story()) if not isinstance(event.event, NOT_TOLD)]
    assert [entry.position for entry in timeline.entries] == told
    first, paged = timeline.entries[0], timeline.entries[7]
    assert first.text == "alert ServiceDown (fingerprint 955b3f2e0c1d4a77) fires"
    assert (first.actor, first.origin, first.correlation_id) == ("integration:alertmanager", "api", "r-1")
    assert paged.text == "page to ada by email sent (step 1, round 1, attempt 2, possibly a repeat)"
    assert (paged.type, paged.actor, paged.at.utcoffset()) == ("page.sent.v1", "system:pager", timedelta())


def test_pages_in_the_order_in_which_they_were_queued(bench: Bench, queries: Queries) -> None:
    bench.deliver(log(story()), 100)
    found = queries.pages("INC-7")
    assert [(p.id, p.user, p.status) for p in found] == [
        (stream_uuid(page("a")), "ada", "sent"),
        (stream_uuid(page("b")), "grace", "failed"),
        (stream_uuid(page("d")), "ada", "cancelled"),
    ]


def test_questions_cannot_write(queries: Queries) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), queries._connection() as connection:
        connection.execute("delete from incidents")


def test_questions_survive_the_loss_of_every_connection(queries: Queries, store_dsn: str) -> None:
    assert queries.position() == 0
    with psycopg.connect(store_dsn, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert queries.position() == 0


def test_a_real_store_told_in_counts_and_words(queries: Queries, store_dsn: str) -> None:
    store = PostgresStore(store_dsn)
    world = MemoryWorld(store)
    world.fire("ServiceDown", service="payments", pod="a")
    world.advance(seconds=10)
    world.fire("ServiceDown", service="payments", pod="b")
    world.advance(minutes=6)
    world.fire("ServiceDown", service="payments", pod="b")
    world.end("ServiceDown", service="payments", pod="a")
    world.ack("INC-1", by="grace")
    projector = Projector(store, store_dsn)
    while projector.step():
        pass

    first = queries.incident("INC-1")
    assert first is not None
    assert (first.alerts_firing, first.alerts_total) == (1, 2)
    assert first.last_alert_at == START + timedelta(minutes=6, seconds=10)
    assert first.acknowledged_by == "user:grace"
    assert (first.status, first.first_paged_at) == ("acknowledged", START)
    assert {(p.user, p.status) for p in queries.pages("1")} == {("ada", "sent"), ("grace", "sent")}

    world.advance(minutes=1)
    world.end("ServiceDown", service="payments", pod="b")
    world.advance(hours=1)
    world.fire("ServiceDown", service="payments", pod="b")
    while projector.step():
        pass
    projector.leave()
    store.close()

    second, first = queries.incidents().incidents
    assert (second.name, second.alerts_firing, second.alerts_total) == ("INC-2", 1, 1)
    assert (first.name, first.alerts_firing, first.alerts_total) == ("INC-1", 0, 2)
    assert first.last_alert_at == START + timedelta(minutes=7, seconds=10)
    assert first.resolved_by == "integration:alertmanager"
    timeline = queries.timeline("INC-1")
    assert timeline is not None
    assert [entry.text for entry in timeline.entries] == [
        f"alert ServiceDown (fingerprint {A}) fires",
        "INC-1 opened for team platform with severity critical",
        "escalation by policy two-steps began",
        "step 1: ada paged by email",
        "page to ada by email queued (step 1, round 1)",
        "page to ada by email sent (step 1, round 1)",
        f"alert ServiceDown (fingerprint {B}) fires",
        "escalated to step 2: grace paged by email",
        "page to grace by email queued (step 2, round 1)",
        "page to grace by email sent (step 2, round 1)",
        f"alert with fingerprint {A} ended",
        "escalation stopped: acknowledged",
        "grace acknowledged",
        f"alert with fingerprint {B} ended",
        "resolved: its last alert ended",
    ]
