"""How often one person is messaged by one method.

The first messages of a minute leave as they come. In a storm the others keep a distance, so that its news are spread
over the minute instead of used up in its first seconds: what is critical and comes late waits for seconds only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

MESSAGES_WINDOW = timedelta(minutes=1)
"""The time within which messages to one person by one method are counted; it slides."""
AT_ONCE = 10
"""Messages within the window that keep no distance."""


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `per_minute` messages in any `MESSAGES_WINDOW`."""

    per_minute: int

    @property
    def at_once(self) -> int:
        """So many messages in the window keep no distance."""
        return min(self.per_minute, AT_ONCE)

    @property
    def distance(self) -> timedelta:
        """From one message to the next, once `at_once` are in the window: what may follow them fills it evenly."""
        left = self.per_minute - self.at_once
        return MESSAGES_WINDOW / (left + 1) if left else timedelta()

    def room_from(self, begun: Iterable[datetime], now: datetime) -> datetime:
        """When the next message may begin, after those that were `begun`: `now`, or later."""
        recent = sorted(at for at in begun if at > now - MESSAGES_WINDOW)
        room = now
        if len(recent) >= self.at_once:
            room = max(room, recent[-1] + self.distance)
        if len(recent) >= self.per_minute:
            room = max(room, recent[-self.per_minute] + MESSAGES_WINDOW)
        return room
