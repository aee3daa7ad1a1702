"""Since when what fires was not heard of again, in Postgres: what a time-out that is applied is counted from."""

from datetime import datetime
from typing import LiteralString

from streams.store.connected import Connected

HEARD: LiteralString = """
select "group", min(last_seen) as heard from alert_state
where status = 'firing' and integration = %s and "group" is not null group by "group"
"""


class Hearing(Connected):
    """The part of the Postgres store that knows when alerts were reported last; see `streams.store.base.Store`."""

    def last_heard(self, integration: str) -> dict[str, datetime]:
        return {row["group"]: row["heard"] for row in self._rows(HEARD, (integration,))}
