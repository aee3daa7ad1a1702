"""What is removed from the write side once nobody needs it: rows of work that is over. Events are never removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import LiteralString

from streams.failpoints import effect
from streams.store.connected import answers
from streams.store.limits import connect
from streams.store.postgres import SCHEMA

STATEMENT_TIMEOUT = 30
"""Seconds."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rule:
    """Which rows of a table may go: `over` is a condition on them, with %(before)s for the end of their time.

    Parameters:
        key: the table's primary key.
        order: an indexed column, oldest first.
        keep: how long rows are kept; None for as long as the settings say.
    """

    key: LiteralString
    order: LiteralString
    over: LiteralString
    keep: timedelta | None = None


RULES: Mapping[LiteralString, Rule] = MappingProxyType(
    {
        # Answers by idempotency key: a client that tries again after a day is a new one.
        "commands": Rule("api_key, idempotency_key", "at", "at < %(before)s", DAY),
        # Alerts that are folded, and in the topic too; what Kafka lacks stays until it is there.
        "inbox": Rule(
            "receipt, part",
            "received_at",
            "received_at < %(before)s and folded_at is not null and forwarded_at is not null",
            DAY,
        ),
        # Pages that were said, or need not be. While an incident is open they tell which mail began its thread.
        "pages": Rule(
            "id",
            "at",
            "at < %(before)s and status not in ('queued', 'claimed') and (select topic from stored_events e"
            " where e.originator_id = incident and topic in ('incident.resolved.v1', 'incident.reopened.v1',"
            " 'incident.merged.v1', 'incident.unmerged.v1') order by e.originator_version desc limit 1)"
            " in ('incident.resolved.v1', 'incident.merged.v1')",
        ),
        # Where incidents stand that alerts may join; no rule looks further back than a day.
        "correlation": Rule("incident, rule", "opened_at", "opened_at < %(before)s", timedelta(hours=25)),
        "outages": Rule("id", "id", "ended_at < %(before)s"),
    }
)


class Pruning:
    """Deletes rows by the rules, a batch at a time. Blocks; raises Unavailable.

    Parameters:
        dsn: libpq connection string of a migrated database.
        retention: how long rows are kept whose rule leaves it to the settings.
    """

    def __init__(self, dsn: str, retention: timedelta) -> None:
        self._dsn, self._retention = dsn, retention

    def prune(self, table: LiteralString, now: datetime, limit: int) -> int:
        """Delete up to `limit` rows of `table` (one of `RULES`) that are over; returns how many there were."""
        rule = RULES[table]
        before = now - (rule.keep or self._retention)
        query: LiteralString = (
            f"delete from {table} where ({rule.key}) in (select {rule.key} from {table} where {rule.over}"
            f" order by {rule.order} limit %(limit)s for update skip locked)"
        )
        with answers(), effect("prune"), connect(self._dsn, STATEMENT_TIMEOUT, search_path=SCHEMA) as connection:
            return connection.execute(query, {"before": before, "limit": limit}).rowcount
