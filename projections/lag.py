"""How far each role has come, read from what all of them leave in Postgres, never from the role itself.

One statement a look, from a connection of its own. What the numbers mean, and since when something stands still, is
`gateway/standing.py`; this only reads.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, get_args

import psycopg
from psycopg.rows import DictRow, dict_row

from projections.database import READ_SCHEMA, STORE_SCHEMA, asking, conninfo
from streams.store.limits import MARGIN, Limited

STATEMENT_TIMEOUT = 2.0
LivingRole = Literal["worker", "pager", "projector"]
LIVING: tuple[LivingRole, ...] = get_args(LivingRole)
"""Roles that leave signs of life (`streams/store/heartbeats.py`): idle or not, they are missed when they are gone."""
COUNTED = 1_000
"""Rows that wait are counted up to here."""

LOOK = f"""
select
  (select coalesce(max(notification_id), 0) from stored_events) as head,
  (select position from {READ_SCHEMA}.cursor) as projector,
  (select coalesce(jsonb_object_agg(role, position), '{{}}') from progress
    where not role = any(%(living)s)) as progress,
  (select coalesce(jsonb_object_agg(role, extract(epoch from clock_timestamp() - at)), '{{}}') from progress
    where role = any(%(living)s)) as silent,
  (select last from seals order by number desc limit 1) as sealer,
  (select coalesce(jsonb_object_agg(partition, "offset"), '{{}}') from tracking
    where cluster = %(cluster)s and topic = %(topic)s) as tracking,
  due.rows as due, due.oldest as due_oldest,
  waiting.rows as pages, waiting.oldest as pages_oldest,
  kept.rows as inbox, kept.oldest as inbox_oldest
from
  (select count(*) as rows, min(at) as oldest from (
    select at from due where kind = 'escalate' and at <= %(now)s
    and (lease_until is null or lease_until < clock_timestamp()) order by at limit {COUNTED}) as d) as due,
  (select count(*) as rows, min(at) as oldest from (
    (select at from pages where status = 'queued' and at <= %(now)s order by at limit {COUNTED})
    union all
    (select at from pages where status = 'claimed' and lease_until < clock_timestamp() limit {COUNTED})) as p
  ) as waiting,
  (select count(*) as rows, min(received_at) as oldest from (
    select received_at from inbox where folded_at is null and (lease_until is null or lease_until < clock_timestamp())
    order by received_at limit {COUNTED}) as i) as kept
"""


@dataclass(frozen=True, slots=True)
class Overdue:
    """Rows that somebody should have taken by now: how many (counted up to `COUNTED`), and since when the oldest."""

    rows: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Marks:
    """How far everything is at one moment.

    Parameters:
        head: position of the last event in the log.
        reached: role -> the position that it holds: projector, relay, sealer.
        tracking: partition of `alerts` -> the last offset that was folded.
        silent: role that says every second that it lives -> the seconds since any of it did; infinite if none ever did.
        due, pages, inbox: deadlines of escalations that came, pages that nobody says, alerts in the inbox that nobody
            folds.
    """

    head: int
    reached: Mapping[str, int]
    tracking: Mapping[int, int]
    silent: Mapping[LivingRole, float] = field(default_factory=dict)
    due: Overdue = Overdue()
    pages: Overdue = Overdue()
    inbox: Overdue = Overdue()


class LagReader(Protocol):
    """Whoever can say how far everything is."""

    def look(self, now: datetime) -> Marks:
        """How far everything is; `now` is the application's. Blocks; raises Unavailable or WrongStore."""


class Lags:
    """Reads the marks from Postgres. One look at a time.

    Parameters:
        dsn: libpq connection string of a database where store and read models are migrated.
        cluster, topic: which positions of `alerts` count.
    """

    def __init__(self, dsn: str, cluster: str, topic: str) -> None:
        self._conninfo = conninfo(dsn, (STORE_SCHEMA,), STATEMENT_TIMEOUT, default_transaction_read_only="on")
        self._where = {"cluster": cluster, "topic": topic, "living": list(LIVING)}
        self._connection: psycopg.Connection[DictRow] | None = None

    def look(self, now: datetime) -> Marks:
        """See `LagReader`."""
        with asking():
            if self._connection is None or self._connection.closed:
                self._connection = Limited.connect(
                    self._conninfo, autocommit=True, row_factory=dict_row, limit=STATEMENT_TIMEOUT + MARGIN
                )
            row = self._connection.execute(LOOK, {**self._where, "now": now}, prepare=True).fetchone()
        if row is None:
            raise AssertionError("a select without from always has a row")
        return _marks(row)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()


def _reached(row: Mapping[str, Any]) -> Mapping[str, int]:
    """The sealer counts from its first seal on; it may be turned off."""
    sealer = {} if row["sealer"] is None else {"sealer": row["sealer"]}
    return {"projector": row["projector"] or 0, "relay": 0, **row["progress"], **sealer}


def _marks(row: Mapping[str, Any]) -> Marks:
    return Marks(
        head=row["head"],
        reached=_reached(row),
        tracking={int(partition): offset for partition, offset in row["tracking"].items()},
        silent={role: row["silent"].get(role, math.inf) for role in LIVING},
        due=Overdue(row["due"], row["due_oldest"]),
        pages=Overdue(row["pages"], row["pages_oldest"]),
        inbox=Overdue(row["inbox"], row["inbox_oldest"]),
    )
