"""Where firing alerts stand that inhibit others or are inhibited, in Postgres; see `streams.store.base.Store`."""

from collections.abc import Collection
from typing import LiteralString

from domain.book import Book
from domain.inhibition import Place, Side, Source
from streams.store.connected import Connected
from streams.store.statements import Statements

SOURCES: LiteralString = """
select i.rule, i.key, i.alert::text as alert, i.is_target, s."group"
from unnest(%b::text[], %b::text[]) as r(rule, key)
join inhibition i using (rule, key) join alert_state s on s.id = i.alert
where i.is_source and s.status = 'firing'
"""
NEW_SOURCE: LiteralString = """
select 1 from unnest(%b::text[], %b::text[]) as r(rule, key)
join inhibition i using (rule, key) join alert_state s on s.id = i.alert
where i.is_source and s.status = 'firing' and not i.alert = any(%b::uuid[]) limit 1
"""


class Inhibiting(Connected):
    """The part of the Postgres store that knows who may inhibit whom."""

    def sources(self, places: Collection[Place]) -> dict[Place, dict[str, Source]]:
        found: dict[Place, dict[str, Source]] = {}
        if places:
            for row in self._rows(SOURCES, _columns(places)):
                found.setdefault((row["rule"], row["key"]), {})[row["alert"]] = Source(row["group"], row["is_target"])
        return found

    def standing(self, alerts: Collection[str]) -> dict[str, tuple[Side, ...]]:
        rows = self._rows(
            "select *, alert::text as name from inhibition where alert = any(%b::uuid[]) order by rule, key",
            (list(alerts),),
        )
        found: dict[str, tuple[Side, ...]] = {}
        for row in rows:
            side = Side((row["rule"], row["key"]), row["is_source"], row["is_target"])
            found[row["name"]] = (*found.get(row["name"], ()), side)
        return found

    def targets(self, place: Place) -> list[str]:
        rows = self._rows(
            "select i.alert::text as alert from inhibition i join alert_state s on s.id = i.alert"
            " where rule = %s and key = %s and is_target and status = 'firing' order by i.alert",
            place,
        )
        return [row["alert"] for row in rows]


def write_places(sends: Statements, book: Book) -> None:
    """Where the book's alerts stand now; and that no source has come that the book did not know of."""
    if book.placed:
        sends.execute("delete from inhibition where alert = any(%b::uuid[])", (sorted(book.placed),))
        rows = [(*side.place, name, side.is_source, side.is_target) for name, at in book.placed.items() for side in at]
        if rows:
            sends.execute(
                "insert into inhibition (rule, key, alert, is_source, is_target)"
                " select * from unnest(%b::text[], %b::text[], %b::uuid[], %b::bool[], %b::bool[])",
                tuple(map(list, zip(*sorted(rows), strict=True))),
            )
    if book.sources_seen:
        seen = sorted({alert for alerts in book.sources_seen.values() for alert in alerts})
        sends.execute(NEW_SOURCE, (*_columns(book.sources_seen), seen))
        sends.expect(0, "something that inhibits has begun to fire")


def _columns(places: Collection[Place]) -> tuple[list[str], list[str]]:
    ordered = sorted(places)
    return [rule for rule, _ in ordered], [key for _, key in ordered]
