"""Claiming work in Postgres: deadlines and pages are taken by lease, and whoever takes none waits for nobody."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, LiteralString
from uuid import uuid4

from psycopg.rows import DictRow

from domain.book import Due, PageRow
from streams.store.base import TOGETHER, ClaimedPage, Taken
from streams.store.connected import Connected
from streams.store.pace import MESSAGES_WINDOW, Pace

CLAIM: LiteralString = """
with ripe as (
    select id, "user", method, bundle, at from pages where status = 'queued' and at <= %(now)s
    order by at limit %(together)s for update skip locked
), first as (
    select distinct on ("user", method) "user", method, bundle, at from ripe order by "user", method, at, bundle
), chosen as (
    select "user", method, bundle from first order by at, "user", method limit %(limit)s
), begun as (
    insert into messages_begun as known ("user", method, times)
    select "user", method, array[%(now)s::timestamptz] from chosen order by "user", method
    on conflict ("user", method) do update
    set times = array(select t from unnest(known.times) as t where t > %(since)s) || excluded.times
    where (
        select count(*) < %(per_minute)s and (count(*) < %(at_once)s or max(t) <= %(now)s - %(distance)s)
        from unnest(known.times) as t where t > %(since)s
    )
    returning "user", method
), taken as (
    update pages set status = 'claimed', claim = %(claim)s, bundle = coalesce(pages.bundle, %(claim)s),
        bundled_at = coalesce(bundled_at, clock_timestamp()), attempt = attempt + 1,
        lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
    from ripe join chosen using ("user", method) join begun using ("user", method)
    where pages.id = ripe.id and ripe.bundle is not distinct from chosen.bundle
    returning pages.*
)
select taken.*, false as over from taken
union all
select (null::pages).*, true from chosen left join begun using ("user", method) where begun."user" is null
"""
"""The row in `messages_begun` that the insert locks is what makes claims of one person's pages wait for each other: a
claim counts what was committed before it got the row, not what was there when it began."""
HOLD: LiteralString = """
with sent as (
    select "user", method, count(*) as times, max(t) + %(distance)s as apart,
        (array_agg(t order by t desc))[%(per_minute)s] + %(window)s as gone
    from messages_begun, unnest(times) as t where t > %(since)s
    group by "user", method having count(*) >= %(at_once)s
), waiting as (
    select id, greatest(apart, gone) as until from pages join sent using ("user", method)
    where status = 'queued' and at < greatest(apart, gone) and greatest(apart, gone) > %(now)s
    for update of pages skip locked
)
update pages set at = until from waiting where pages.id = waiting.id returning pages.id
"""
"""A message later than the last by the distance, and not before the first of too many is a minute old."""


class Claims(Connected):
    """The part of the Postgres store that pagers take their work from; see `streams.store.base.Store`."""

    def release_held(self, partitions: Collection[str], now: datetime) -> int:
        rows = self._changed(
            "release_held",
            "update due set at = least(at, greatest(ready_at, %s)), held = null where held = any(%s) returning key",
            (now, list(partitions)),
        )
        return len(rows)

    def claim_due(self, now: datetime, lease: float, limit: int, kind: str) -> list[Due]:
        rows = self._changed(
            "claim_due",
            "with ripe as (select kind, key from due where kind = %(kind)s and at <= %(now)s"
            "   and (lease_until is null or lease_until < clock_timestamp()) order by at limit %(limit)s"
            "   for update skip locked)"
            " update due set lease_until = clock_timestamp() + make_interval(secs => %(lease)s)"
            " from ripe where due.kind = ripe.kind and due.key = ripe.key"
            " returning due.kind, due.key, due.at, due.rev",
            {"kind": kind, "now": now, "lease": lease, "limit": limit},
        )
        return sorted((Due(row["kind"], row["key"], row["at"], row["rev"]) for row in rows), key=lambda due: due.at)

    def claim_pages(self, now: datetime, lease: float, limit: int, per_minute: int, together: int = TOGETHER) -> Taken:
        pace = Pace(per_minute)
        limits = {"now": now, "since": now - MESSAGES_WINDOW, "per_minute": per_minute}
        limits |= {"at_once": pace.at_once, "distance": pace.distance}
        pages, over = self._claim_pages({**limits, "lease": lease, "limit": limit, "together": together})
        if not over:
            return Taken(pages)
        held = self._changed("hold_pages", HOLD, {**limits, "window": MESSAGES_WINDOW})
        messages = {(claimed.page.user, claimed.page.method) for claimed in pages}
        left = {"limit": limit - len(messages), "together": together - len(pages)}
        more, _ = self._claim_pages({**limits, "lease": lease, **left})
        return Taken([*pages, *more], len(held))

    def _claim_pages(self, arguments: Mapping[str, Any]) -> tuple[list[ClaimedPage], bool]:
        """What could be taken, and whether something could not, because its person has had enough messages."""
        rows = self._changed("claim_pages", CLAIM, {**arguments, "claim": str(uuid4())})
        return [_claimed(row) for row in rows if not row["over"]], any(row["over"] for row in rows)

    def expired_claims(self, limit: int) -> list[ClaimedPage]:
        rows = self._changed(
            "expired_claims",
            "with lost as (select id from pages where status = 'claimed' and lease_until < clock_timestamp()"
            "   order by lease_until limit %s for update skip locked)"
            " update pages set claim = gen_random_uuid(), lease_until = clock_timestamp() + interval '60 s'"
            " from lost where pages.id = lost.id returning pages.*",
            (limit,),
        )
        return [_claimed(row) for row in rows]


def _claimed(row: DictRow) -> ClaimedPage:
    page = PageRow(row["id"], row["escalation"], row["incident"], row["user"], row["method"], row["at"])
    return ClaimedPage(
        page=page,
        claim=str(row["claim"]),
        bundle=str(row["bundle"]),
        bundled_at=row["bundled_at"],
        attempt=row["attempt"],
        possible_repeat=row["possible_repeat"],
    )
