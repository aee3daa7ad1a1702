"""`tocsin replay`: the log told again, to a file or to a topic of its own, for whoever wants to look at it elsewhere.

Events are as the relay writes them. Nothing that could page anybody, or write to the store, can be reached from here:
an import rule holds that.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from domain.escalations import Started
from domain.ids import stream_kind
from domain.pages import Queued
from schemas.events import decode
from streams.publishing import attributes, source_of
from streams.store.base import RawEvent
from streams.store.ledger import Ledger, Line

BATCH = 1_000
REMEMBERED = 50_000
"""Escalations and pages whose incident is remembered."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and the stream that it belongs to: an incident's, for escalations and pages."""

    event: RawEvent
    about: str


@dataclass(slots=True)
class Replay:
    """Tells the log again. Memory does not grow with it.

    Parameters:
        after, until: positions; the first is not told, the second is the last that is.
    """

    ledger: Ledger
    after: int = 0
    until: int | None = None
    _incidents: "OrderedDict[str, str]" = field(default_factory=OrderedDict)

    def events(self) -> Iterator[Told]:
        """The events, in order. Raises UnknownEvent for one of a newer version, Unavailable."""
        position, head = self.after, self.ledger.head() if self.until is None else self.until
        while lines := self.ledger.lines(position, BATCH):
            for line in lines:
                if line.position > head:
                    return
                yield self._told(line)
            position = lines[-1].position

    def lines(self) -> Iterator[bytes]:
        """The events as CloudEvents in JSON, one per line; `data` is byte for byte what is stored and hashed."""
        source = source_of(self.ledger.identity())
        for told in self.events():
            document = {**attributes(told.event, source), "datacontenttype": "application/json"}
            yield orjson.dumps({**document, "data": orjson.Fragment(told.event.state)}) + b"\n"

    def _told(self, line: Line) -> Told:
        stored = decode(line.type, line.state)
        if isinstance(stored.data, Started | Queued) and stored.data.incident:
            self._remember(line.stream, stored.data.incident)
        event = RawEvent(
            line.position, line.stream, line.version, line.type, line.state, stored.decision.decided_at, line.hash
        )
        about = self._about(line) if stream_kind(line.stream) in ("escalation", "page") else line.stream
        return Told(event, about)

    def _about(self, line: Line) -> str:
        if line.stream not in self._incidents:
            first = next(iter(self.ledger.history(line.stream, line.position + 1)), line)
            self._remember(line.stream, getattr(decode(first.type, first.state).data, "incident", "") or line.stream)
        return self._incidents[line.stream]

    def _remember(self, stream: str, incident: str) -> None:
        self._incidents[stream] = incident
        if len(self._incidents) > REMEMBERED:
            self._incidents.popitem(last=False)
