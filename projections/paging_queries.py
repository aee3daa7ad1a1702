"""Who was told, in which messages, and who will be told next; asked of one connection."""

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import DictRow
from pydantic import TypeAdapter

from domain.config import Config, Policy
from domain.escalations import Escalation, EscalationStatus
from domain.ids import stream_uuid
from domain.stepping import methods
from projections.references import Key, cursor_time, incident_name, read_cursor, write_cursor
from schemas.api import PageView
from schemas.api_reads import CarriedPage, DeliveryAttempt, DeliveryView, DueList, DueStep, DueView, WouldPage

Connection = psycopg.Connection[DictRow]

PAGES = sql.SQL(
    """
select p.id, p."user", p.method, p.loop, p.step, p.status, p.queued_at, p.settled_at, p.delivery, p.reason
from pages p join incidents i on i.id = p.incident where i.{column} = %s
order by p.queued_at, p.loop, p.step, p."user", p.method, p.id
"""
)
ATTEMPTS = sql.SQL(
    """
with wanted as (
    select delivery, min(position) as first from attempts
    where incident = (select id from incidents where {column} = %s) group by delivery
)
select a.*, w.first, p."user", p.method, p.loop, p.step, i.number as incident_number
from wanted w join attempts a using (delivery) join pages p on p.id = a.page join incidents i on i.id = a.incident
order by w.first, a.delivery, a.number, a.outcome, a.position
"""
)
KINDS: LiteralString = """
with recursive known(kind) as (
    (select kind from due order by kind limit 1)
    union all
    select (select d.kind from due d where d.kind > known.kind order by d.kind limit 1)
    from known where known.kind is not null
), asked as (
    select kind from known where kind is not null and (cardinality(%(kinds)s::text[]) = 0 or kind = any(%(kinds)s))
)
"""
"""Whatever kinds there are, each found by one look into an index."""
NEXT: LiteralString = """
select d.* from asked cross join lateral (
    select * from due d where d.kind = asked.kind and {after} order by d.at, d.key limit %(limit)s
) d
"""
"""Of each kind as many as a page has, in order of the index that it has."""
OF_INCIDENT: LiteralString = """
select d.* from incidents i join escalations e on e.incident = i.id cross join asked
join due d on d.kind = asked.kind and d.key = e.id where i.{column} = %(incident)s and {after}
"""
AFTER: LiteralString = "d.at >= %(at)s and (d.at, d.kind, d.key) > (%(at)s, %(kind)s, %(key)s)"
DUE: LiteralString = """
{kinds}, page as ({rows} order by at, kind, key limit %(limit)s)
select d.kind, d.key, d.at, d.held is not null as held,
       i.number, i.id as incident, i.title, e.run, e.loop, e.step, e.policy, e.status
from page d left join escalations e on e.id = d.key left join incidents i on i.id = e.incident
order by d.at, d.kind, d.key
"""
PLACE = re.compile(r"due (\S{20,40}) (\S+) (.+)", re.DOTALL)
POLICY = TypeAdapter(Policy)


def pages(connection: Connection, key: Key) -> tuple[PageView, ...]:
    """Who was told about an incident, or was to be told, in order of time."""
    column, value = key
    rows = connection.execute(PAGES.format(column=sql.Identifier(column)), (value,)).fetchall()
    return tuple(PageView(**{**row, "id": stream_uuid(row["id"])}) for row in rows)


# -- messages ----------------------------------------------------------------------------------------------------------


def deliveries(connection: Connection, key: Key) -> tuple[DeliveryView, ...]:
    """The messages that carried an incident's pages, each with all that it carried, in order of their first outcome."""
    column, value = key
    rows = connection.execute(ATTEMPTS.format(column=sql.Identifier(column)), (value,)).fetchall()
    return tuple(_delivery(list(of_one)) for _, of_one in groupby(rows, key=lambda row: row["delivery"]))


def _delivery(rows: list[DictRow]) -> DeliveryView:
    said_together = groupby(rows, key=lambda row: (row["number"], row["outcome"], row["possible_repeat"]))
    attempts = sorted((_attempt(list(group)) for _, group in said_together), key=lambda a: (a.number, a.at))
    return DeliveryView(
        id=rows[0]["delivery"],
        user=rows[0]["user"],
        method=rows[0]["method"],
        outcome=attempts[-1].outcome,
        attempts=tuple(attempts),
    )


def _attempt(rows: list[DictRow]) -> DeliveryAttempt:
    first = rows[0]
    return DeliveryAttempt(
        number=first["number"],
        at=first["at"],
        outcome=first["outcome"],
        possible_repeat=first["possible_repeat"],
        reason=first["reason"],
        pages=tuple(_carried(row) for row in rows),
    )


def _carried(row: Mapping[str, Any]) -> CarriedPage:
    return CarriedPage(
        id=stream_uuid(row["page"]),
        incident=incident_name(row["incident_number"]),
        loop=row["loop"],
        step=row["step"],
    )


# -- deadlines ---------------------------------------------------------------------------------------------------------


def due(
    connection: Connection,
    config: Config,
    kinds: tuple[str, ...],
    incident: Key | None,
    limit: int,
    cursor: str | None,
) -> DueList:
    """What will happen by itself, the next first; `config` says whom a step pages. Raises BadCursor."""
    asked: dict[str, Any] = {"kinds": list(kinds), "limit": limit + 1}
    rows_of, after, column = NEXT, "true", ""
    if incident:
        rows_of, (column, asked["incident"]) = OF_INCIDENT, incident
    if cursor is not None:
        at, asked["kind"], asked["key"] = read_cursor(cursor, PLACE)
        after, asked["at"] = AFTER, cursor_time(at)
    named = sql.SQL(rows_of).format(after=sql.SQL(after), column=sql.Identifier(column or "id"))
    rows = connection.execute(sql.SQL(DUE).format(kinds=sql.SQL(KINDS), rows=named), asked).fetchall()
    more = None
    if len(rows) > limit:
        last = rows[limit - 1]
        more = write_cursor("due", last["at"].isoformat(), last["kind"], last["key"])
    return DueList(due=tuple(_due(row, config) for row in rows[:limit]), next_cursor=more)


def _due(row: Mapping[str, Any], config: Config) -> DueView:
    step = _step(row, config) if row["number"] is not None else None
    return DueView(kind=row["kind"], key=row["key"], at=row["at"], held=row["held"], escalation=step)


def _step(row: Mapping[str, Any], config: Config) -> DueStep:
    policy, repeats = POLICY.validate_python(row["policy"]), row["status"] == EscalationStatus.EXHAUSTED
    run, place = row["run"], (row["loop"], row["step"])
    if repeats:
        policy, run, place = config.policies.get(policy.id, policy), run + 1, (1, 1)
    step = Escalation(policy=policy, loop=place[0], step=place[1]).next_step
    targets = step.targets if step else ()
    people = dict.fromkeys(user for target in targets for user in config.people(target))
    return DueStep(
        incident=incident_name(row["number"]),
        incident_id=stream_uuid(row["incident"]),
        title=row["title"],
        policy=policy.id,
        run=run,
        loop=place[0],
        step=place[1],
        targets=tuple(map(str, targets)),
        pages=tuple(WouldPage(user=user, methods=methods(config, user)) for user in people),
        ends=step is None,
        repeats=repeats,
    )
