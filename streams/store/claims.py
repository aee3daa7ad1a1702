"""Claiming work in Postgres: deadlines and pages are taken by lease, and whoever takes none waits for nobody."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import uuid4

from psycopg.rows import DictRow

from domain.book import Due, PageRow
from streams.store.base import ClaimedPage
from streams.store.connected import Connected


class Claims(Connected):
    """The part of the Postgres store that pagers take their work from; see `streams.store.base.Store`."""

    def release_held(self, partitions: Collection[str], now: datetime) -> int:
        rows = self._rows(
            "update due set at = least(at, greatest(ready_at, %s)), held = null where held = any(%s) returning key",
            (now, list(partitions)),
        )
        return len(rows)

    def claim_due(self, now: datetime, lease: float, limit: int, kind: str) -> list[Due]:
        rows = self._rows(
            "with ripe as (select kind, key from due where kind = %(kind)s and at <= %(now)s"
            "   and (lease_until is null or lease_until < clock_timestamp()) order by at limit %(limit)s"
            "   for update skip locked)"
            " update due set lease_until = clock_timestamp() + make_interval(secs => %(lease)s)"
            " from ripe where due.kind = ripe.kind and due.key = ripe.key"
            " returning due.kind, due.key, due.at, due.rev",
            {"kind": kind, "now": now, "lease": lease, "limit": limit},
        )
        return sorted((Due(row["kind"], row["key"], row["at"], row["rev"]) for row in rows), key=lambda due: due.at)

    def postpone_pages(self, until: Mapping[tuple[str, str], datetime]) -> int:
        users, methods = zip(*until, strict=True) if until else ((), ())
        rows = self._rows(
            "update pages p set at = held.until from unnest(%s::text[], %s::text[], %s::timestamptz[])"
            ' as held("user", method, until) where p.status = \'queued\' and p."user" = held."user"'
            " and p.method = held.method and p.at < held.until returning p.id",
            (list(users), list(methods), list(until.values())),
        )
        return len(rows)

    def claim_pages(self, now: datetime, lease: float, limit: int) -> list[ClaimedPage]:
        rows = self._rows(
            "with ripe as (select id from pages where status = 'queued' and at <= %(now)s order by at limit %(limit)s"
            "   for update skip locked)"
            " update pages set status = 'claimed', claim = %(claim)s,"
            "   bundle = coalesce(bundle, %(claim)s), bundled_at = coalesce(bundled_at, clock_timestamp()),"
            "   attempt = attempt + 1,"
            "   lease_until = clock_timestamp() + make_interval(secs => %(lease)s)"
            " from ripe where pages.id = ripe.id returning pages.*",
            {"now": now, "lease": lease, "limit": limit, "claim": str(uuid4())},
        )
        return [_claimed(row) for row in rows]

    def expired_claims(self, limit: int) -> list[ClaimedPage]:
        rows = self._rows(
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
