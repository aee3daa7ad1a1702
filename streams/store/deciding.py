"""How everybody decides against a store: load, decide, save; and again from the start when something has moved."""

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

import structlog
import tzdata

from domain import ids, merging
from domain.book import Book, Loaded, PendingPage
from domain.commands import PersonCommand
from domain.correlating import Candidates, Spot
from domain.groups import Group
from domain.incidents import Incident
from domain.inhibition import Place
from domain.merging import BelongingCommand
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


def open_command(store: Store, org: str, incident: str, command: PersonCommand) -> Book:
    """A book that holds all that a person's command on an incident may look at."""
    if not isinstance(command, BelongingCommand):
        return open_book(store, org, [incident])
    config, rows = store.config(), store.alerts(merging.alerts_named(command))
    named = {row.group for row in rows.values() if row.group} | merging.groups_named(command)
    streams = store.load({incident, *named})
    groups = [loaded.state for loaded in streams.values() if isinstance(loaded.state, Group)]
    state = streams[incident].state
    if isinstance(state, Incident):
        streams |= store.load(merging.incidents_of(command, state, groups) - streams.keys())
    states = [loaded.state for loaded in streams.values() if isinstance(loaded.state, Incident)]
    streams |= store.load({part.group for state in states for part in state.groups} - streams.keys())
    pending = add_escalations(store, org, streams)
    return Book(org, config, streams, dict(rows), pending, tz_version=TZ_VERSION)


def add_escalations(store: Store, org: str, streams: dict[str, Loaded]) -> dict[str, tuple[PendingPage, ...]]:
    """Load into `streams` what belongs to its incidents: their latest escalations and the pages pending in these; of
    incidents that have several alert groups, these too.

    Returns the pending pages by escalation.
    """
    states = {name: loaded.state for name, loaded in streams.items() if isinstance(loaded.state, Incident)}
    latest = [ids.escalation_stream(org, name, state.runs) for name, state in states.items()]
    shared = {part.group for state in states.values() if len(state.groups) > 1 for part in state.groups}
    streams |= store.load([*latest, *(shared - streams.keys())])
    pending = store.pending_pages(latest) if latest else {}
    streams |= store.load([page.id for pages in pending.values() for page in pages])
    return pending


def joinable(store: Store, spots: Mapping[Spot, datetime]) -> tuple[Candidates, dict[str, Loaded]]:
    """The incidents that alerts may join which look at these `spots`, and the streams of those, of what they are merged
    into, and of their groups.
    """
    if not spots:
        return Candidates(), {}
    found, streams = store.candidates(spots), dict[str, Loaded]()
    more = {candidate.incident for at in found.at.values() for candidate in at}
    while more:
        streams |= store.load(more)
        states = [loaded.state for loaded in streams.values() if isinstance(loaded.state, Incident)]
        more = {state.into for state in states if state.into} - streams.keys()
    return found, streams | store.load({part.group for state in states for part in state.groups} if streams else ())


def add_inhibition(store: Store, book: Book, places: Collection[Place]) -> None:
    """Load into `book` where its alerts stand, and who inhibits there and at `places`; if any rule inhibits."""
    if book.config.inhibition_rules:
        book.standing |= store.standing(book.alerts)
        stand = {side.place for sides in book.standing.values() for side in sides}
        book.sources |= store.sources(stand.union(places))
