"""Outages that watchdogs have seen, so that several gateways tell people of each once, and once of its end."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg.rows import DictRow, dict_row

from streams.failpoints import effect
from streams.store.connected import answers
from streams.store.limits import connect
from streams.store.postgres import SCHEMA

TIMEOUT = 2
"""Seconds for each statement."""
TELL_WITHIN = 60
"""Seconds after which somebody else may tell people, because whoever wanted to has not said that it did."""

FORGOTTEN = 3600
"""Seconds after which nobody is told any more that something works again."""

BEGIN: LiteralString = f"""
insert into {SCHEMA}.outages (role, began_at, claimed_at)
select role, %(at)s, clock_timestamp() from unnest(%(roles)s::text[]) as role
on conflict (role) where ended_at is null do update set claimed_at = clock_timestamp()
where not outages.told and outages.claimed_at < clock_timestamp() - interval '{TELL_WITHIN} s'
returning role
"""
TOLD: LiteralString = f"update {SCHEMA}.outages set told = true where role = any(%(roles)s) and ended_at is null"
END: LiteralString = f"""
with ours as (
    update {SCHEMA}.outages set ended_at = coalesce(ended_at, %(at)s), end_claimed_at = clock_timestamp()
    where role = any(%(roles)s) and not end_told and (ended_at is null or ended_at > %(at)s - interval '{FORGOTTEN} s')
    and (end_claimed_at is null or end_claimed_at < clock_timestamp() - interval '{TELL_WITHIN} s')
    returning role, began_at, told
)
select *, true as ours from ours
union all
select role, began_at, told, false from {SCHEMA}.outages where role = any(%(roles)s) and not end_told
and ended_at > %(at)s - interval '{FORGOTTEN} s' and end_claimed_at >= clock_timestamp() - interval '{TELL_WITHIN} s'
order by began_at
"""
END_TOLD: LiteralString = f"""
update {SCHEMA}.outages set end_told = true where role = any(%(roles)s) and ended_at is not null and not end_told
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """An outage that is over. `told`: people heard of its beginning. `ours`: it is ours to tell them of its end;
    otherwise somebody else is about to, and has not said yet that it did.
    """

    role: str
    began_at: datetime
    told: bool
    ours: bool = True


class Outages:
    """The table of outages. Every method blocks for some seconds at most and raises Unavailable.

    Parameters:
        dsn: libpq connection string of a migrated database; each call has a connection of its own, they are rare.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def begin(self, roles: Collection[str], at: datetime) -> frozenset[str]:
        """These roles stand still; returns those of which it is ours to tell people."""
        return frozenset(row["role"] for row in self._do(BEGIN, roles, at))

    def told(self, roles: Collection[str]) -> None:
        """People have been told of these."""
        self._do(TOLD, roles, None)

    def end(self, roles: Collection[str], at: datetime) -> tuple[Ended, ...]:
        """These roles work; returns those that did not, and of whose end people have not been told yet."""
        return tuple(Ended(**row) for row in self._do(END, roles, at))

    def end_told(self, roles: Collection[str]) -> None:
        """People have been told that these work again."""
        self._do(END_TOLD, roles, None)

    def _do(self, query: LiteralString, roles: Collection[str], at: datetime | None) -> list[DictRow]:
        arguments: dict[str, Any] = {"roles": sorted(roles), "at": at}
        with answers(), effect("outage"), connect(self._dsn, TIMEOUT) as connection:
            cursor = connection.cursor(row_factory=dict_row).execute(query, arguments)
            return cursor.fetchall() if cursor.description else []
