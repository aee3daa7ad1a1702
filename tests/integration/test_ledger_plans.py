"""What an auditor asks of a log costs what is found, however long the log is."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, LiteralString

import psycopg
import pytest

from streams.store.ledger import Line, PostgresLedger
from streams.store.postgres import SCHEMA
from tests.plans import nodes, rows_read

INCIDENTS, EACH, ERASURES = 2_000, 10, 5
FILL: LiteralString = """
insert into stored_events (originator_id, originator_version, topic, state, notification_id, hash)
select 'incident-' || md5(n::text), v, case v when 1 then 'incident.opened.v1' else 'incident.commented.v1' end,
       convert_to(format('{"data":{"number":%%s,"title":"\\u0000 \\"number\\":7,","episode":7}}', n), 'UTF8'),
       (n - 1) * %(each)s + v, ''
from generate_series(1, %(incidents)s) as n, generate_series(1, %(each)s) as v;
insert into stored_events (originator_id, originator_version, topic, state, notification_id, hash)
select 'erasure-' || n, 1, 'erasure.payload_erased.v1', '{}', %(incidents)s * %(each)s + n, ''
from generate_series(1, %(erasures)s) as n;
analyze
"""


class Planned(PostgresLedger):
    """A ledger of which it is known how Postgres answers it: `plans`."""

    plans: list[dict[str, Any]]

    def _rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        if query.startswith("select"):
            self.plans.append(super()._rows("explain (analyze, format json) " + query, *params)[0][0][0]["Plan"])
        return super()._rows(query, *params)


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
def ledger(store_dsn: str, request: pytest.FixtureRequest) -> Iterator[Planned]:
    given = {"incidents": INCIDENTS, "each": EACH, "erasures": ERASURES}
    with psycopg.connect(store_dsn, autocommit=True, options=f"-c search_path={SCHEMA}") as connection:
        for statement in FILL.split(";\n"):
            psycopg.ClientCursor(connection).execute(statement, given)
    with closing(Planned(store_dsn)) as made:
        made._settings["plan_cache_mode"] = request.param
        made.plans = []
        yield made


def test_an_incident_is_found_by_its_number_without_reading_the_log(ledger: Planned) -> None:
    for number in (1, 7, 70, INCIDENTS):
        with psycopg.connect(ledger._dsn) as connection:
            row = connection.execute("select 'incident-' || md5(%s::text)", (number,)).fetchone()
        assert row == (ledger.opened(number),)
    assert ledger.opened(INCIDENTS + 1) is None
    assert ledger.opened(10**30) is None
    _bounded(ledger, 1)


def test_streams_of_a_rare_kind_are_found_without_reading_the_log(ledger: Planned) -> None:
    head = INCIDENTS * EACH
    assert _positions(ledger.of_kind("erasure", 0, 3)) == [head + 1, head + 2, head + 3]
    assert _positions(ledger.of_kind("erasure", head + 3, 3)) == [head + 4, head + 5]
    assert ledger.of_kind("erasure", head + 5, 3) == []
    assert ledger.of_kind("intake", 0, 3) == []
    _bounded(ledger, 2 * ERASURES)


def _positions(lines: list[Line]) -> list[int]:
    return [line.position for line in lines]


def _bounded(ledger: Planned, most: int) -> None:
    for plan in ledger.plans:
        assert not [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"], plan
        assert rows_read(plan)["stored_events"] <= most, plan
