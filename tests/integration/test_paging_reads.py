"""Who was told in which message, and who will be told next and when."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from domain import escalations, pages
from domain.ids import stream_uuid
from projections.database import READ_SCHEMA
from projections.queries import Queries
from streams.store.migrate import migrate
from tests.projecting import (
    AM,
    ESCALATION,
    INCIDENT,
    PAGER,
    POLICY,
    T0,
    Bench,
    Happening,
    given,
    log,
    opened,
    page,
    queued,
)
from tests.read_world import ReadWorld, read_world

OTHER = INCIDENT[:-1] + "9"
BEGIN: list[Happening] = [
    (INCIDENT, opened(), AM),
    (OTHER, opened(8), AM),
    (ESCALATION, escalations.Started(INCIDENT, 1, POLICY, T0, "r-1"), AM),
]


@pytest.fixture
def world(store_dsn: str) -> Iterator[ReadWorld]:
    migrate(store_dsn, "projections", READ_SCHEMA)
    with read_world(store_dsn) as made:
        yield made


def sent(name: str, delivery: str, attempt: int = 1, repeat: bool = False) -> Happening:
    return page(name), pages.Sent(delivery, attempt, repeat), PAGER


def asked(dsn: str, happened: list[Happening], ref: str = "INC-7") -> Any:
    bench = Bench(dsn, READ_SCHEMA)
    bench.deliver(log([*BEGIN, *happened]), 100)
    queries = Queries(dsn, pool_size=1)
    try:
        return queries.deliveries(ref)
    finally:
        queries.close()


# -- messages ----------------------------------------------------------------------------------------------------------


def test_a_message_shows_all_that_it_carried(store_dsn: str) -> None:
    other = (page("c"), pages.Queued(ESCALATION, OTHER, 1, 1, "ada", "email"), PAGER)
    happened = [queued("a"), queued("b", step=2), other, sent("a", "d-1"), sent("b", "d-1"), sent("c", "d-1")]

    (delivery,) = asked(store_dsn, happened)

    assert (delivery.id, delivery.user, delivery.method, delivery.outcome) == ("d-1", "ada", "email", "sent")
    (attempt,) = delivery.attempts
    assert (attempt.number, attempt.outcome, attempt.possible_repeat, attempt.reason) == (1, "sent", False, None)
    assert attempt.at == T0 + timedelta(seconds=7)
    assert {(one.id, one.incident, one.step) for one in attempt.pages} == {
        (stream_uuid(page("a")), "INC-7", 1),
        (stream_uuid(page("b")), "INC-7", 2),
        (stream_uuid(page("c")), "INC-8", 1),
    }


def test_attempts_and_possible_repeats_in_order(store_dsn: str) -> None:
    happened: list[Happening] = [
        queued("a"),
        (page("a"), pages.Unknown("d-1", 1, "claim_expired"), PAGER),
        (page("a"), pages.Unknown("d-1", 2, "timeout"), PAGER),
        sent("a", "d-1", 4, repeat=True),
        queued("b", user="grace"),
        (page("b"), pages.Failed("d-2", 8, "recipient: 550 5.1.1"), PAGER),
    ]
    first, second = asked(store_dsn, happened)

    assert [(a.number, a.outcome, a.possible_repeat, a.reason) for a in first.attempts] == [
        (1, "unknown", False, "claim_expired"),
        (2, "unknown", True, "timeout"),
        (4, "sent", True, None),
    ]
    assert (first.outcome, second.outcome, second.user) == ("sent", "failed", "grace")
    assert (second.attempts[0].reason, second.attempts[0].possible_repeat) == ("recipient: 550 5.1.1", False)


def test_a_failure_after_an_unknown_attempt_may_be_a_repeat(postgres_dsn: str) -> None:
    happened: list[Happening] = [
        queued("a"),
        (page("a"), pages.Unknown("d-1", 1, "timeout"), PAGER),
        (page("a"), pages.Failed("d-1", 2, "refused"), PAGER),
    ]
    rows = given(postgres_dsn, log([*BEGIN, *happened]))["attempts"]
    assert [(row["number"], row["outcome"], row["possible_repeat"]) for row in rows] == [
        (1, "unknown", False),
        (2, "failed", True),
    ]


def test_messages_of_an_incident_that_was_never_told(store_dsn: str) -> None:
    assert asked(store_dsn, [queued("a"), sent("a", "d-1")], "INC-8") == ()
    assert asked(store_dsn, [], "nonsense") == ()


def test_messages_over_http(world: ReadWorld) -> None:
    world.fire("ServiceDown", service="payments")
    (delivery,) = world.ask("/api/v1/incidents/INC-1/deliveries")
    assert (delivery["user"], delivery["outcome"], delivery["attempts"][0]["pages"][0]["incident"]) == (
        "ada",
        "sent",
        "INC-1",
    )
    assert world.response("/api/v1/incidents/INC-9/deliveries").status_code == 404


# -- deadlines ---------------------------------------------------------------------------------------------------------


def steps(world: ReadWorld, **query: Any) -> list[dict[str, Any]]:
    return [due for due in world.ask("/api/v1/due", **query)["due"] if due["kind"] == "escalate"]


def test_who_is_paged_next_and_when(world: ReadWorld) -> None:
    began = world.now()
    world.fire("ServiceDown", service="payments")

    (due,) = steps(world)

    assert due["at"] == (began + timedelta(minutes=5)).isoformat().replace("+00:00", "Z")
    step = due["escalation"]
    assert (step["incident"], step["policy"], step["run"], step["loop"], step["step"]) == (
        "INC-1",
        "two-steps",
        1,
        1,
        2,
    )
    assert (step["targets"], step["ends"]) == (["team:platform/secondary"], False)
    assert step["pages"] == [{"user": "grace", "methods": ["email"]}]

    world.jump(minutes=6)
    (due,) = steps(world)
    assert (due["escalation"]["loop"], due["escalation"]["step"]) == (2, 1)
    assert [paged["user"] for paged in due["escalation"]["pages"]] == ["ada"]

    world.ack("INC-1")
    assert steps(world) == []


def test_the_channel_of_a_team_is_paged_next_and_was_paged(world: ReadWorld) -> None:
    channel = world.config.replace(
        "team: search, role: primary}], escalate_after: 5m", "team: search}], escalate_after: 5m"
    )
    world.configure(channel.replace("  search: {", "  search: {email: search@example.test, "))
    world.fire("SearchDown", service="catalogue", patience="yes")
    (due,) = steps(world)
    assert due["escalation"]["targets"] == ["team:search"]
    assert due["escalation"]["pages"] == [{"user": "team:search", "methods": ["email"]}]
    world.jump(seconds=31)
    (delivery,) = world.ask("/api/v1/incidents/INC-1/deliveries")
    (told,) = world.ask("/api/v1/incidents/INC-1/pages")
    assert (delivery["user"], told["user"], told["status"]) == ("team:search", "team:search", "sent")
    said = [entry["text"] for entry in world.ask("/api/v1/incidents/INC-1/timeline")["entries"]]
    assert "step 1: the channel of search paged by email" in said


def test_the_end_of_a_policy_is_said(world: ReadWorld) -> None:
    world.fire("SearchDown", service="catalogue")
    (due,) = steps(world)
    assert (due["escalation"]["ends"], due["escalation"]["pages"], due["escalation"]["targets"]) == (True, [], [])


def test_what_begins_again_is_no_end(world: ReadWorld) -> None:
    again = "  routes:\n    - {matchers: ['alertname=\"Again\"'], policy: search-only, repeat_interval: 2h}\n"
    world.configure(world.config.replace("  routes:\n", again))
    world.fire("Again", service="catalogue")
    world.jump(minutes=6)
    (due,) = steps(world)
    step = due["escalation"]
    assert (step["ends"], step["repeats"], step["run"], step["loop"], step["step"]) == (False, True, 2, 1, 1)
    (told,) = step["pages"]
    world.jump(hours=2)
    assert [page["user"] for page in world.ask("/api/v1/incidents/INC-1/pages")] == [told["user"]] * 2


def test_deadlines_of_one_incident_of_one_kind_and_page_by_page(world: ReadWorld, store_dsn: str) -> None:
    world.fire("ServiceDown", service="payments")
    world.fire("SearchDown", service="catalogue")
    with psycopg.connect(store_dsn) as connection:
        connection.execute(
            "insert into tocsin.due (kind, key, at, rev, held) values ('other', 'a key', '2026-01-01', 1, 'c/t/0')"
        )

    def keys(**query: Any) -> list[str]:
        listed = world.ask("/api/v1/due", **query)
        found = [due["escalation"]["incident"] if due["escalation"] else due["key"] for due in listed["due"]]
        return found + (keys(**{**query, "cursor": listed["next_cursor"]}) if listed["next_cursor"] else [])

    assert keys(kind="escalate,other", limit=1)[0] == "a key"
    assert sorted(keys(kind="escalate,other", limit=1)) == sorted(keys(kind=["escalate", "other"]))
    assert sorted(keys(kind="escalate")) == ["INC-1", "INC-2"]
    assert keys(incident="INC-2") == ["INC-2"]
    assert keys(incident="INC-9") == []
    assert [due["held"] for due in world.ask("/api/v1/due", kind="escalate,other")["due"]] == [True, False, False]


@pytest.mark.parametrize(
    ("query", "field"), [({"incident": "x"}, "incident"), ({"cursor": "x"}, "cursor"), ({"limit": "1000"}, "limit")]
)
def test_a_wrong_question_names_the_field(world: ReadWorld, query: dict[str, str], field: str) -> None:
    response = world.response("/api/v1/due", **query)
    assert (response.status_code, response.json()["field"]) == (422, field)


def test_where_an_escalation_stands_can_be_told_in_any_order_of_delivery(postgres_dsn: str) -> None:
    notified = escalations.Notified("user:grace", "grace", "email", page("a"))
    happened: list[Happening] = [
        *BEGIN,
        (ESCALATION, escalations.StepSkipped(1, 1, T0, "nobody_reachable", T0), PAGER),
        (ESCALATION, escalations.StepNotified(1, 2, T0, (notified,), T0), PAGER),
    ]
    (row,) = given(postgres_dsn, log(happened))["escalations"]
    assert (row["status"], row["loop"], row["step"]) == ("notified", 2, 1)
