"""What inhibition asks Postgres costs what is looked for, not what fires."""

import psycopg
import pytest

from streams.store.inhibiting import INHIBITED, SOURCES, THERE
from streams.store.postgres import SCHEMA

FIRING, PLACES, ASKED = 20_000, 50, 20
FILL = """
insert into alert_state (id, integration, fingerprint, status, severity, rev, source_time, received_at, receipt,
                         first_seen, last_seen, count, "group")
select md5(n::text)::uuid, 'am', n::text, 'firing', 'critical', 1, now(), now(), 'r', now(), now(), 1, 'group-x'
from generate_series(1, %(firing)s) as n;
insert into inhibition (rule, key, alert, is_source, is_target)
select 'worse', n %% %(places)s, md5(n::text)::uuid, true, false from generate_series(1, %(firing)s) as n;
analyze
"""


@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
def test_no_question_reads_all_that_fires(store_dsn: str, plan: str) -> None:
    rules, keys = ["worse"] * ASKED, [str(number) for number in range(ASKED)]
    alerts, sides = ["00000000-0000-0000-0000-000000000000"] * ASKED, [False] * ASKED
    asked = {
        SOURCES: (rules, keys),
        INHIBITED: (rules, keys, alerts, sides, alerts[:1]),
        THERE: (rules, keys, sides),
    }
    with psycopg.connect(
        store_dsn, autocommit=True, options=f"-c search_path={SCHEMA} -c plan_cache_mode={plan}"
    ) as connection:
        for statement in FILL.split(";"):
            psycopg.ClientCursor(connection).execute(statement, {"firing": FIRING, "places": PLACES})
        for query, params in asked.items():
            found = connection.execute("explain " + query, params, prepare=True).fetchall()
            read = [line for (line,) in found if "Seq Scan" in line]
            assert not read, "\n".join(line for (line,) in found)
