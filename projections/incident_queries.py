"""Incidents and their timelines, asked of one connection. Read next: `queries`, which has the connections."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from domain.ids import stream_uuid
from projections import response_times
from projections.references import Key, incident_name, read_cursor, write_cursor
from schemas.api import IncidentList, IncidentView, Timeline, TimelineEntry

Connection = psycopg.Connection[DictRow]

INCIDENTS = sql.SQL(
    """
select i.*, a.*, p.body from (select * from incidents where {where} order by number desc limit {limit}) as i
cross join lateral (
    select count(*) filter (where s.status = 'firing') as alerts_firing, count(*) as alerts_total,
           max(greatest(r.last_report_at, s.last_seen)) as last_alert_at
    from (select alert, last_report_at from alerts where incident = i.id) as r
    full join (select id, status, last_seen from alert_state where incident = i.id) as s on s.id = r.alert
) as a
left join payloads p on p.ref = i.words
order by i.number desc
"""
)
CONDITIONS: Mapping[str, LiteralString] = {
    "status": "status = any(%(status)s)",
    "severity": "severity = any(%(severity)s)",
    "service": "service = any(%(service)s)",
    "team": "team = any(%(team)s)",
    "assignee": "assignees && %(assignee)s",
    "title": """(
        strpos(lower(title), lower(%(title)s)) > 0
        or exists (select from payloads p where p.ref = words
                   and strpos(lower(convert_from(p.body, 'UTF8')), lower(%(title)s)) > 0)
    )""",
    "opened_after": "opened_at >= %(opened_after)s",
    "opened_before": "opened_at < %(opened_before)s",
    "before": "number < %(before)s",
}
"""By field of the filter; `before` is the cursor's."""
TIMELINE = """
select t.position, t.at, t.type, t.text, t.actor, t.origin, t.correlation_id, p.body
from (select * from timeline where incident = %s and position < %s order by position desc limit %s) as t
left join payloads p on p.ref = t.words order by t.position
"""
END = 2**63 - 1
"""Behind every position."""
ENTRY = re.compile(r"entry ([0-9]{1,18})")
PLACE = re.compile(r"before ([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Incidents that are as asked in every respect; a field that is empty or None asks for nothing.

    Parameters:
        status, severity, service, team, assignee: one of these words.
        title: part of it, in any case.
        opened_after, opened_before: aware times, the first inclusive, the second exclusive.
    """

    status: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    team: tuple[str, ...] = ()
    assignee: tuple[str, ...] = ()
    title: str | None = None
    opened_after: datetime | None = None
    opened_before: datetime | None = None


def listed(connection: Connection, wanted: IncidentFilter, limit: int, cursor: str | None) -> IncidentList:
    """Incidents, newest first. Raises BadCursor."""
    asked = {field.name: _storable(getattr(wanted, field.name)) for field in fields(wanted)}
    given = {name: value for name, value in asked.items() if value not in (None, [], "")}
    if cursor is not None:
        given["before"] = int(read_cursor(cursor, PLACE)[0])
    where = sql.SQL(" and ").join([sql.SQL("true"), *(sql.SQL(CONDITIONS[name]) for name in given)])
    rows = connection.execute(INCIDENTS.format(where=where, limit=sql.Literal(limit + 1)), given).fetchall()
    more = write_cursor("before", str(rows[limit - 1]["number"])) if len(rows) > limit else None
    return IncidentList(incidents=tuple(map(_view, rows[:limit])), next_cursor=more)


def _storable(value: object) -> object:
    """A filter's value as rows would have it: they hold the replacement character for NUL, which Postgres refuses."""
    if isinstance(value, tuple):
        return [_storable(one) for one in value]
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def find(connection: Connection, key: Key) -> IncidentView | None:
    """One incident, None when there is none."""
    column, value = key
    where = sql.SQL("{} = %(value)s").format(sql.Identifier(column))
    row = connection.execute(INCIDENTS.format(where=where, limit=sql.Literal(1)), {"value": value}).fetchone()
    return _view(row) if row else None


def timeline(connection: Connection, key: Key, limit: int, cursor: str | None) -> Timeline | None:
    """An incident and the last of what happened to it, at one moment; None when there is none. Raises BadCursor."""
    before = int(read_cursor(cursor, ENTRY)[0]) if cursor is not None else END
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        incident = find(connection, key)
        if incident is None:
            return None
        rows = connection.execute(TIMELINE, (f"incident-{incident.id}", before, limit + 1)).fetchall()
    shown = rows[-limit:]
    more = write_cursor("entry", str(shown[0]["position"])) if len(rows) > limit else None
    return Timeline(incident=incident, entries=tuple(map(_entry, shown)), next_cursor=more)


def _entry(row: DictRow) -> TimelineEntry:
    return TimelineEntry(words=_words(row.pop("body")), **row)


def _view(row: DictRow) -> IncidentView:
    """The title is in the words of the person who created it, while they are kept."""
    title = _words(row.pop("body")) or row["title"]
    del row["words"]
    into, number = row.pop("merged_into"), row.pop("merged_number")
    merged = {"merged_into": incident_name(number), "merged_into_id": stream_uuid(into)} if into else {}
    named = {**merged, "id": stream_uuid(row["id"]), "name": incident_name(row["number"]), "title": title}
    return IncidentView(**{**row, **named, **response_times.of_incident(row)})


def _words(body: bytes | None) -> str | None:
    """What somebody wrote; None when it was nothing, or was erased."""
    return body.decode() if body is not None else None
