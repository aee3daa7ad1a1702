"""What people ask costs what they are shown, however much there is."""

from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest

from domain.config import Config, Policy, Step
from projections import alert_queries, incident_queries, paging_queries
from projections.alert_queries import AlertFilter
from projections.database import READ_SCHEMA
from streams.store.migrate import migrate
from tests.plans import Explaining, explaining

ALERTS, OLD, LOOK, LOOKS = 5_000, 3, 100, 4
FILL: LiteralString = """
insert into tocsin.alert_state (id, integration, fingerprint, status, severity, rev, source_time, received_at, receipt,
                                first_seen, last_seen, count, payload)
select md5(n::text)::uuid, 'am', n::text, 'firing', 'critical', 1, now(), now(), 'r',
       timestamptz '2026-03-02' + n / 3 * interval '1 second', now(), 1, 'alert/' || n
from generate_series(1, %(alerts)s) as n;
insert into tocsin.payloads (ref, salt, body)
select 'alert/' || n, '', convert_to(format(
    '{"fingerprint":"%%s","labels":{"alertname":"A%%s","pod":"%%s"},"severity":"critical","status":"firing"}',
    n, n, case when n <= %(old)s then 'rare' else 'other' end), 'UTF8')
from generate_series(1, %(alerts)s) as n
"""
RARE = AlertFilter(labels=(("pod", "rare"),))


@pytest.fixture
def connection(store_dsn: str) -> Iterator[Explaining]:
    migrate(store_dsn, "projections", READ_SCHEMA)
    with psycopg.connect(store_dsn, autocommit=True) as filling:
        for statement in FILL.split(";"):
            psycopg.ClientCursor(filling).execute(statement, {"alerts": ALERTS, "old": OLD})
        filling.execute("vacuum analyze")
    with explaining(store_dsn) as made:
        yield made


# -- alerts ------------------------------------------------------------------------------------------------------------


def test_a_search_for_a_rare_label_reads_a_bounded_number_of_alerts_and_goes_on(
    connection: Explaining, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.alert_queries.LOOK", LOOK, raising=False)
    monkeypatch.setattr("projections.alert_queries.LOOKS", LOOKS)
    pages = list(_pages(connection, RARE, limit=10))
    assert [name for page in pages for name in page] == ["A3", "A2", "A1"]
    assert len(pages) == ALERTS // (LOOK * LOOKS) + 1, "each but the last is empty, and has a cursor"
    assert max(max(read.values()) for read in connection.read) <= LOOK


def test_a_label_that_all_have_reads_no_more_than_is_shown(connection: Explaining) -> None:
    common = AlertFilter(labels=(("pod", "other"),))
    first = alert_queries.listed(connection, common, 10, None)
    assert (len(first.alerts), first.alerts[0].name) == (10, f"A{ALERTS}")
    assert max(connection.read[-1].values()) <= 20


def test_pages_of_a_search_have_all_and_no_more(connection: Explaining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.alert_queries.LOOK", LOOK, raising=False)
    with psycopg.connect(connection.info.dsn, password=connection.info.password) as changing:
        changing.execute(
            "update tocsin.payloads set body = convert_to(replace(convert_from(body, 'UTF8'), 'other', 'rare'), 'UTF8')"
            " where ref ~ '[05]{2}$'"
        )
        rare = changing.execute(
            "select count(*) from tocsin.payloads where convert_from(body, 'UTF8') like '%rare%'"
        ).fetchone()
    for limit in (1, 7, 50, 200):
        names = [name for page in _pages(connection, RARE, limit) for name in page]
        assert rare == (len(names),)
        assert len(set(names)) == len(names)


def _pages(connection: Explaining, wanted: AlertFilter, limit: int) -> Iterator[list[str]]:
    cursor = None
    while True:
        page = alert_queries.listed(connection, wanted, limit, cursor)
        yield [alert.name for alert in page.alerts]
        assert len(page.alerts) <= limit
        if (cursor := page.next_cursor) is None:
            return


# -- timelines ---------------------------------------------------------------------------------------------------------

ENTRIES = 5_000
FILL_TIMELINE: LiteralString = """
insert into read_models.incidents (id, number, title, status, severity, service, team, policy, started_at, opened_at,
                                   assignees, version, position)
values ('incident-one', 7, 'Down', 'triggered', 'high', 's', 't', 'p', now(), now(), '{}', 1, 1);
insert into read_models.timeline (incident, position, at, type, text, actor, origin, correlation_id)
select 'incident-one', n, now(), 'group.alert_fired.v1', n || ' fires', 'integration:am', 'webhook', 'r'
from generate_series(1, %(entries)s) as n
"""


@pytest.fixture
def eventful(connection: Explaining) -> Explaining:
    """An incident to which much has happened."""
    with psycopg.connect(connection.info.dsn, password=connection.info.password, autocommit=True) as filling:
        for statement in FILL_TIMELINE.split(";"):
            psycopg.ClientCursor(filling).execute(statement, {"entries": ENTRIES})
        filling.execute("vacuum analyze")
    return connection


def test_the_last_of_a_timeline_reads_no_more_than_is_shown(eventful: Explaining) -> None:
    found = incident_queries.timeline(eventful, ("number", 7), 10, None)
    assert found is not None
    assert [entry.position for entry in found.entries] == [*range(ENTRIES - 9, ENTRIES + 1)]
    assert eventful.read[-1]["timeline"] == 11


def test_all_of_a_timeline_is_found_from_its_end_to_its_beginning(eventful: Explaining) -> None:
    seen: list[int] = []
    cursor, more = None, True
    while more:
        found = incident_queries.timeline(eventful, ("number", 7), 700, cursor)
        assert found is not None
        seen = [entry.position for entry in found.entries] + seen
        cursor, more = found.next_cursor, found.next_cursor is not None
    assert seen == [*range(1, ENTRIES + 1)]


# -- deadlines ---------------------------------------------------------------------------------------------------------

DEADLINES, KINDS, LIMIT = 6_000, ("escalate", "expire", "heartbeat", "review"), 20
FILL_DUE: LiteralString = """
insert into tocsin.due (kind, key, at, rev)
select (%(kinds)s::text[])[1 + n %% 4 %% 3], 'escalation-' || n,
       timestamptz '2026-03-02' + n * 7 %% 997 * interval '1 second', 1
from generate_series(1, %(deadlines)s) as n;
insert into tocsin.due (kind, key, at, rev) values ('review', 'one', '2026-03-02 00:01', 1);
insert into read_models.incidents (id, number, title, status, severity, service, team, policy, started_at, opened_at,
                                   assignees, version, position)
select 'incident-' || n, n, 'Down', 'triggered', 'high', 's', 't', 'p', now(), now(), '{}', 1, n
from generate_series(1, %(deadlines)s) as n;
insert into read_models.escalations (id, incident, run, policy, first_at, correlation_id, position, status, loop, step)
select 'escalation-' || n, 'incident-' || n, 1, %(policy)s, now(), 'r', n, 'pending', 1, 1
from generate_series(1, %(deadlines)s) as n;
vacuum analyze
"""
IN_ORDER: LiteralString = """
select kind, key from tocsin.due where kind = any(%(kinds)s) order by at, kind, key
"""


@pytest.fixture
def deadlines(store_dsn: str) -> Iterator[Explaining]:
    policy = paging_queries.POLICY.dump_json(Policy("p", (Step((), 300),))).decode()
    given = {"kinds": list(KINDS), "deadlines": DEADLINES, "policy": policy}
    migrate(store_dsn, "projections", READ_SCHEMA)
    with psycopg.connect(store_dsn, autocommit=True) as filling:
        for statement in FILL_DUE.split(";\n"):
            psycopg.ClientCursor(filling).execute(statement, given)
    with explaining(store_dsn) as made:
        yield made


@pytest.mark.parametrize("kinds", [(), ("escalate", "review"), ("nothing",)])
def test_a_page_of_deadlines_reads_no_more_of_each_kind_than_it_may_show(
    deadlines: Explaining, kinds: tuple[str, ...]
) -> None:
    everything = psycopg.Connection.execute(deadlines, IN_ORDER, {"kinds": list(kinds or KINDS)}).fetchall()
    found, cursor = [], None
    for _ in range(12):
        page = paging_queries.due(deadlines, Config(), kinds, None, LIMIT, cursor)
        found += [{"kind": due.kind, "key": due.key} for due in page.due]
        if (cursor := page.next_cursor) is None:
            break
    assert found == everything[: len(found)]
    assert cursor or len(found) == len(everything)
    ties = DEADLINES // 997 + 1
    for read in deadlines.read:
        assert read["due"] <= len(KINDS) * (LIMIT + 2 * ties + 2), read
        assert max(read["escalations"], read["incidents"]) <= LIMIT + 1, read


def test_deadlines_of_one_incident_are_looked_up(deadlines: Explaining) -> None:
    for number, kind in ((4, "escalate"), (5, "expire")):
        page = paging_queries.due(deadlines, Config(), (), ("number", number), LIMIT, None)
        assert [(due.kind, due.key) for due in page.due] == [(kind, f"escalation-{number}")]
    again = paging_queries.due(deadlines, Config(), ("review",), ("id", "incident-5"), LIMIT, None)
    assert again.due == ()
    assert max(max(read.values()) for read in deadlines.read) <= len(KINDS) + 2
