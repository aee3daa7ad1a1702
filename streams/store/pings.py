"""What heartbeats of the configuration have said, in Postgres: their pings, and when nobody could have heard them.

A ping is one statement and no save: it takes no insert lock, so that it costs next to nothing and waits for nobody. The
roles' own signs of life are in `heartbeats`.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import LiteralString

from domain.heartbeats import Gap, Ping
from streams.store.base import Listening
from streams.store.connected import Connected

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
MARGIN = timedelta(seconds=5)
"""How far the clocks of gateways and pagers may be apart: a look that is so near is made again after a ping."""
GATEWAY, FOLD = "gateway", "fold"
"""The roles under which gateways leave their own sign of life, and the fold says until when it has heard all."""

PING: LiteralString = """
with said as (
    insert into pings as p (heartbeat, since, at) values (%(heartbeat)s, %(at)s, %(at)s)
    on conflict (heartbeat) do update set at = greatest(p.at, excluded.at) returning heartbeat
)
insert into due as d (kind, key, at, rev) select 'heartbeat', heartbeat, %(at)s, 1 from said
on conflict (kind, key) do update set at = excluded.at, rev = d.rev + 1, lease_until = null
where d.at <= %(at)s + %(margin)s
returning key
"""
"""A heartbeat that nobody looks at, or somebody perhaps just now, is looked at (again): the look has to meet `rev`."""
END: LiteralString = """
with said as (
    update pings set ended_at = greatest(ended_at, %(at)s)
    where heartbeat = %(heartbeat)s and (pings.at is null or pings.at <= %(at)s) returning heartbeat
)
insert into due as d (kind, key, at, rev) select 'heartbeat', heartbeat, %(at)s, 1 from said
on conflict (kind, key) do update set at = least(d.at, excluded.at), rev = d.rev + 1, lease_until = null
returning key
"""
FOLDED: LiteralString = """
insert into progress (role, position, at) values (%(role)s, %(micros)s, clock_timestamp())
on conflict (role) do update set position = greatest(progress.position, excluded.position), at = excluded.at
returning role
"""


class Pings(Connected):
    """The part of the Postgres store that remembers pings; see `streams.store.base.Store`."""

    def ping(self, heartbeat: str, at: datetime) -> None:
        self._changed("ping", PING, {"heartbeat": heartbeat, "at": at, "margin": MARGIN})

    def end_ping(self, heartbeat: str, at: datetime) -> None:
        self._changed("end_ping", END, {"heartbeat": heartbeat, "at": at})

    def folded_until(self, at: datetime) -> None:
        self._changed("folded_until", FOLDED, {"role": FOLD, "micros": (at - EPOCH) // MICROSECOND})

    def expect(self, heartbeat: str, since: datetime) -> None:
        self._changed(
            "expect_ping",
            "insert into pings (heartbeat, since) values (%s, %s) on conflict do nothing returning heartbeat",
            (heartbeat, since),
        )

    def forget_pings(self, heartbeat: str) -> None:
        self._changed("forget_pings", "delete from pings where heartbeat = %s returning heartbeat", (heartbeat,))

    def pings(self, heartbeats: Collection[str]) -> Mapping[str, Ping]:
        query: LiteralString = "select heartbeat, since, at, ended_at from pings where heartbeat = any(%s)"
        rows = self._rows(query, (list(heartbeats),))
        return {row.pop("heartbeat"): Ping(**row) for row in rows}

    def listening(self) -> Listening:
        rows = self._rows("select role, position, clock_timestamp() - at as age from progress")
        told = {row["role"]: row for row in rows}
        gaps = self._rows("select since, until from gaps order by until")
        return Listening(
            age=told[GATEWAY]["age"] if GATEWAY in told else None,
            gaps=tuple(Gap(**row) for row in gaps),
            folded=EPOCH + told[FOLD]["position"] * MICROSECOND if FOLD in told else None,
        )
