"""What came in, in Postgres: the inbox, what could not be decided, and answers by idempotency key."""

from collections.abc import Collection
from datetime import datetime
from typing import LiteralString

from streams.failpoints import effect
from streams.store import writing
from streams.store.base import Answered, DeadLetter, InboxRow
from streams.store.connected import Connected, answers

INBOX_COLUMNS = ("receipt", "part", "key", "body", "received_at")


class Inputs(Connected):
    """The part of the Postgres store that keeps inputs; see `streams.store.base.Store`."""

    def answered(self, api_key: str, key: str) -> Answered | None:
        rows = self._rows(
            "select digest, answer, position from commands where api_key = %s and idempotency_key = %s", (api_key, key)
        )
        return Answered(bytes(rows[0]["digest"]), bytes(rows[0]["answer"]), rows[0]["position"]) if rows else None

    def put_inbox(self, rows: Collection[InboxRow]) -> None:
        columns = tuple([getattr(row, name) for row in rows] for name in INBOX_COLUMNS)
        with answers(), effect("put_inbox"), self._recorder.transaction() as cursor:
            cursor.execute(
                "insert into inbox (receipt, part, key, body, received_at) select * from unnest(%s::text[], %s::int[],"
                " %s::bytea[], %s::bytea[], %s::timestamptz[]) on conflict do nothing",
                columns,
                prepare=True,
            )
            cursor.execute(f"notify {writing.CHANNEL}")

    def claim_inbox(self, lease: float, limit: int) -> list[InboxRow]:
        return self._claim_inbox("claim_inbox", "folded_at", "lease_until", lease, limit)

    def claim_unforwarded(self, lease: float, limit: int) -> list[InboxRow]:
        return self._claim_inbox("claim_unforwarded", "forwarded_at", "forward_until", lease, limit)

    def _claim_inbox(
        self, name: str, done: LiteralString, until: LiteralString, lease: float, limit: int
    ) -> list[InboxRow]:
        rows = self._changed(
            name,
            f"with ripe as (select receipt, part from inbox where {done} is null"
            f"   and ({until} is null or {until} < clock_timestamp()) order by received_at limit %(limit)s"
            "   for update skip locked)"
            f" update inbox i set {until} = clock_timestamp() + make_interval(secs => %(lease)s)"
            " from ripe where i.receipt = ripe.receipt and i.part = ripe.part"
            " returning i.receipt, i.part, i.key, i.body, i.received_at",
            {"lease": lease, "limit": limit},
        )
        found = [InboxRow(r["receipt"], r["part"], bytes(r["key"]), bytes(r["body"]), r["received_at"]) for r in rows]
        return sorted(found, key=lambda row: (row.received_at, row.receipt, row.part))

    def inbox_waits(self, before: datetime) -> bool:
        return bool(self._rows("select 1 from inbox where folded_at is null and received_at < %s limit 1", (before,)))

    def mark_forwarded(self, rows: Collection[InboxRow]) -> None:
        with answers(), effect("mark_forwarded"), self._recorder.transaction() as cursor:
            cursor.execute(
                "update inbox i set forwarded_at = clock_timestamp(), forward_until = null"
                " from unnest(%s::text[], %s::int[]) as r(receipt, part)"
                " where i.receipt = r.receipt and i.part = r.part",
                ([row.receipt for row in rows], [row.part for row in rows]),
                prepare=True,
            )

    def dead_letters(self, receipt: str) -> list[DeadLetter]:
        rows = self._rows("select * from dead_letters where receipt = %s order by pointer, index", (receipt,))
        return [DeadLetter(**{**row, "body": bytes(row["body"] or b"")}) for row in rows]
