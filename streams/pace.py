"""How often one person is messaged by one method: what is over the limit waits, and then leaves as one message.

A sliding window of a minute by the application's clock. It is kept in memory: each pager has its own, and a restart
begins anew. The limit protects people and providers from a storm; nothing is ever lost by it.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=1)

Target = tuple[str, str]
"""(user, method)"""


@dataclass(slots=True)
class Pace:
    """Counts messages. `per_minute`: how many one person may get by one method within a minute."""

    per_minute: int
    _begun: dict[Target, deque[datetime]] = field(default_factory=dict)

    def count(self, user: str, method: str, now: datetime) -> None:
        """A message to this person has been begun."""
        self._begun.setdefault((user, method), deque(maxlen=self.per_minute)).append(now)

    def full(self, now: datetime) -> Mapping[Target, datetime]:
        """Those who may get no more messages now, and the moment from which they may: within a minute at the latest."""
        self._begun = {target: begun for target, begun in self._begun.items() if begun[-1] + WINDOW > now}
        return {
            target: begun[0] + WINDOW
            for target, begun in self._begun.items()
            if len(begun) == self.per_minute and begun[0] + WINDOW > now
        }
