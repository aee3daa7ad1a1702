"""Alerts, asked of one connection: the write side's rows are the truth, their texts are payloads that can be erased.

Labels are in the payloads' bytes. Postgres looks for the bytes of a label's name and value in them, without parsing;
whether the label really is so is seen here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import DictRow

from domain.alerts import Alert
from domain.config import Config
from domain.facts import FACTS, facts
from domain.ids import stream_uuid
from projections.references import Key, cursor_time, incident_name, read_cursor, write_cursor
from schemas.api import LinkView
from schemas.api_alerts import AlertDetail, AlertHappening
from schemas.api_reads import AlertList, AlertView, Suppressed
from schemas.payloads import read_alert

Connection = psycopg.Connection[DictRow]

LOOK = 1_000
"""Alerts whose texts one statement reads at most when labels are asked for."""
LOOKS = 20
"""How many such statements there are at most for one page."""
ALERTS = sql.SQL(
    """
select s.*, p.body, (select number from incidents where id = s.incident) as number from (
    select *, row_number() over (order by first_seen desc, id desc) as candidate from (
        select * from alert_state s where {where} order by s.first_seen desc, s.id desc limit {look}
    ) as s
) as s
left join lateral (select body from payloads where ref = s.payload limit 1) as p on true
where {said} or s.candidate = {look} order by s.first_seen desc, s.id desc limit {limit}
"""
)
"""The last of as many candidates as may be looked at is there whatever it says: a search goes on behind it."""
CONDITIONS: Mapping[str, LiteralString] = {
    "status": "s.status = any(%(status)s)",
    "severity": "s.severity = any(%(severity)s)",
    "integration": "s.integration = any(%(integration)s)",
    "suppressed": "(s.suppressed is not null) = %(suppressed)s",
    "acknowledged": "(s.acknowledged is not null) = %(acknowledged)s",
    "begins": "s.id between %(first)s::uuid and %(last)s::uuid",
    "after": "(s.first_seen, s.id) < (%(seen)s::timestamptz, %(id)s::uuid)",
}
OF_INCIDENT: LiteralString = """
s.id in (
    with wanted as (select id from incidents where {column} = %(incident)s)
    select r.alert from alerts r join wanted w on w.id = r.incident
    union select t.id from alert_state t join wanted w on w.id = t.incident
)
"""
HAPPENINGS = 200
"""Events of one alert that are shown."""
HISTORY = """
select t.position, t.at, t.type, t.text, t.actor, t.origin, t.correlation_id, i.number
from timeline t left join incidents i on i.id = t.incident
where t.alert = %(alert)s::uuid order by t.position desc limit %(limit)s
"""
PLACE = re.compile(r"alert (\S{20,40}) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Alerts that are as asked in every respect; a field that is empty or None asks for nothing.

    Parameters:
        status, severity, integration: one of these words.
        incident: alerts that it has or has had.
        suppressed: whether nothing is said of it because of a rule.
        acknowledged: whether somebody has it.
        begins: its uuid begins with these hexadecimal digits.
        labels: each of these names has this value; an empty value is the same as no such label.
    """

    status: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    integration: tuple[str, ...] = ()
    incident: Key | None = None
    suppressed: bool | None = None
    labels: tuple[tuple[str, str], ...] = ()
    acknowledged: bool | None = None
    begins: str | None = None


def listed(connection: Connection, wanted: AlertFilter, limit: int, cursor: str | None) -> AlertList:
    """Alerts, the latest to appear first.

    A page is short, or empty, when labels are asked for that few alerts have: `LOOK` times `LOOKS` alerts are looked
    at, and its cursor goes on behind them. Raises BadCursor.
    """
    place = _read_place(cursor) if cursor is not None else None
    look = max(LOOK, limit + 1) if wanted.labels else limit + 1
    found: list[AlertView] = []
    for _ in range(LOOKS):
        rows = _candidates(connection, wanted, look, limit + 1, place)
        found += (view for view in map(_view, rows) if _has(view, wanted.labels))
        if len(found) > limit:
            last = found[limit - 1]
            return AlertList(alerts=tuple(found[:limit]), next_cursor=_write_place(last.first_seen, last.id))
        if len(rows) <= limit and not (rows and rows[-1]["candidate"] == look):
            return AlertList(alerts=tuple(found))
        place = (rows[-1]["first_seen"], str(rows[-1]["id"]))
        if len(found) == limit:
            break
    return AlertList(alerts=tuple(found), next_cursor=_write_place(*place) if place else None)


def _has(view: AlertView, labels: tuple[tuple[str, str], ...]) -> bool:
    return all(view.labels.get(name, "") == value for name, value in labels)


def detail(connection: Connection, alert: str, config: Config) -> AlertDetail | None:
    """One alert, by its uuid, with its history; None when there is none. `config` tells what matchers read of it."""
    one = sql.Literal(1)
    found = ALERTS.format(where=sql.SQL("s.id = %(id)s::uuid"), look=one, said=sql.SQL("true"), limit=one)
    row = connection.execute(found, {"id": alert}).fetchone()
    if row is None:
        return None
    happened = connection.execute(HISTORY, {"alert": alert, "limit": HAPPENINGS}).fetchall()
    said = read_alert(bytes(row["body"])) if row["body"] is not None else None
    return AlertDetail(
        **_view(row).model_dump(),
        annotations=dict(said.annotations) if said else {},
        facts=_facts(config, row, said) if said else {},
        links=tuple(LinkView(name=name, url=url) for name, url in said.links) if said else (),
        group=stream_uuid(row["group"]) if row["group"] else None,
        episode=row["episode"],
        flips=tuple(map(datetime.fromisoformat, row["flips"].split())),
        version=row["rev"],
        history=tuple(map(_happening, reversed(happened))),
    )


def _facts(config: Config, row: DictRow, said: Alert) -> dict[str, str]:
    """What matchers may read of an alert besides its labels and annotations, as things are configured now."""
    source = config.integrations.get(row["integration"])
    read = facts(
        said.labels,
        said.annotations,
        severity=row["severity"],
        source=source.source if source else row["integration"],
        integration=row["integration"],
        services=config.services,
        read=FACTS,
    )
    return {name: read[name] for name in FACTS}


def _happening(row: DictRow) -> AlertHappening:
    number = row.pop("number")
    return AlertHappening(**row, incident=incident_name(number) if number is not None else None)


def _candidates(
    connection: Connection, wanted: AlertFilter, look: int, limit: int, place: tuple[datetime, str] | None
) -> list[DictRow]:
    """Of the next `look` alerts up to `limit` whose bytes may say what is asked for, and the last of all of them."""
    given: dict[str, Any] = {
        "status": list(wanted.status),
        "severity": list(wanted.severity),
        "integration": [one.replace("\0", "\ufffd") for one in wanted.integration],
    }
    where: list[sql.Composable] = [
        sql.SQL("true"),
        *(sql.SQL(CONDITIONS[name]) for name, value in given.items() if value),
    ]
    for name in ("suppressed", "acknowledged"):
        if (asked := getattr(wanted, name)) is not None:
            where.append(sql.SQL(CONDITIONS[name]))
            given[name] = asked
    if wanted.begins:
        where.append(sql.SQL(CONDITIONS["begins"]))
        given |= {"first": wanted.begins.ljust(32, "0"), "last": wanted.begins.ljust(32, "f")}
    if place:
        where.append(sql.SQL(CONDITIONS["after"]))
        given |= {"seen": place[0], "id": place[1]}
    if wanted.incident:
        column, given["incident"] = wanted.incident
        where.append(sql.SQL(OF_INCIDENT).format(column=sql.Identifier(column)))
    said: list[sql.Composable] = [sql.SQL("true")]
    for index, part in enumerate(_parts(wanted.labels)):
        given[f"part{index}"] = part
        said.append(sql.SQL("position({} in p.body) > 0").format(sql.Placeholder(f"part{index}")))
    query = ALERTS.format(
        where=sql.SQL(" and ").join(where),
        look=sql.Literal(look),
        said=sql.SQL(" and ").join(said),
        limit=sql.Literal(limit),
    )
    return connection.execute(query, given).fetchall()


def _parts(labels: tuple[tuple[str, str], ...]) -> Iterator[bytes]:
    """What the bytes of a payload with these labels contain, as `domain.folding` writes them."""
    for name, value in labels:
        if value:
            yield from (json.dumps(text, ensure_ascii=False).encode() for text in (name, value))


def _view(row: Mapping[str, Any]) -> AlertView:
    alert = read_alert(bytes(row["body"])) if row["body"] is not None else None
    return AlertView(
        id=str(row["id"]),
        integration=row["integration"],
        fingerprint=row["fingerprint"],
        status=row["status"],
        severity=row["severity"],
        name=alert.labels.get("alertname", "") if alert else "",
        summary=alert.summary if alert else "",
        labels=dict(alert.labels) if alert else {},
        erased=row["payload"] is not None and alert is None,
        source_time=row["source_time"],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        reports=row["count"],
        incident=incident_name(row["number"]) if row["number"] is not None else None,
        incident_id=stream_uuid(row["incident"]) if row["incident"] else None,
        receipt=row["receipt"],
        suppressed=_suppressed(row["suppressed"]) if row["suppressed"] else None,
        acknowledged_by=row["acknowledged"],
        closed=row["closed"] is not None,
    )


def _suppressed(written: str) -> Suppressed:
    """Why nothing is said of an alert, from its row's `reason/rule`."""
    reason, _, rule = written.partition("/")
    return Suppressed(reason=reason, rule=rule)


def _write_place(seen: datetime, alert: str) -> str:
    return write_cursor("alert", seen.isoformat(), alert)


def _read_place(cursor: str) -> tuple[datetime, str]:
    seen, alert = read_cursor(cursor, PLACE)
    return cursor_time(seen), alert
