"""The pager: deadlines become steps, steps become pages, pages become messages, and what became of them is saved.

It needs Postgres and the channels, never Kafka. Everything it takes it takes by lease, so any number of pagers work
side by side and one that dies leaves nothing behind but a page that is said again, marked as a possible repeat.
"""

import asyncio
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from prometheus_client import Counter, Gauge

from domain import delivering, stepping
from domain.book import Book, Due
from domain.delivering import Attempt, Delivered, Postponed, Result, Undeliverable, Unsure
from domain.escalations import Escalation
from streams.channels.base import Channel, Message, Outcome, Rejected, Retry, Sent, Uncertain
from streams.clock import Clock
from streams.failpoints import effect
from streams.messages import Delivery, Signposts, deliveries, unwritten
from streams.patience import patiently
from streams.store.base import TOGETHER, ClaimedPage, Conflict, Save, Settlement, Store, Unavailable
from streams.store.deciding import TZ_VERSION, decide

log = structlog.get_logger()

LEASE = 60.0
"""Seconds that a claim holds; longer than any channel's own time-outs together."""
BATCH = 500
"""Deadlines that are decided before their pages are looked for: those of one moment leave together."""
STEPS_TOGETHER = 50
"""Deadlines decided in one save."""
SETTLED_TOGETHER = 200
"""Pages whose outcome is saved at once: a message may carry thousands, and acknowledgements wait for each save."""
LOGGED_TOGETHER = 100
"""Incidents in one line of the log."""
MAX_IN_FLIGHT = 32
POLL = 0.1
"""Seconds between looks when nobody says that there is work."""
FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
"""Seconds; doubled with every attempt, with full jitter."""

STEPS = Counter("tocsin_escalation_steps_total", "Escalation deadlines decided.")
PAGES = Counter("tocsin_pages_total", "Attempts at pages, by method and result.", ["method", "result"])
FAILED = Counter(
    "tocsin_pager_failures_total",
    "Errors that nobody foresaw, by what each cost: a deadline, words of a message, a page, a message, an outcome.",
    ["what"],
)
BROKEN = Counter("tocsin_channel_broken_total", "Messages refused because the channel is misconfigured.", ["method"])
HELD = Counter("tocsin_pages_held_total", "Pages that waited because their person had enough messages that minute.")
IN_FLIGHT = Gauge("tocsin_deliveries_in_flight", "Messages handed to a channel and not yet answered.")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """A delivery and what the channel said of it. Should it be tried again, its pages are from `retry_at` on (UTC),
    together.
    """

    delivery: Delivery
    result: Result
    retry_at: datetime


@dataclass(slots=True)
class Pager:
    """Decides deadlines and delivers pages.

    Parameters:
        channels: by name (`email`).
        pages_per_minute: the most messages that one person gets by one method within a minute, from all pagers
            together (they are to be given the same number); see `streams.store.pace`. Pages beyond wait for at most
            that long and leave together.
        public_url: where people reach the gateway, for links to incidents; None: there are none.
    """

    store: Store
    org: str
    clock: Clock
    channels: Mapping[str, Channel]
    pages_per_minute: int = 20
    public_url: str | None = None
    _ripe: list[Due] = field(default_factory=list)
    _done: "asyncio.Queue[Outcomes]" = field(default_factory=lambda: asyncio.Queue(MAX_IN_FLIGHT * 2))
    _sending: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, then finish what is in flight. Ends with the first error nobody expected."""
        async with asyncio.TaskGroup() as tasks:
            bookkeeping = tasks.create_task(self._bookkeeping())
            await self._clockwork(stopping, tasks)
            await asyncio.gather(*self._sending)
            await self._done.join()
            bookkeeping.cancel()

    async def _clockwork(self, stopping: asyncio.Event, tasks: asyncio.TaskGroup) -> None:
        while not stopping.is_set():
            stepped = await patiently(self.step)
            room = MAX_IN_FLIGHT - len(self._sending)
            claimed = await patiently(partial(self.claim, room)) if room > 0 else []
            for delivery in claimed:
                task = tasks.create_task(self._send(delivery))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
            IN_FLIGHT.set(len(self._sending))
            if not stepped and not claimed:
                await asyncio.to_thread(self.store.wait, POLL)

    async def _send(self, delivery: Delivery) -> None:
        await self._done.put(await self.deliver(delivery))

    async def _bookkeeping(self) -> None:
        """Save outcomes, everything that is there in one save."""
        while True:
            outcomes = [await self._done.get()]
            while not self._done.empty():
                outcomes.append(self._done.get_nowait())
            await patiently(partial(self.settle, outcomes))
            for _ in outcomes:
                self._done.task_done()

    # -- the steps of the work, each complete in itself ------------------------------------------------------------

    def step(self) -> int:
        """Decide the deadlines that have come; returns how many. Blocks; raises Unavailable.

        What was claimed before the database went away is decided by the next call, not once its lease is over.
        """
        self._ripe = self._ripe or self.store.claim_due(self.clock(), LEASE, BATCH, stepping.ESCALATE)
        claimed = len(self._ripe)
        while self._ripe:
            self._meet(self._ripe[:STEPS_TOGETHER])
            del self._ripe[:STEPS_TOGETHER]
        STEPS.inc(claimed)
        return claimed

    def _meet(self, ripe: Sequence[Due]) -> None:
        """Decide deadlines in one save; when that fails, the halves by themselves: one that cannot be decided costs
        only itself.

        Such a one is logged and counted and stays claimed, which keeps it away for `LEASE` seconds; then it is tried
        again, as long as there is this deadline. Raises Unavailable.
        """
        try:
            decide(self.store, partial(self._stepped, ripe))
        except Unavailable:
            raise
        except Exception as error:
            if len(ripe) > 1:
                self._meet(ripe[: len(ripe) // 2])
                self._meet(ripe[len(ripe) // 2 :])
            elif isinstance(error, Conflict):
                log.info("deadline met elsewhere", escalation=ripe[0].key)
            else:
                FAILED.labels("deadline").inc()
                log.error("a deadline cannot be decided", escalation=ripe[0].key, again_in=LEASE, exc_info=error)

    def _stepped(self, ripe: Sequence[Due]) -> Save:
        book = self._book_of([due.key for due in ripe])
        for due in ripe:
            stepping.run(book, due, self.clock())
        return Save(book)

    def claim(self, limit: int) -> list[Delivery]:
        """Take what is to be said, in up to `limit` messages, and write these; blocks. Raises Unavailable.

        A page that cannot be written is a delivery too, for which `deliver` has an answer.
        """
        lost = self.store.expired_claims(TOGETHER)
        if lost:
            self._give_up(lost)
        taken = self.store.claim_pages(self.clock(), LEASE, limit, self.pages_per_minute)
        if taken.held:
            HELD.inc(taken.held)
            log.info("pages wait for the limit of a person", pages=taken.held)
        if not taken.pages:
            return []
        found = deliveries(self.store, self.org, Signposts(self.store.config(), self.public_url), taken.pages)
        FAILED.labels("page").inc(sum(delivery.unwritable is not None for delivery in found))
        FAILED.labels("words").inc(sum(delivery.left_out for delivery in found))
        return found

    async def deliver(self, delivery: Delivery) -> Outcomes:
        """Hand a message to its channel and translate the answer."""
        channel = self.channels.get(delivery.method)
        if delivery.unwritable is not None:
            return self._outcomes(delivery, Undeliverable(delivery.unwritable))
        if delivery.message is None:
            return self._outcomes(delivery, Undeliverable("no_contact_method"))
        if channel is None:
            return self._outcomes(delivery, Undeliverable("channel_not_configured"))
        outcome = await _sent(channel, delivery.message)
        result, after = translated(outcome)
        if isinstance(outcome, Rejected) and outcome.broken:
            BROKEN.labels(delivery.method).inc()
            log.error("channel is broken", method=delivery.method, reason=outcome.reason, delivery=delivery.key)
        PAGES.labels(delivery.method, type(result).__name__.lower()).inc()
        _log(delivery, delivery.message, result)
        return self._outcomes(delivery, result, after)

    def _outcomes(self, delivery: Delivery, result: Result, after: float | None = None) -> Outcomes:
        attempt = max(page.attempt for page in delivery.pages)
        return Outcomes(delivery, result, self.clock() + _backoff(attempt, after))

    def settle(self, outcomes: Sequence[Outcomes]) -> None:
        """Save what became of deliveries; blocks. A page that was taken over meanwhile is left to its taker.

        One of which that cannot be saved is logged and counted and stays claimed: when its lease is over, nobody knows
        what became of it. Raises Unavailable.
        """
        for portion in portions(outcomes):
            self._settle(portion)

    def _settle(self, outcomes: Sequence[Outcomes]) -> None:
        delivery = outcomes[0].delivery
        try:
            decide(self.store, lambda: self._settled(outcomes))
        except Unavailable:
            raise
        except Exception as error:
            if len(outcomes) > 1:
                for outcome in outcomes:
                    self._settle([outcome])
            elif isinstance(error, Conflict):
                log.warning("page was taken over", delivery=delivery.key, pages=len(delivery.pages))
            elif len(delivery.pages) > 1:
                for page in delivery.pages:
                    self._settle([replace(outcomes[0], delivery=replace(delivery, pages=(page,)))])
            else:
                FAILED.labels("outcome").inc()
                page_id = delivery.pages[0].page.id
                log.error("an outcome cannot be saved", page=page_id, delivery=delivery.key, exc_info=error)

    def _settled(self, outcomes: Sequence[Outcomes]) -> Save:
        book = self._book_of([page.page.escalation for o in outcomes for page in o.delivery.pages])
        book.streams |= self.store.load([page.page.id for o in outcomes for page in o.delivery.pages])
        settlements = [
            self._settle_page(book, page, outcome) for outcome in outcomes for page in outcome.delivery.pages
        ]
        return Save(book, settlements=tuple(settlements))

    def _settle_page(self, book: Book, claimed: ClaimedPage, outcome: Outcomes) -> Settlement:
        attempt = Attempt(
            page=claimed.page.id,
            delivery=outcome.delivery.key,
            number=claimed.attempt,
            possible_repeat=claimed.possible_repeat,
            retry_at=outcome.retry_at,
        )
        settled = delivering.settle(book, attempt, outcome.result, self.clock())
        return Settlement(claimed.page.id, claimed.claim, settled.status.value, settled.at, settled.possible_repeat)

    def _give_up(self, lost: Sequence[ClaimedPage]) -> None:
        """Claims that outlived their lease: their pager died or hung, and nobody knows what it said."""
        log.warning("claims outlived their lease", pages=len(lost))
        unsure = Unsure("claim_expired")
        self.settle([self._outcomes(delivery, unsure) for delivery in unwritten(self.org, lost)])

    def _book_of(self, escalations: Sequence[str]) -> Book:
        config = self.store.config()
        streams = self.store.load(set(escalations))
        incidents = {loaded.state.incident for loaded in streams.values() if isinstance(loaded.state, Escalation)}
        streams |= self.store.load(incidents)
        return Book(self.org, config, streams, tz_version=TZ_VERSION)


def portions(outcomes: Iterable[Outcomes]) -> Iterator[list[Outcomes]]:
    """The same outcomes in order, of `SETTLED_TOGETHER` pages at most each time; what became of a large delivery comes
    in several.
    """
    portion: list[Outcomes] = []
    room = SETTLED_TOGETHER
    for outcome in outcomes:
        pages = outcome.delivery.pages
        for start in range(0, len(pages), SETTLED_TOGETHER):
            part = replace(outcome.delivery, pages=pages[start : start + SETTLED_TOGETHER])
            if len(part.pages) > room:
                yield portion
                portion, room = [], SETTLED_TOGETHER
            portion.append(replace(outcome, delivery=part))
            room -= len(part.pages)
    if portion:
        yield portion


def _backoff(attempt: int, asked: float | None) -> timedelta:
    longest = min(LONGEST_RETRY, FIRST_RETRY * 2 ** (attempt - 1))
    return timedelta(seconds=max(asked or 0.0, random.uniform(longest / 2, longest)))  # noqa: S311


async def _sent(channel: Channel, message: Message) -> Outcome:
    """A channel's answer. When it raises what nobody foresaw, it is not known whether the message was said."""
    try:
        with effect("send_page"):
            return await channel.send(message)
    except Exception as error:
        FAILED.labels("message").inc()
        log.error("a message failed in its channel", delivery=message.key, exc_info=error)
        return Uncertain(f"the channel failed ({type(error).__name__})")


def _log(delivery: Delivery, message: Message, result: Result) -> None:
    """What was handed over, `LOGGED_TOGETHER` incidents in a line."""
    for start in range(0, len(delivery.pages), LOGGED_TOGETHER):
        part = slice(start, start + LOGGED_TOGETHER)
        log.info(
            "page handed over",
            result=type(result).__name__.lower(),
            reason=getattr(result, "reason", None),
            user=delivery.user,
            method=delivery.method,
            delivery=delivery.key,
            pages=len(delivery.pages),
            incidents=[f"INC-{line.number}" for line in message.lines[part]],
            incident_ids=[f"incident-{line.incident_id}" for line in message.lines[part]],
            receipts=list(delivery.receipts[part]),
        )


def translated(outcome: Outcome) -> tuple[Result, float | None]:
    """A channel's answer in the domain's words, and the seconds it asked to wait."""
    match outcome:
        case Sent():
            return Delivered(), None
        case Retry(reason=reason, after=after):
            return Postponed(reason), after
        case Rejected(reason=reason):
            return Undeliverable(reason), None
        case Uncertain(reason=reason):
            return Unsure(reason), None
