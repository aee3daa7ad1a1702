"""What a question costs Postgres: how many rows of which table its statements read."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from projections.database import READ_SCHEMA, STORE_SCHEMA, conninfo


class Explaining(psycopg.Connection[DictRow]):
    """A connection that also runs each question under EXPLAIN ANALYZE; `read` has, for each, rows by table."""

    read: list[Mapping[str, int]]

    def execute(self, query: Any, params: Any = None, **further: Any) -> psycopg.Cursor[DictRow]:
        said = query if isinstance(query, str) else query.as_string(self)
        if "select" in said:
            row = super().execute("explain (analyze, format json) " + said, params).fetchone()
            assert row is not None
            self.read.append(rows_read(row["QUERY PLAN"][0]["Plan"]))
        return super().execute(query, params, **further)


def explaining(dsn: str) -> Explaining:
    """A connection to the read models and the store, as `projections.queries` has them."""
    asked = conninfo(dsn, (READ_SCHEMA, STORE_SCHEMA), 30, plan_cache_mode="force_custom_plan")
    connection = Explaining.connect(asked, autocommit=True, row_factory=dict_row)
    connection.read = []
    return connection


def rows_read(plan: Mapping[str, Any]) -> Mapping[str, int]:
    """Rows that the scans of a plan that was run have looked at, by table."""
    found: Counter[str] = Counter()
    for node in nodes(plan):
        if table := node.get("Relation Name"):
            removed = sum(value for name, value in node.items() if name.startswith("Rows Removed"))
            found[table] += (node["Actual Rows"] + removed) * node["Actual Loops"]
    return found


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A plan's nodes, itself first."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)
