"""How fast people are: response times of one incident and of many, from the first times that incidents keep.

Seconds. What a clock that is ahead makes negative counts as 0.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString, get_args

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from schemas.api_reads import By, ResponseGroup, ResponseMetrics, ResponseTimes, Spread

FROM_TO: Mapping[str, tuple[LiteralString, LiteralString]] = {
    "detect": ("started_at", "opened_at"),
    "acknowledge": ("opened_at", "first_acknowledged_at"),
    "acknowledge_after_page": ("first_paged_at", "first_acknowledged_at"),
    "resolve": ("opened_at", "first_resolved_at"),
}
"""What is measured: from one time of an incident to another."""

MEASURES = sql.SQL(", ").join(
    sql.SQL("({name}, extract(epoch from {until} - {since})::float8)").format(
        name=sql.Literal(name), since=sql.Identifier(since), until=sql.Identifier(until)
    )
    for name, (since, until) in FROM_TO.items()
)
METRICS = sql.SQL(
    """
select {by} as name, grouping({by}) as overall, measure, count(*) as incidents, count(seconds) as count,
       avg(seconds) as mean, percentile_cont(array[0.5, 0.9]) within group (order by seconds) as parts
from incidents
cross join lateral (values {measures}) as measured(measure, measured_seconds)
cross join lateral (
    select case when measured_seconds < 0 then 0 else measured_seconds end as seconds
) as clamped
where opened_at >= %(since)s and opened_at < %(until)s
group by grouping sets (({by}, measure), (measure))
"""
)


def of_incident(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The response times of an incident's row, by name of the field in the API."""
    return {f"time_to_{name}": _seconds(row[since], row[until]) for name, (since, until) in FROM_TO.items()}


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    return max(0.0, (until - since).total_seconds()) if since and until else None


def metrics(connection: psycopg.Connection[DictRow], by: By, since: datetime, until: datetime) -> ResponseMetrics:
    """Response times of the incidents opened from `since` up to, not including, `until`; the largest group first.

    Raises ValueError for anything that cannot be grouped by.
    """
    if by not in get_args(By):
        raise ValueError(f"incidents are not grouped by {by}")
    query = METRICS.format(by=sql.Identifier(by), measures=MEASURES)
    rows = connection.execute(query, {"since": since, "until": until}).fetchall()
    overall: dict[str, Any] = dict.fromkeys(FROM_TO, Spread())
    groups: dict[str, dict[str, Any]] = {}
    for row in rows:
        found = overall if row["overall"] else groups.setdefault(row["name"], {"name": row["name"]})
        found["incidents"] = row["incidents"]
        found[row["measure"]] = _spread(row)
    ordered = sorted(groups.values(), key=lambda group: (-group["incidents"], group["name"]))
    return ResponseMetrics(
        by=by,
        since=since,
        until=until,
        overall=ResponseTimes(**overall),
        groups=tuple(ResponseGroup(**group) for group in ordered),
    )


def _spread(row: Mapping[str, Any]) -> Spread:
    median, p90 = row["parts"] or (None, None)
    return Spread(count=row["count"], mean=row["mean"], median=median, p90=p90)
