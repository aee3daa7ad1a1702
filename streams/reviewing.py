"""The review at work: firing alerts are looked at again when a rule that suppresses begins, ends or is changed.

Every firing alert is read and judged; only those of which something else is to be said than before are decided, some
in a save. Any number of reviewers work side by side: the deadline is leased, and what two of them decide at once is
decided once.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import structlog
from prometheus_client import Counter

from domain import reviewing
from domain.book import Book, Due
from domain.config import Config
from domain.decision import seal
from domain.episodes import REGARD
from domain.groups import Group
from domain.ids import stream_kind
from domain.inhibition import INHIBIT, Side, inhibitor, sides
from domain.reviewing import REVIEW, Known
from domain.routing import Routing
from domain.suppression import QUIET, Past, Suppression, next_change, suppression
from schemas.payloads import read_alert
from streams.clock import Clock
from streams.patience import patiently, pause_for
from streams.store.base import Conflict, FiringAlert, Save, Store, Unavailable
from streams.store.deciding import TZ_VERSION, add_escalations, add_inhibition, decide, joinable
from streams.suppressed import count_suppressed

log = structlog.get_logger()

LEASE = 60.0
"""Seconds that a claim of the deadline holds; a review that takes longer may be done by two, which harms nothing."""
PAGE = 500
"""Firing alerts read at once."""
PLACES = 20
"""Places that are looked at again between two looks at the rules."""
TOGETHER = 50
"""Alerts decided in one save."""
POLL = 0.25
"""Seconds between looks when the deadline has not come, with jitter."""

REVIEWED = Counter("tocsin_reviewed_alerts_total", "Firing alerts that were looked at again because a rule changed.")
FAILED = Counter("tocsin_review_failures_total", "Reviews, or alerts in one, that could not be decided.")


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Meets the deadline of the review."""

    store: Store
    org: str
    clock: Clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set; waits for Postgres as long as it does not answer.

        Fails open: whatever goes wrong here keeps nobody from being paged. It is logged, counted and tried again.
        """
        with ThreadPoolExecutor(1, "reviewer") as thread:
            while not stopping.is_set():
                if not await self.attempt(thread):
                    await pause_for(stopping, POLL)

    async def attempt(self, thread: ThreadPoolExecutor | None = None) -> int:
        """Review what has come, as `step` does, and survive whatever nobody expected."""
        try:
            return await patiently(self.step, thread)
        except Exception as error:
            FAILED.inc()
            log.error("alerts cannot be reviewed", exc_info=error)
            return 0

    def step(self) -> int:
        """Review what has come; returns how many deadlines had. Blocks; raises Unavailable.

        A deadline that cannot be met costs only itself: it stays claimed, and is tried again after `LEASE` seconds.
        """
        reviewed = self._meet(REVIEW, 1, self._review)
        return reviewed + self._meet(INHIBIT, PLACES, self._inhibit) + self._meet(REGARD, PLACES, self._regard)

    def _meet(self, kind: str, limit: int, work: Callable[[Due], None]) -> int:
        ripe = self.store.claim_due(self.clock(), LEASE, limit, kind)
        for due in ripe:
            with _surviving("a review cannot be done", kind=kind, key=due.key):
                work(due)
        return len(ripe)

    def _review(self, due: Due) -> None:
        """Every firing alert, because a rule has begun, ended or been changed."""
        now, config, changed = self.clock(), self.store.config(), 0
        for found in self._firing():
            REVIEWED.inc(len(found))
            other = list(self._to_change(config, found, now))
            changed += len(other)
            self._decide_all(other, now)
        log.info("alerts reviewed", changed=changed, config_revision=config.revision)
        self._go_on(due, next_change(self.store.config(), now))

    def _inhibit(self, due: Due) -> None:
        """What stands at a place, because something that inhibits there has begun or ended."""
        rule, _, key = due.key.partition("/")
        self._decide_all(self.store.targets((rule, key)), self.clock())
        self._go_on(due, None)

    def _regard(self, due: Due) -> None:
        """What is suppressed in a group, because something that does so has ended by itself; or one alert, because it
        says something else.
        """
        now = self.clock()
        if stream_kind(due.key) != "group":
            self._decide_all([due.key], now)
            self._go_on(due, None)
            return
        self._decide_all(sorted(self._suppressed(due.key)), now)
        left = [why.until for why in self._suppressed(due.key).values() if why.reason in QUIET and why.until]
        self._go_on(due, min((at for at in left if at > now), default=None))

    def _suppressed(self, group: str) -> Mapping[str, Suppression]:
        state = self.store.load([group])[group].state
        return state.suppressed if isinstance(state, Group) else {}

    def _go_on(self, due: Due, at: datetime | None) -> None:
        """Set the deadline anew, unless somebody has brought it forward meanwhile."""
        book = Book(self.org, self.store.config(), {}, tz_version=TZ_VERSION)
        if at:
            book.put_due(Due(due.kind, due.key, at, due.rev))
        else:
            book.drop_due(due.kind, due.key, due.rev)
        with suppress(Conflict):
            self.store.save(Save(book))

    def _firing(self) -> Iterator[list[FiringAlert]]:
        found = self.store.firing(None, PAGE)
        while found:
            yield found
            found = self.store.firing(found[-1].row, PAGE)

    def _to_change(self, config: Config, found: Sequence[FiringAlert], now: datetime) -> Iterator[str]:
        """Those of which something else is to be said than before, or that stand elsewhere by now.

        Of one whose labels were erased nobody knows; one that cannot be judged costs only itself.
        """
        rules = tuple(config.inhibition_rules.values())
        facts: dict[str, Mapping[str, str]] = {}
        stand: dict[str, tuple[Side, ...]] = {}
        ways: dict[str, Routing] = {}
        for alert in found:
            with _surviving("an alert cannot be reviewed", alert=alert.row.id):
                for name, known in _known_of([alert]).items():
                    of = reviewing.facts_of(config, alert.row, known)
                    stand[name], ways[name] = sides(rules, of), reviewing.way_of(config, self.org, of, alert.row)
                    facts[name] = of
        rows = {alert.row.id: alert.row for alert in found}
        standing = self.store.standing(facts) if rules else {}
        sources = self.store.sources({side.place for at in stand.values() for side in at})
        groups = self.store.load({rows[name].group or "" for name, way in ways.items() if way.suppress_for})
        for name, of in facts.items():
            changes, at, row = False, stand[name], rows[name]
            with _surviving("an alert cannot be reviewed", alert=name):
                group = groups[row.group or ""].state if ways[name].suppress_for else None
                past = Past(row.flips, group.ended_at if isinstance(group, Group) else None)
                why = suppression(config, of, ways[name], inhibitor(name, at, sources), past, now)
                changes = rows[name].suppressed != (str(why) if why else None) or standing.get(name, ()) != at
            if changes:
                yield name

    def _decide_all(self, alerts: Sequence[str], now: datetime) -> None:
        for start in range(0, len(alerts), TOGETHER):
            self._decide_some(alerts[start : start + TOGETHER], now)

    def _decide_some(self, alerts: Sequence[str], now: datetime) -> None:
        """Decide about some alerts; when that fails by halves, so that one that is undecidable costs only itself."""
        try:
            self._decide(alerts, now)
        except (Conflict, Unavailable):
            raise
        except Exception as error:
            if len(alerts) == 1:
                FAILED.inc()
                log.error("an alert cannot be reviewed", alert=alerts[0], exc_info=error)
                return
            self._decide_some(alerts[: len(alerts) // 2], now)
            self._decide_some(alerts[len(alerts) // 2 :], now)

    def _decide(self, alerts: Sequence[str], now: datetime) -> None:
        """Decide about some alerts in one save; when one of them was reported meanwhile, again, as it then is."""
        books: list[Book] = []

        def attempt() -> Save:
            books.append(self._decided(alerts, now))
            return Save(books[-1])

        decide(self.store, attempt)
        count_suppressed(books[-1])

    def _decided(self, alerts: Sequence[str], now: datetime) -> Book:
        config = self.store.config()
        found = self.store.firing_among(alerts)
        rows = {alert.row.id: alert.row for alert in found}
        streams = self.store.load({row.group for row in rows.values() if row.group})
        latest = {loaded.state.incident for loaded in streams.values() if isinstance(loaded.state, Group)}
        known = _known_of(found)
        candidates, more = joinable(self.store, reviewing.spots_involved(config, self.org, rows, known, now))
        streams |= more | self.store.load({s for s in latest | {row.incident for row in rows.values()} if s})
        pending = add_escalations(self.store, self.org, streams)
        numbers = (number for _ in alerts for number in self.store.next_numbers(1))
        book = Book(self.org, config, streams, rows, pending, numbers, TZ_VERSION, candidates=candidates)
        add_inhibition(self.store, book, reviewing.places_involved(config, rows, known))
        for name in sorted(known):
            reviewing.review(book, name, known[name], now)
        return book


@contextmanager
def _surviving(event: str, **what: str) -> Iterator[None]:
    """Whatever goes wrong within costs only itself: it is logged as `event` and counted. Raises Unavailable."""
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:
        FAILED.inc()
        log.error(event, **what, exc_info=error)


def _known_of(found: Sequence[FiringAlert]) -> dict[str, Known]:
    """What was reported of those alerts of which it is still there."""
    return {
        alert.row.id: Known(read_alert(alert.body), seal(alert.row.payload, alert.salt, alert.body))
        for alert in found
        if alert.row.payload and alert.salt is not None and alert.body is not None
    }
