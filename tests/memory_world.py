"""The world in memory: the real deciders, fold and pager on the store in memory, with a fake channel, in one thread."""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from domain import alert_commands, commands, ids, incidents, merging
from domain.alert_commands import AcknowledgeAlert, AlertCommand, CloseAlert, UnacknowledgeAlert
from domain.book import Book, Due
from domain.decision import Actor, Cause
from domain.ids import stream_kind
from domain.incidents import Incident
from domain.matching import Matcher, MatchOperator
from domain.silences import Silence
from schemas.config_files import parse_config
from schemas.received import decode, encode, received, split
from schemas.settings import Settings
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams import expiry, heartbeating, pager, reviewing
from streams.alerting import open_alert_book
from streams.channels.memory import MemoryChannel
from streams.channels.render import render
from streams.configuring import apply
from streams.expiry import Expiry
from streams.fold import Arrival, Fold
from streams.heartbeating import Heartbeating
from streams.messages import Delivery
from streams.offsets import EndOffsets
from streams.pager import Pager
from streams.reviewing import Reviewer
from streams.silencing import end_silence, set_silence
from streams.store.base import Conflict, Save, Store, TrackingMove
from streams.store.deciding import decide, open_command
from streams.store.memory import MemoryStore
from tests.world import CONFIG, START, Said, Seen, World, alert, webhook

ORG = "default"
FAILED = (expiry.FAILED, heartbeating.FAILED, pager.FAILED, reviewing.FAILED)
PERSON = Cause(Actor("user", "ada"), "api", "command/test", "test", "test")
SETTINGS = Settings()
VERBS: Mapping[str, commands.PersonCommand] = {
    "ack": incidents.Acknowledge(),
    "unack": incidents.Unacknowledge(),
    "start": incidents.Start(),
    "resolve": incidents.Resolve(),
    "reopen": incidents.Reopen(),
    "unmerge": merging.Unmerge(),
    "assign": incidents.Assign(("grace",)),
    "comment": commands.Note(commands.Words("the disk is full", b"pepper")),
}
ALERT_VERBS: Mapping[str, AlertCommand] = {
    "ack": AcknowledgeAlert(),
    "unack": UnacknowledgeAlert(),
    "resolve": CloseAlert(),
}


class MemoryWorld(World):
    """`store` may be any store: the contract suites hand in a real one. Roles live on when one thing cannot be decided;
    a story ends there, unless it `may_fail`.
    """

    def __init__(self, store: Store | None = None, config: str = CONFIG) -> None:
        super().__init__()
        self._now = START
        self.store: Store = store or MemoryStore(wall=self.now)
        self.channel = MemoryChannel("email")
        self.fold = Fold(self.store, ORG, self.now, timedelta(seconds=60), timedelta(seconds=30))
        self.pager = Pager(self.store, ORG, self.now, {"email": self.channel})
        self.ends = EndOffsets(SETTINGS, self.now)
        self.expiry = Expiry(SETTINGS, self.store, self.fold, self.ends)
        self.reviewer = Reviewer(self.store, ORG, self.now)
        self.heartbeats = Heartbeating(self.store, self.fold, self.now, lambda: b"salt")
        self.may_fail = False
        self._failures = failures()
        self.offset = -1
        self._taken: set[int] = set()
        self._silences = itertools.count(1)
        self.configure(config)

    def configure(self, config: str) -> None:
        """Make the configuration what this YAML says."""
        self.config = config
        cause = Cause(Actor("user", "root"), "cli", "command/apply", "apply", "apply")
        apply(self.store, ORG, parse_config(config, "world.yaml"), cause, self.now(), b"salt", prune=True)

    def now(self) -> datetime:
        return self._now

    def post(self, body: dict[str, Any]) -> None:
        self.receive(body, self.now())
        self.settle()

    def receive(self, body: dict[str, Any], received_at: datetime) -> None:
        """Take a webhook through every shape it has on its way, and fold it."""
        parsed = SOURCES["alertmanager"](json.dumps(body).encode(), DEFAULT_LIMITS)
        receipt, said = f"r-{next(self._receipts):06}", (parsed.alerts, parsed.raw, b"salt", parsed.rejected)
        whole = received(receipt, "alertmanager", received_at, *said)
        for _, part in split(ORG, whole, 1):
            move = TrackingMove("default", "alerts", 0, self.offset, self.offset + 1)
            self.offset += 1
            self.fold.save([Arrival(decode(encode(part)), f"default/alerts/0@{self.offset}")], (move,))

    def receive_only(self, name: str, service: str = "payments") -> None:
        """An alert is folded, and no pager works yet."""
        self.receive(webhook([alert(name, {"service": service}, self.now())]), self.now())

    def deliver(self, claimed: Sequence[Delivery]) -> None:
        """Hand messages to the channel and save what became of them."""
        self.pager.settle([asyncio.run(self.pager.deliver(delivery)) for delivery in claimed])

    def meet(self, due: Due) -> None:
        """A pager decides a deadline that it claimed earlier; somebody else's decision stands."""
        with suppress(Conflict):
            self.store.save(self.pager._stepped([due]))
        self.settle()

    def settle(self) -> None:
        """Let worker and pager work until there is nothing left to do now."""
        while True:
            stepped = self.expire() + self.reviewer.step() + self.heartbeats.step() + self.pager.step()
            claimed = self.pager.claim(100)
            if claimed:
                self.deliver(claimed)
            if not stepped and not claimed:
                break
        assert self.may_fail or failures() == self._failures, "a role has met an error that nobody foresaw: see its log"

    def expire(self) -> int:
        """Kafka is asked where the topic ends, and the worker meets what has come of its deadlines."""
        self.ends.known, self.ends.as_of = {0: self.offset}, self.now()
        return self.expiry.step()

    def advance(self, **delta: float) -> None:
        """Time passes in small steps, so that what is due happens in order and on time."""
        end = self._now + timedelta(**delta)
        while self._now < end:
            self._now = min(end, self._now + timedelta(seconds=5))
            self.settle()

    def jump(self, **delta: float) -> None:
        """Time passes while the pager is down."""
        self._now += timedelta(**delta)
        self.settle()

    def command(self, verb: str, incident: str, by: str = "ada") -> str:
        status = self.command_only(verb, incident, by)
        self.settle()
        return status

    def command_only(self, verb: str, incident: str, by: str) -> str:
        """A person acts, and no pager works meanwhile."""
        return self.order(VERBS[verb], incident, by).status.value

    def order(self, command: commands.PersonCommand, incident: str, by: str = "ada") -> Incident:
        """A person commands something of an incident, and no pager works meanwhile; returns it as it then is."""
        stream = self._streams()[incident]
        cause = Cause(Actor("user", by), "api", "command/test", "test", "test")
        after: list[Incident] = []

        def attempt() -> Save:
            book = open_command(self.store, ORG, stream, command)
            book.numbers = (number for _ in itertools.count() for number in self.store.next_numbers(1))
            after.append(commands.execute(book, stream, command, cause, self.now()))
            return Save(book)

        decide(self.store, attempt)
        return after[-1]

    def merge(self, loser: str, winner: str, by: str = "ada") -> None:
        self.order(merging.Merge(self._streams()[winner]), loser, by)
        self.settle()

    def tell_alert(self, verb: str, name: str, by: str = "ada", **labels: str) -> bool:
        """A person says something of a single alert, and no pager works meanwhile; whether that changed anything."""
        alert_id = ids.alert_id(ORG, "alertmanager", alert(name, labels, self.now())["fingerprint"])
        cause = Cause(Actor("user", by), "api", "command/test", "test", "test")
        books: list[Book] = []

        def attempt() -> Save:
            books.append(open_alert_book(self.store, ORG, alert_id))
            alert_commands.execute(books[-1], alert_id, ALERT_VERBS[verb], cause, self.now())
            return Save(books[-1])

        decide(self.store, attempt)
        return bool(books[-1].entries)

    def command_alert(self, verb: str, name: str, by: str = "ada", **labels: str) -> bool:
        changed = self.tell_alert(verb, name, by, **labels)
        self.settle()
        return changed

    def silence(self, minutes: float, after: float = 0, **labels: str) -> str:
        matchers = tuple(Matcher(name, MatchOperator.EQUAL, value) for name, value in sorted(labels.items()))
        start = self.now() + timedelta(minutes=after)
        wanted = Silence("", matchers, start, start + timedelta(minutes=minutes), self.now(), "ada", "being repaired")
        made = set_silence(self.store, ORG, wanted, f"silence-{next(self._silences)}", PERSON, self.now(), b"salt")
        self.settle()
        return made.id

    def end_silence(self, name: str) -> None:
        end_silence(self.store, ORG, name, PERSON, self.now(), b"salt")
        self.settle()

    def _streams(self) -> dict[str, str]:
        opened = [e for e in self.store.tail(0, 1_000_000) if isinstance(e.event, incidents.Opened)]
        return {f"INC-{e.event.number}": e.stream for e in opened if isinstance(e.event, incidents.Opened)}

    def next_message(self, user: str) -> Said | None:
        for index, said in enumerate(self._said()):
            if index not in self._taken and said.user == user:
                self._taken.add(index)
                return said
        return None

    def leftover(self) -> list[Said]:
        return [said for index, said in enumerate(self._said()) if index not in self._taken]

    def _said(self) -> list[Said]:
        said = []
        for message in self.channel.delivered:
            rendered = render(message, "example.test", self.now())
            names = tuple(f"INC-{line.number}" for line in message.lines)
            said.append(Said(message.person_id, "email", names, rendered.subject, rendered.text))
        return said

    def incidents(self) -> list[Seen]:
        found = []
        for name, stream in self._streams().items():
            state = self.store.load([stream])[stream].state
            assert isinstance(state, Incident)
            found.append(Seen(name, state.title, state.status, state.severity, state.service, state.team))
        return found

    def event_types(self, incident: str) -> list[str]:
        stream = self._streams()[incident]
        kinds = ("incident", "escalation", "page", "group")
        events = [e for e in self.store.tail(0, 1_000_000) if stream_kind(e.stream) in kinds]
        escalations = {e.stream for e in events if getattr(e.event, "incident", "") == stream}
        return [e.type for e in events if e.stream == stream or e.stream in escalations]


def failures() -> float:
    """How often roles have met an error that nobody foresaw, as they count it."""
    samples = (sample for counter in FAILED for metric in counter.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))
