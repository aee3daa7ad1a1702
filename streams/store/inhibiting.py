"""Where firing alerts stand that inhibit others or are inhibited, in Postgres; see `streams.store.base.Store`.

Every look is a `lateral` with a limit, and asks of each row by itself whether its alert fires: a planner that is free
to join the tables, or to read in the order that is asked for, reads all alerts that fire.
"""

from collections.abc import Collection
from operator import itemgetter
from typing import LiteralString

from domain.book import Book
from domain.inhibition import INHIBIT, Place, Side, Source
from streams.store.connected import Connected
from streams.store.statements import Statements

FIRING: LiteralString = "(select status from alert_state s where s.id = i.alert) = 'firing'"
SOURCES: LiteralString = f"""
select r.rule, r.key, found.alert::text as alert, found.is_target,
    (select s."group" from alert_state s where s.id = found.alert) as "group"
from unnest(%b::text[], %b::text[]) as r(rule, key), (values (true), (false)) as kind(is_target), lateral (
    select i.alert, i.is_target from inhibition i
    where i.rule = r.rule and i.key = r.key and i.is_source and i.is_target = kind.is_target and {FIRING}
    order by i.alert limit 2
) as found
"""
INHIBITED: LiteralString = f"""
select 1 from unnest(%b::text[], %b::text[], %b::uuid[], %b::bool[]) as r(rule, key, alert, is_source), lateral (
    select from inhibition i
    where i.rule = r.rule and i.key = r.key and i.is_source
    and i.is_target = any(case when r.is_source then '{{f}}' else '{{t,f}}' end::bool[])
    and i.alert <> r.alert and not i.alert = any(%b::uuid[]) and {FIRING}
    limit 1
) as found limit 1
"""
THERE: LiteralString = f"""
select 1 from unnest(%b::text[], %b::text[], %b::bool[]) as r(rule, key, is_target), lateral (
    select from inhibition i
    where i.rule = r.rule and i.key = r.key and i.is_source and (r.is_target or not i.is_target) and {FIRING}
    limit 1
) as found
"""
INHIBITING: LiteralString = f"""
select 1 from unnest(%b::text[], %b::text[], %b::uuid[]) as r(rule, key, alert), lateral (
    select from inhibition i where i.rule = r.rule and i.key = r.key and i.alert = r.alert and {FIRING}
) as found
"""
TARGETS: LiteralString = f"""
select i.alert::text as alert from inhibition i
where i.rule = %s and i.key = %s and i.is_source = any('{{t,f}}') and i.is_target and {FIRING}
"""
STIRRED: LiteralString = """
insert into due (kind, key, at, rev)
select %s, r.rule || '/' || r.key, r.at, 1 from unnest(%b::text[], %b::text[], %b::timestamptz[]) as r(rule, key, at)
where exists (
    select from inhibition i where i.rule = r.rule and i.key = r.key and i.is_source = any('{t,f}') and i.is_target
)
on conflict (kind, key) do update set at = least(due.at, excluded.at), rev = due.rev + 1, lease_until = null
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
        if not alerts:
            return {}
        rows = self._rows(
            "select rule, key, is_source, is_target, alert::text as name"
            " from unnest(%b::uuid[]) as r(alert) join inhibition using (alert)",
            (list(alerts),),
        )
        found: dict[str, tuple[Side, ...]] = {}
        for row in sorted(rows, key=itemgetter("rule", "key")):
            side = Side((row["rule"], row["key"]), row["is_source"], row["is_target"])
            found[row["name"]] = (*found.get(row["name"], ()), side)
        return found

    def targets(self, place: Place) -> list[str]:
        return sorted(row["alert"] for row in self._rows(TARGETS, place))


def check_places(sends: Statements, book: Book) -> None:
    """What the book found at places is still so; before it changes anything there."""
    if book.uninhibited:
        rules, keys, alerts, both = zip(*((*place, *rest) for place, *rest in sorted(book.uninhibited)), strict=True)
        sends.execute(INHIBITED, (list(rules), list(keys), list(alerts), list(both), sorted(book.placed)))
        sends.expect(0, "something that inhibits has begun to fire")
    if book.inhibited_by:
        rules, keys, alerts = zip(*((*place, alert) for place, alert in sorted(book.inhibited_by)), strict=True)
        sends.execute(INHIBITING, (list(rules), list(keys), list(alerts)))
        sends.expect(len(book.inhibited_by), "what inhibits has ended")
    _there(sends, book.relied_before)


def write_places(sends: Statements, book: Book) -> None:
    """Where the book's alerts stand now, and what is looked at again because of that; after their rows are written."""
    if book.displaced:
        sends.execute(
            "delete from inhibition i using unnest(%b::uuid[]) as r(alert) where i.alert = r.alert",
            (sorted(book.displaced),),
        )
    if book.placed:
        rows = [(*side.place, name, side.is_source, side.is_target) for name, at in book.placed.items() for side in at]
        if rows:
            sends.execute(
                "insert into inhibition (rule, key, alert, is_source, is_target)"
                " select * from unnest(%b::text[], %b::text[], %b::uuid[], %b::bool[], %b::bool[])",
                tuple(map(list, zip(*sorted(rows), strict=True))),
            )
    _there(sends, book.relied_after)
    if book.stirred:
        rules, keys = _columns(book.stirred)
        sends.execute(STIRRED, (INHIBIT, rules, keys, [at for _, at in sorted(book.stirred.items())]))


def _there(sends: Statements, relied: Collection[tuple[Place, bool]]) -> None:
    """Other sources fire at these places."""
    if relied:
        rules, keys, both = zip(*((*place, is_target) for place, is_target in sorted(relied)), strict=True)
        sends.execute(THERE, (list(rules), list(keys), list(both)))
        sends.expect(len(relied), "something that inhibits has ended")


def _columns(places: Collection[Place]) -> tuple[list[str], list[str]]:
    ordered = sorted(places)
    return [rule for rule, _ in ordered], [key for _, key in ordered]
