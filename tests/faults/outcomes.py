"""What became of a story, less what differs between two tellings of the same one."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from domain.ids import stream_kind
from streams.channels.mailbox import Mail

SCRUB = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "#"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "#"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)"), "T"),
    (re.compile(r"INC-\d+"), "INC"),
    (re.compile(r"Case\d+"), "Case"),
)
"""What differs between two tellings of the same story: ids, digests, times, numbers, the case's name."""
LOG = """
with log as (
    select originator_id as stream, originator_version as version, topic,
           convert_from(state, 'UTF8')::jsonb -> 'data' as data from tocsin.stored_events
), mine as (
    select stream from log where topic = 'incident.opened.v1' and data ->> 'title' like %(title)s
), theirs as (
    select stream from log where topic in ('escalation.started.v1', 'page.queued.v1', 'group.episode_opened.v1')
    and data ->> 'incident' in (select stream from mine)
)
select stream, topic, data from log
where stream in (select stream from mine union select stream from theirs) order by stream, version
"""
COUNTS = "select count from tocsin.alert_state where incident = any(%s) order by count"


@dataclass(frozen=True)
class Outcome:
    """What became of a story, less what differs between two tellings."""

    events: tuple[Any, ...]
    pages: tuple[Any, ...]
    deliveries: tuple[Any, ...]
    counts: tuple[int, ...]
    also: tuple[Any, ...] = ()


def outcome_of(dsn: str, mails: Collection[Mail], name: str, also: tuple[Any, ...] = ()) -> Outcome:
    """What became of the case `name`, by the log, the rows of alerts, and what was delivered; and what `also`."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(LOG, {"title": f"{name} %"}).fetchall()
        incidents = {str(stream) for stream, *_ in rows if stream_kind(stream) == "incident"}
        counted = connection.execute(COUNTS, (sorted(incidents),)).fetchall()
    streams: dict[str, list[tuple[str, Any]]] = {}
    for stream, kind, data in rows:
        streams.setdefault(stream, []).append((kind, scrubbed(data)))
    pages = [events for stream, events in streams.items() if stream_kind(stream) == "page"]
    others = [tuple(events) for stream, events in streams.items() if stream_kind(stream) != "page"]
    return Outcome(
        events=tuple(sorted(others, key=repr)),
        pages=tuple(sorted(((events[0], events[-1][0]) for events in pages), key=repr)),
        deliveries=tuple(sorted(_deliveries(mails, incidents))),
        counts=tuple(count for (count,) in counted),
        also=also,
    )


def _deliveries(mails: Collection[Mail], incidents: Collection[str]) -> Iterator[tuple[str, str]]:
    """Who was told what; a message that was said again has the same id and says that it may be a repeat."""
    uuids = {incident.removeprefix("incident-") for incident in incidents}
    told: dict[str, list[Mail]] = {}
    for mail in mails:
        if uuids & {one.strip() for one in (mail.headers["X-Incident-Id"] or "").split(",")}:
            told.setdefault(str(mail.headers["Message-ID"]), []).append(mail)
    for said in told.values():
        first = said[0]
        repeats = sum(mail.headers["X-Possible-Repeat"] == "yes" for mail in said)
        assert repeats >= len(said) - 1, "somebody was told twice, without a word of it"
        yield first.to, scrubbed(first.subject)


def scrubbed(value: Any) -> Any:
    """A value of an event, less what differs between two tellings."""
    match value:
        case dict():
            return {key: scrubbed(one) for key, one in value.items() if key not in ("number", "attempt", "rev")}
        case list():
            return [scrubbed(one) for one in value]
        case str():
            for pattern, word in SCRUB:
                value = pattern.sub(word, value)
    return value
