"""A channel that reaches nobody and remembers everything: the one that tests and stories use.

It passes the same contract suite as the real ones (`tests/contract/test_channels.py`).
"""

from __future__ import annotations

from collections import deque

from streams.channels.base import Message, Notice, Outcome, Sent


class MemoryChannel:
    """Records each message it is handed and answers from a script, or `Sent` when the script is empty.

    `messages` holds every attempt, whatever the answer was; `delivered` only what a person would have seen, so
    also what was answered with `Uncertain` by `script(..., arrives=True)`. `notices` holds the notices, likewise.
    """

    def __init__(self, name: str = "email") -> None:
        self._name = name
        self._script: deque[tuple[Outcome, bool]] = deque()
        self.messages: list[Message] = []
        self.delivered: list[Message] = []
        self.notices: list[Notice] = []
        self.closed = False

    @property
    def name(self) -> str:
        """The word used in configuration and events."""
        return self._name

    def script(self, *outcomes: Outcome, arrives: bool = False) -> None:
        """Answer the next messages with `outcomes`, in order; `arrives`: they are delivered whatever is answered."""
        self._script.extend((outcome, arrives or isinstance(outcome, Sent)) for outcome in outcomes)

    async def send(self, message: Message | Notice) -> Outcome:
        """Remember `message` and give the next scripted answer; `Sent` names it by its delivery key."""
        outcome, arrives = self._script.popleft() if self._script else (Sent(f"memory-{message.key}"), True)
        if isinstance(message, Message):
            self.messages.append(message)
            self.delivered += [message] if arrives else []
        elif arrives:
            self.notices.append(message)
        return outcome

    async def close(self) -> None:
        """Remember that it was closed; the messages stay to be looked at."""
        self.closed = True
