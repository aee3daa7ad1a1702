"""How everybody decides against a store: load, decide, save; and again from the start when something has moved."""

import random
import time
from collections.abc import Callable, Collection, Iterable

import structlog
import tzdata

from domain import ids
from domain.book import Book, Loaded, PendingPage
from domain.incidents import Incident
from domain.inhibition import Place
from streams.store.base import Conflict, Save, Store

log = structlog.get_logger()

TZ_VERSION: str = tzdata.IANA_VERSION
"""The time zone data that decisions are made with: the pinned package's, never the machine's files."""
ATTEMPTS = 2
"""Then load and decide while nobody else can save, so that nobody starves."""
FIRST_PAUSE = 0.005
"""Seconds, doubled with every attempt, with full jitter."""


def decide(store: Store, attempt: Callable[[], Save]) -> int:
    """Run `attempt` (load and decide) and save what it decided, until nothing has moved in between.

    Returns the log's position after the save. Raises Conflict when the input itself is not ours any more (a position, a
    claim), Unavailable when the database does not answer, and whatever `attempt` raises.
    """
    for number in range(ATTEMPTS):
        save = attempt()
        try:
            return store.head() if save.is_empty else store.save(save)
        except Conflict as conflict:
            log.debug("decided again", because=str(conflict), attempt=number + 1)
            time.sleep(random.uniform(0, FIRST_PAUSE * 2**number))  # noqa: S311
    with store.exclusive():
        save = attempt()
        return store.head() if save.is_empty else store.save(save)


def open_book(store: Store, org: str, incidents: Iterable[str]) -> Book:
    """A book that holds these incidents with their latest escalations and their pending pages."""
    config = store.config()
    streams = store.load(set(incidents))
    pending = add_escalations(store, org, streams)
    return Book(org, config, streams, pending=pending, tz_version=TZ_VERSION)


def add_escalations(store: Store, org: str, streams: dict[str, Loaded]) -> dict[str, tuple[PendingPage, ...]]:
    """Load into `streams` what belongs to its incidents: their latest escalations and the pages pending in these.

    Returns the pending pages by escalation.
    """
    runs = {name: loaded.state.runs for name, loaded in streams.items() if isinstance(loaded.state, Incident)}
    latest = [ids.escalation_stream(org, name, run) for name, run in runs.items()]
    streams |= store.load(latest)
    pending = store.pending_pages(latest) if latest else {}
    streams |= store.load([page.id for pages in pending.values() for page in pages])
    return pending


def add_inhibition(store: Store, book: Book, places: Collection[Place]) -> None:
    """Load into `book` where its alerts stand, and who inhibits there and at `places`; if any rule inhibits."""
    if book.config.inhibition_rules:
        book.standing |= store.standing(book.alerts)
        stand = {side.place for sides in book.standing.values() for side in sides}
        book.sources |= store.sources(stand.union(places))
