"""Where open incidents stand that alerts may join, in Postgres; see `streams.store.base.Store`.

What begins to stand somewhere gets a number under the insert lock, so a save knows what has come since it looked. One
that is merged is as open as the one that it is merged into: those that lead nowhere do not hide the next.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, LiteralString

from domain import incidents
from domain.belonging import Absorbed, Merged, Parted, Unmerged
from domain.book import Book
from domain.correlating import CANDIDATES, Candidate, Candidates, Spot
from domain.ids import stream_kind
from domain.incidents import Incident
from domain.joining import leads_to
from streams.store.connected import Connected
from streams.store.statements import Statements

TURNS = (incidents.Resolved, incidents.Reopened, Merged, Unmerged)
SPOTS: LiteralString = "unnest(%(rules)s::text[], %(keys)s::text[], %(services)s::text[], %(since)s::timestamptz[])"
AT_SPOT: LiteralString = "c.rule = r.rule and c.key = r.key and c.service = r.service and c.opened_at >= r.since"
FOUND: LiteralString = f"""
select seen, found.* from (select coalesce(max(begun), 0) as seen from correlation) as log left join (
    select r.rule, r.key, r.service, of.* from {SPOTS} as r(rule, key, service, since), lateral (
        select incident, opened_at, opener from correlation c where {AT_SPOT} and is_open
        order by opened_at, incident limit %(most)s
    ) as of
) as found on true
"""
COME: LiteralString = f"""
select 1 from {SPOTS} as r(rule, key, service, since), lateral (
    select from correlation c where {AT_SPOT} and is_open and begun > %(seen)s limit 1
) as found limit 1
"""
SETTLED: LiteralString = """
update correlation c set is_open = r.is_open, begun = default
from unnest(%b::text[], %b::bool[]) as r(incident, is_open) where c.incident = r.incident and c.is_open <> r.is_open
"""
FOLLOWED: LiteralString = """
with recursive led(incident, is_open) as (
    select * from unnest(%(incidents)s::text[], %(are_open)s::bool[])
    union
    select merged.incident, led.is_open from led, lateral (
        select distinct on (incident) incident, topic from (
            select convert_from(state, 'UTF8')::jsonb #>> '{data,incident}' as incident, topic, originator_version
            from stored_events where originator_id = led.incident and topic in (%(absorbed)s, %(parted)s)
        ) as said order by incident, originator_version desc
    ) as merged where merged.topic = %(absorbed)s and not merged.incident = any(%(known)s::text[])
)
update correlation c set is_open = led.is_open, begun = default from led
where c.incident = led.incident and c.is_open <> led.is_open
"""
"""What is merged into these incidents, and into those; who has absorbed whom is in the streams, before this save."""


class Correlating(Connected):
    """The part of the Postgres store that knows which incidents alerts may join."""

    def candidates(self, spots: Mapping[Spot, datetime]) -> Candidates:
        found: dict[Spot, tuple[Candidate, ...]] = {}
        rows = self._rows(FOUND, {**_columns(spots), "most": CANDIDATES})
        for row in rows:
            if row["incident"] is not None:
                spot = (row["rule"], row["key"], row["service"])
                candidate = Candidate(row["incident"], row["opened_at"], row["opener"])
                found[spot] = (*found.get(spot, ()), candidate)
        return Candidates(found, rows[0]["seen"])


def check_alone(sends: Statements, book: Book) -> None:
    """Where alerts of the book looked for an incident and found none, there is still none."""
    if book.alone:
        sends.execute(COME, {**_columns(book.alone), "seen": book.candidates.seen})
        sends.expect(0, "an incident was opened that an alert may join")


def write_spots(sends: Statements, book: Book) -> None:
    """Where the incidents stand that the book opens, and which of all that it writes are open; if there is a rule."""
    if not book.config.correlation_rules:
        return
    rows = [(c.incident, *spot, c.opened_at, c.opener) for spot, opened in book.opened.items() for c in opened]
    if rows:
        sends.execute(
            "insert into correlation (incident, rule, key, service, opened_at, opener) select * from"
            " unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::timestamptz[], %b::text[])",
            tuple(map(list, zip(*sorted(rows), strict=True))),
        )
    are_open = incidents_open(book)
    if are_open:
        sends.execute(SETTLED, (list(are_open), list(are_open.values())))
    turned = incidents_turned(book) & are_open.keys()
    if turned:
        leaders = {name: are_open[name] for name in sorted(turned)}
        said = {"absorbed": Absorbed.type, "parted": Parted.type, "known": list(are_open)}
        sends.execute(FOLLOWED, {**said, "incidents": list(leaders), "are_open": list(leaders.values())})


def incidents_open(book: Book) -> dict[str, bool]:
    """Of the incidents that a book writes: whether each leads to one after it that alerts may join.

    One that is merged into what the book does not know is left out: this book changes nothing of that.
    """
    names = sorted({entry.stream for entry in book.entries if stream_kind(entry.stream) == "incident"})
    found: dict[str, bool] = {}
    for name in names:
        with suppress(KeyError):
            found[name] = leads_to(lambda stream: _incident(book, stream), name) is not None
    return found


def incidents_turned(book: Book) -> set[str]:
    """The incidents that a book ends or opens again, merges or takes apart: what is merged into them follows."""
    return {entry.stream for entry in book.entries if isinstance(entry.event, TURNS)}


def _incident(book: Book, stream: str) -> Incident:
    """How an incident stands after the book. Raises KeyError when the book does not hold it."""
    state = book.streams[stream].state
    if not isinstance(state, Incident):
        raise TypeError(f"{stream} is not an incident")
    return state


def _columns(spots: Mapping[Spot, datetime]) -> dict[str, Any]:
    ordered = sorted(spots.items())
    columns = tuple(map(list, zip(*((*spot, since) for spot, since in ordered), strict=True))) or ([], [], [], [])
    return dict(zip(("rules", "keys", "services", "since"), columns, strict=True))
