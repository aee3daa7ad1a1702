"""What a store promises, whichever it is.

A save is one transaction: events, positions, alert rows, deadlines, pages and payloads change together or not at
all, and only if everything the decisions looked at is still as it was. Positions are gapless and in commit order.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.alerts import AlertRow
from domain.book import Book, Due, Loaded, PageRow, PendingPage
from domain.config import Config
from domain.correlating import Candidates, Spot
from domain.decision import Decision
from domain.events import Event
from domain.heartbeats import Gap, Ping
from domain.inhibition import Place, Side, Source

TOGETHER = 10_000
"""Pages that one claim takes at most, and so the most that one message speaks of."""


class StoreError(Exception):
    """The store could not do it.

    StoreError
     ├── Conflict      something a decision looked at has changed: load and decide again
     ├── Unavailable   the database does not answer: wait and try again
     ├── Unstorable    the database refuses what was to be written: a bug, or an input that got past the parsers
     └── WrongStore    the database is not one this version can use: stop and tell the operator
    """


class Conflict(StoreError):
    """Something a decision looked at has changed since it was loaded: load and decide again."""


class Unavailable(StoreError):
    """The database does not answer. After a save this means "perhaps saved": the next attempt finds out."""


class Unstorable(StoreError):
    """The database refuses what was to be written, and will again."""


class WrongStore(StoreError):
    """The database cannot be used by this version: unmigrated, newer, or of another kind."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it stands in the log. `position` counts every event of the store from 1, without gaps."""

    position: int
    stream: str
    version: int
    type: str
    event: Event
    decision: Decision
    hash: bytes


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event as its stored bytes: what is copied, hashed and never rewritten."""

    position: int
    stream: str
    version: int
    type: str
    state: bytes
    decided_at: datetime
    hash: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """Which store this is. `epoch` is raised when it is restored from a backup, whose log ended at `since`."""

    store: str
    epoch: int
    since: int = 0


@dataclass(frozen=True, slots=True)
class TrackingMove:
    """The position in one partition moves from `expected` to `offset` (both the last offset folded, -1 for none)."""

    cluster: str
    topic: str
    partition: int
    expected: int
    offset: int


@dataclass(frozen=True, slots=True)
class ClaimedPage:
    """A page that this pager has taken until its lease ends. `claim` names this taking of it, `bundle` its first,
    which was at `bundled_at` (unmoved time).

    Pages of one person and bundle were once said in one message, and are said so again.
    """

    page: PageRow
    claim: str
    bundle: str
    bundled_at: datetime
    attempt: int
    possible_repeat: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """The pages that a claim took, and how many it let wait because their person has had enough messages."""

    pages: Sequence[ClaimedPage]
    held: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a claimed page's row: `status` is its next one; `queued` again from `at` for another attempt.

    The save refuses (Conflict) when the page is no longer claimed under `claim`.
    """

    page: str
    claim: str
    status: str
    at: datetime | None = None
    possible_repeat: bool = False


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """The answer to a command, kept under the caller's idempotency key. `digest` is the request's sha256."""

    api_key: str
    key: str
    digest: bytes
    answer: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered under an idempotency key, and the log's position after it."""

    digest: bytes
    answer: bytes
    position: int


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A record of the `alerts` topic that was taken while Kafka was away; `key` and `body` as the topic has them."""

    receipt: str
    part: int
    key: bytes
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that could not be decided: an alert of a record, or with `index` -1 the whole record.

    `reason` quotes nothing of it; `body` is what it was, as bytes, erasable. Of several members of one record that were
    rejected the first has it: it is the whole record's.
    """

    pointer: str
    index: int
    receipt: str
    integration: str
    reason: str
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Save:
    """What one transaction writes: a book of decisions, and what became of the inputs behind them.

    `inbox` are the (receipt, part) of inbox rows that are folded by it: it is refused when one already was.
    """

    book: Book
    tracking: tuple[TrackingMove, ...] = ()
    settlements: tuple[Settlement, ...] = ()
    inbox: tuple[tuple[str, int], ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    command: CommandRecord | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        moved = self.tracking or self.settlements or self.inbox or self.dead_letters or self.command
        return self.book.is_empty and not moved


@dataclass(frozen=True, slots=True)
class Listening:
    """Whether pings can be taken: how long ago a gateway last said that it lives (None: none ever did), and when none
    did for a while, in order. Alerts that were accepted before `folded` (UTC) are folded; None: nobody knows of any.
    """

    age: timedelta | None
    gaps: tuple[Gap, ...] = ()
    folded: datetime | None = None


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """A firing alert's row, and the payload that it points at: salt and body, None once that is erased."""

    row: AlertRow
    salt: bytes | None
    body: bytes | None


class Store(Protocol):
    """Everything the roles ask of a store. Every call blocks, with a time-out; call it from a worker thread.

    Every method raises Unavailable when the database does not answer in time. Of a Postgres that stands still that is
    the statement time-out and `streams.store.limits.MARGIN`; twice `CONNECT_TIMEOUT` for what begins meanwhile.
    """

    def load(self, streams: Collection[str]) -> dict[str, Loaded]:
        """The streams asked for, as committed; those without events as `Loaded.absent`."""

    def alerts(self, ids: Collection[str]) -> dict[str, AlertRow]:
        """The alert rows that exist among `ids`."""

    def firing(self, after: AlertRow | None, limit: int) -> list[FiringAlert]:
        """The firing alerts, the newest (by `first_seen`, then id) first, from behind `after` on, if that is given."""

    def firing_among(self, ids: Collection[str]) -> list[FiringAlert]:
        """Those of these alerts that fire, in order of their ids."""

    def last_heard(self, integration: str) -> dict[str, datetime]:
        """Of each group with firing alerts of an integration, when (UTC) that one was reported last that has been
        silent for longest.
        """

    def sources(self, places: Collection[Place]) -> dict[Place, dict[str, Source]]:
        """Firing alerts that inhibit at these places: at most two that are targets there too, and two that are not.

        So there is one besides whichever alert asks, if there is any.
        """

    def standing(self, alerts: Collection[str]) -> dict[str, tuple[Side, ...]]:
        """Where these alerts stand, if they inhibit or are inhibited."""

    def targets(self, place: Place) -> list[str]:
        """The firing alerts that may be inhibited at a place, in order."""

    def candidates(self, spots: Mapping[Spot, datetime]) -> Candidates:
        """The open incidents that stand at these spots, if they were opened at that time (UTC) or later."""

    def pending_pages(self, escalations: Collection[str]) -> dict[str, tuple[PendingPage, ...]]:
        """The pages still queued or claimed, by escalation."""

    def config(self) -> Config:
        """The configuration at its latest revision."""

    def next_numbers(self, count: int) -> list[int]:
        """The next incident numbers; those of decisions that were not saved are lost."""

    def save(self, save: Save) -> int:
        """Write everything in one transaction; returns the position of the last event in the log.

        Raises Conflict when something has changed, Unavailable when the outcome is not known.
        """

    def rehearse(self, save: Save) -> None:
        """Write everything and take it back: raises what `save` would, Unstorable above all, and leaves nothing."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Nobody else saves while this is entered; the thread that entered it may. Raises Unavailable."""

    def answered(self, api_key: str, key: str) -> Answered | None:
        """What was answered to this caller under this idempotency key."""

    def put_inbox(self, rows: Collection[InboxRow]) -> None:
        """Keep records durably until Kafka is back; those that are there already stay as they are."""

    def claim_inbox(self, lease: float, limit: int) -> list[InboxRow]:
        """Take up to `limit` rows that are not folded, oldest first, for `lease` seconds of unmoved time."""

    def claim_unforwarded(self, lease: float, limit: int) -> list[InboxRow]:
        """Take up to `limit` rows whose topic copy is not written, oldest first, for `lease` seconds."""

    def inbox_waits(self, before: datetime) -> bool:
        """Whether the inbox holds rows received before `before` that are not folded."""

    def mark_forwarded(self, rows: Collection[InboxRow]) -> None:
        """The topic copies of these rows are written."""

    def dead_letters(self, receipt: str) -> list[DeadLetter]:
        """What of a receipt could not be decided."""

    def tracking(self, cluster: str, topic: str) -> Mapping[int, int]:
        """The last folded offset per partition."""

    def release_held(self, partitions: Collection[str], now: datetime) -> int:
        """Bring forward the deadlines that waited for these partitions to catch up; returns how many.

        Each comes when it would have come without the wait, and not before `now`.
        """

    def claim_due(self, now: datetime, lease: float, limit: int, kind: str) -> list[Due]:
        """Take up to `limit` deadlines of `kind` that have come, for `lease` seconds of unmoved time."""

    def ping(self, heartbeat: str, at: datetime) -> None:
        """A heartbeat was heard of at `at` (UTC). If nobody is going to look at it, or just now, somebody will."""

    def end_ping(self, heartbeat: str, at: datetime) -> None:
        """What feeds a heartbeat was reported at `at` (UTC) to have ended: it is looked at, unless it pinged since."""

    def folded_until(self, at: datetime) -> None:
        """Alerts that were accepted before `at` (UTC) are folded."""

    def expect(self, heartbeat: str, since: datetime) -> None:
        """A heartbeat that was never heard of is expected from `since` (UTC) on; one that was stays as it is."""

    def forget_pings(self, heartbeat: str) -> None:
        """A heartbeat is not expected any more."""

    def pings(self, heartbeats: Collection[str]) -> Mapping[str, Ping]:
        """What is remembered of those among these heartbeats that are expected, by name."""

    def listening(self) -> Listening:
        """Whether pings can be taken, and could."""

    def claim_pages(self, now: datetime, lease: float, limit: int, per_minute: int, together: int = TOGETHER) -> Taken:
        """Take queued pages, for `lease` seconds of unmoved time: up to `limit` messages, each for a person and method.

        A message takes all that its person is to be told now, `together` pages over all messages at most.
        No person gets more than `per_minute` messages by one method within a minute, nor faster than
        `streams.store.pace.Pace` says, whoever claims and however many claim at once; `now` is when these begin. What
        is beyond waits until there is room. It stays queued: an acknowledgement still cancels it, and it is claimed
        together. Pages that are said again keep to themselves, as a bundle: what else their person is to be told is
        for the next claim.
        """

    def expired_claims(self, limit: int) -> list[ClaimedPage]:
        """Take over pages whose claim outlived its lease: whether they were said nobody knows."""

    def tail(self, after: int, limit: int, as_of: datetime | None = None) -> list[Recorded]:
        """Events after position `after`, in order; with `as_of` (UTC) only those that were decided by then.

        Times do not always grow with positions, so what is left out may lie between what is returned. Asking for a
        time reads every event to the end of the log when there are no `limit` such events: it is for audits.
        """

    def raw_tail(self, after: int, limit: int) -> list[RawEvent]:
        """Events after position `after`, in order, as bytes."""

    def identity(self) -> Identity:
        """Which store this is."""

    def history(self, stream: str) -> list[Recorded]:
        """Every event of one stream, in order."""

    def head(self) -> int:
        """The position of the last event, 0 when there is none."""

    def told(self, incidents: Collection[str], user: str, method: str, before: datetime) -> frozenset[str]:
        """Those of `incidents` about which a message to this person by this method was begun before `before`.

        `before` is a `bundled_at`: the answer for one message is the same at each of its attempts.
        """

    def payload(self, ref: str) -> bytes | None:
        """What is kept under `ref`, None when nothing is or it was erased."""

    def latest_alert(self, incident: str) -> bytes | None:
        """The payload of the alert last seen on an incident, None when there is none or it was erased."""

    def wait(self, seconds: float) -> bool:
        """Block until somebody saved something, or `seconds` passed; whether there was something."""

    def close(self) -> None:
        """Let go of connections."""
