"""What a channel is: it takes one message for one person, or one address of a team, and says what became of it.

The pager hands over a `Message` (one delivery of one or more pages), the watchdog a `Notice`, and both get one of four
answers back. A channel never raises for a provider's answer and never waits without a limit, so the pager is the single
place that decides about retries. Read next: `render` (what a message says), `email` (the first real channel), `memory`
(the fake), `registry` (how a name becomes a channel).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took responsibility; `provider_id` names the message there, e.g. its Message-ID."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Not accepted now, maybe later; `after`: seconds the provider asked for, None = the pager's backoff."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Final for this message; `broken`: the channel itself is misconfigured (a refused password)."""

    reason: str
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Uncertain:
    """It left, but no answer came: send it again with the same key, marked as a possible repeat."""

    reason: str


Outcome = Sent | Retry | Rejected | Uncertain
"""A `reason` is for operators and events: a stage and a code, never an address, a secret or a provider's words."""


@dataclass(frozen=True, slots=True)
class PageLine:
    """One page: one incident, and why this person hears of it.

    Only `severity` and `status` are our own words. Everything else may hold whatever a monitoring system sent
    (line breaks, markup, megabytes), and each channel cleans it for its own medium (`untrusted`).

    Params:
        incident_id: the incident's uuid.
        number: rendered as INC-7.
        title: one line, constant for the life of the incident.
        severity: critical | high | medium | low | info, as it is now.
        status: triggered | acknowledged | in_progress | resolved, as it is now.
        service, team: names for people; empty when routing gave none.
        opened_at: aware; when the incident opened. Constant for its life.
        loop, step: where the escalation stands, both counted from 1.
        why: a sentence, e.g. "step 2 of policy platform-default, nobody acknowledged in 5 min".
        flapping: a sentence when an alert of it has begun to flap, of which no more is said for a while; else empty.
        summary: free text of the alert.
        labels: (name, value) pairs.
        links: (label, url) pairs; only http and https become links.
        public_url: the incident's page, None when Tocsin has no public address.
        first: this delivery is the first to this person about this incident, so the root of the mail thread;
            still true when that delivery is attempted again.
    """

    incident_id: str
    number: int
    title: str
    severity: str
    status: str
    service: str
    team: str
    opened_at: datetime
    loop: int
    step: int
    why: str
    flapping: str = ""
    summary: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    public_url: str | None = None
    first: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery: the pages that one person gets in one piece, by one method.

    Params:
        key: the delivery's uuid and idempotency key; equal on every attempt.
        to: the address in the channel's own terms (a mail address, a phone number).
        person_id: id of the person, not their name; `team:platform` for the channel of a team.
        lines: at least one page.
        attempt: counted from 1.
        possible_repeat: an earlier attempt may have arrived; the reader is told so.

    Raises:
        ValueError: no lines, or a time without a zone.
    """

    key: str
    to: str
    person_id: str
    lines: tuple[PageLine, ...]
    attempt: int = 1
    possible_repeat: bool = False

    def __post_init__(self) -> None:
        if not self.lines:
            raise ValueError("a message carries at least one page")
        if any(line.opened_at.tzinfo is None for line in self.lines):
            raise ValueError("opened_at needs a time zone")


@dataclass(frozen=True, slots=True)
class Notice:
    """What Tocsin says about itself to one person: no incident, nothing to acknowledge.

    Params:
        key: names this notice; equal on every attempt and for everybody who gets it.
        to, person_id: as in a `Message`.
        title: one line.
        text: paragraphs.
    """

    key: str
    to: str
    person_id: str
    title: str
    text: str


class Channel(Protocol):
    """One way to reach people. Values that hold addresses or secrets stay inside."""

    @property
    def name(self) -> str:
        """The word used in configuration and events, e.g. "email"."""
        ...

    async def send(self, message: Message | Notice) -> Outcome:
        """Deliver the message, in bounded time, and say what became of it. Never raises for an answer."""
        ...

    async def close(self) -> None:
        """Let go of connections, in bounded time. May be called twice."""
        ...


class Secret:
    """A value that shows itself in no repr, log line or traceback. `reveal()` is the only way in."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
