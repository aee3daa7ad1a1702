"""Event -> rows, on a real Postgres: every delivery of the same events leaves the same rows."""

from datetime import datetime, timedelta
from typing import Any

import orjson
import psycopg
import pytest

from domain import escalations, groups, incidents, pages
from domain.events import EVENT_TYPES
from projections.handlers import NOT_TOLD
from projections.tables import ProjectionFailed, as_json
from tests.projecting import (
    ADA,
    ALERT,
    AM,
    ESCALATION,
    GRACE,
    GROUP,
    INCIDENT,
    PAGER,
    POLICY,
    T0,
    Bench,
    Happening,
    fired,
    given,
    log,
    opened,
    page,
    queued,
    resolved,
    story,
)

BEGIN: list[Happening] = [
    (INCIDENT, opened(), AM),
    (ESCALATION, escalations.Started(INCIDENT, 1, POLICY, T0, "r-1"), AM),
]


def only(rows: dict[str, list[Any]], table: str = "incidents") -> dict[str, Any]:
    (row,) = rows[table]
    return {name: _time(value) for name, value in row.items()}


def _time(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) and value.startswith("2026-") else value


def at(position: int) -> datetime:
    return T0 + timedelta(seconds=position)


def test_every_event_type_is_told_or_said_to_concern_no_read_model(postgres_dsn: str) -> None:
    events = log(story())
    assert {event.type for event in events} == set(EVENT_TYPES), "the story lacks an event type"

    rows = given(postgres_dsn, events)

    told = {row["position"]: row["type"] for row in rows["timeline"]}
    assert told == {e.position: e.type for e in events if not isinstance(e.event, NOT_TOLD)}


def test_what_the_story_leaves(postgres_dsn: str) -> None:
    events = log(story())
    rows = given(postgres_dsn, events)
    by_ada = next(event.position for event in events if event.event == incidents.Resolved("person"))
    of_incident = [event.position for event in events if event.stream == INCIDENT]
    of_alert = max(event.position for event in events if getattr(event.event, "alert", None) == ALERT)

    incident = only(rows)
    assert incident["status"] == "resolved"
    assert incident["severity"] == "critical"
    assert incident["assignees"] == ["grace", "ada"]
    assert (incident["resolved_by"], incident["resolved_at"]) == ("user:ada", at(by_ada))
    assert incident["first_paged_at"] == at(11)
    assert (incident["version"], incident["position"]) == (len(of_incident), of_incident[-1])
    assert only(rows, "alerts") == {
        "incident": INCIDENT,
        "alert": ALERT,
        "last_report_at": at(of_alert),
        "position": of_alert,
    }
    assert {row["id"]: (row["status"], row["reason"], row["delivery"]) for row in rows["pages"]} == {
        page("a"): ("sent", None, "d-1"),
        page("b"): ("failed", "recipient: 550 5.1.1", "d-2"),
        page("d"): ("cancelled", "acknowledged", None),
    }
    assert [row["run"] for row in rows["escalations"]] == [1, 2]


def test_an_acknowledgement_belongs_to_the_first_who_took_it(postgres_dsn: str) -> None:
    taken: list[Happening] = [(INCIDENT, incidents.Acknowledged(), ADA), (INCIDENT, incidents.Started(), GRACE)]

    incident = only(given(postgres_dsn, log([*BEGIN, *taken])))

    assert (incident["acknowledged_by"], incident["acknowledged_at"]) == ("user:ada", at(3))
    assert incident["status"] == "in_progress"


def test_who_starts_to_work_has_acknowledged(postgres_dsn: str) -> None:
    incident = only(given(postgres_dsn, log([*BEGIN, (INCIDENT, incidents.Started(), GRACE)])))
    assert (incident["acknowledged_by"], incident["acknowledged_at"]) == ("user:grace", at(3))


@pytest.mark.parametrize("back", [incidents.Unacknowledged(), incidents.Reopened()], ids=lambda e: e.type)
def test_what_is_given_back_or_reopened_is_nobodys(postgres_dsn: str, back: incidents.IncidentEvent) -> None:
    taken: list[Happening] = [(INCIDENT, incidents.Acknowledged(), ADA), (INCIDENT, incidents.Resolved("person"), ADA)]

    incident = only(given(postgres_dsn, log([*BEGIN, *taken, (INCIDENT, back, ADA)])))

    assert incident["status"] == "triggered"
    for cleared in ("acknowledged_at", "acknowledged_by", "resolved_at", "resolved_by"):
        assert incident[cleared] is None


def test_resolved_by_the_integration_whose_last_alert_ended(postgres_dsn: str) -> None:
    incident = only(given(postgres_dsn, log([*BEGIN, (INCIDENT, incidents.Resolved("alerts_ended"), AM)])))
    assert incident["resolved_by"] == "integration:alertmanager"


def test_the_first_page_that_was_sent_counts_not_the_first_that_was_queued(postgres_dsn: str) -> None:
    happened = [
        *BEGIN,
        queued("a"),
        queued("b", user="grace"),
        (page("b"), pages.Sent("d-1", 1, possible_repeat=False), PAGER),
        (page("a"), pages.Sent("d-2", 1, possible_repeat=False), PAGER),
    ]
    incident = only(given(postgres_dsn, log(happened)))
    assert (incident["first_paged_at"], incident["position"]) == (at(5), 5)


def test_an_alert_is_told_before_its_incident_is_opened(postgres_dsn: str) -> None:
    """The fold writes the group's events first; a batch may end between the two."""
    events = log([(GROUP, resolved(), AM), (INCIDENT, opened(), AM)])
    assert [row["position"] for row in given(postgres_dsn, events)["timeline"]] == [1, 2]


def test_labels_may_hold_what_postgres_may_not(postgres_dsn: str) -> None:
    title = 'nul \0, backslash \\, both \\\0, written out \\u0000, quote "'
    rows = given(postgres_dsn, log([(INCIDENT, opened(title=title), AM)]))
    assert only(rows)["title"] == title.replace("\0", "\ufffd")


def test_json_of_rows_leaves_every_other_character_alone() -> None:
    text = "".join(chr(c) for c in range(0x250) if c) + "\u2028\ufffe😀"
    assert text in orjson.loads(as_json([text]))  # type: ignore[list-item]


def test_an_event_without_the_beginning_of_its_stream_stops_loudly(postgres_dsn: str) -> None:
    events = log([(INCIDENT, incidents.Resolved("person"), ADA)], start=41)
    bench = Bench(postgres_dsn, "read_models")

    with pytest.raises(ProjectionFailed, match=r"incident\.resolved\.v1 at position 41"):
        bench.deliver(events, 1)


def test_rows_that_cannot_be_written_stop_loudly_and_leave_nothing(postgres_dsn: str) -> None:
    other = INCIDENT[:-1] + "f"
    events = log([(INCIDENT, opened(7), AM), (other, opened(7), AM)], start=41)
    bench = Bench(postgres_dsn, "read_models")

    with pytest.raises(ProjectionFailed, match=r"positions 41 to 42, last incident\.opened\.v1"):
        bench.deliver(events, 2)

    assert bench.rows()["incidents"] == []


def test_no_statement_names_a_schema(postgres_dsn: str) -> None:
    """The shadow of a rebuild is written like the real thing, and nothing else is touched."""
    Bench(postgres_dsn, "shadow").deliver(log(story()), 10)
    with psycopg.connect(postgres_dsn) as connection:
        found = connection.execute("select distinct schemaname from pg_stat_user_tables").fetchall()
    assert found == [("shadow",)]


def test_a_row_that_has_seen_more_is_not_set_back(postgres_dsn: str) -> None:
    """Even when the batch did not load it: the statement itself refuses."""
    events = log([*BEGIN, (GROUP, fired(groups.AlertFired, None), AM), (GROUP, resolved(), AM)])
    bench = Bench(postgres_dsn, "read_models")
    bench.deliver(events, 10)
    before = bench.rows()

    bench.deliver(events[2:3], 1)

    assert bench.rows() == before
