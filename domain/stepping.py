"""Escalations in motion: they start with an incident, run step by step as deadlines come, and stop with it.

A step resolves its targets to people at that instant and queues a page for each of their contact methods.
"""

from datetime import datetime
from typing import Literal

from domain import escalations, groups, ids, incidents, pages
from domain.book import Book, Due, Held, PageRow
from domain.config import Config, Step
from domain.decision import Actor, Cause

ESCALATE = "escalate"
"""The kind of deadline at which an escalation's next step runs; its key is the escalation's stream."""


def start(book: Book, incident: str, run: int, policy: str, first_at: datetime, held: Held | None = None) -> None:
    """Begin an incident's `run`-th escalation; its first step is due at `first_at` (UTC).

    `held` says that the first step waits for a partition to be caught up with, at most until `first_at`.

    Raises KeyError when the configuration has no such policy (its validation refuses that).
    """
    escalation = ids.escalation_stream(book.org, incident, run)
    copy = book.config.policies[policy]
    book.write(escalation, escalations.Started(incident, run, copy, first_at, book.correlation_id))
    book.put_due(Due(ESCALATE, escalation, first_at, held=held))


def stop(book: Book, incident: str, reason: Literal["acknowledged", "resolved"]) -> None:
    """End the incident's escalation, cancel its queued pages and delete its deadline."""
    runs = book.read(incident, incidents.Incident).runs
    escalation = ids.escalation_stream(book.org, incident, runs)
    pending_pages = book.pending.get(escalation, ())
    in_flight = tuple(page.id for page in pending_pages if page.claimed)
    book.write(escalation, *escalations.stop(book.read(escalation, escalations.Escalation), reason, in_flight))
    for pending in pending_pages:
        if not pending.claimed and book.read(pending.id, pages.Page).is_pending:
            book.write(pending.id, pages.Cancelled(reason))
            book.cancel_page(pending.id)
    book.drop_due(ESCALATE, escalation)


def involved(book: Book, group: str, incident: str | None) -> list[str]:
    """A group, an incident and the incident's latest escalation: the streams whose times a decision may not precede."""
    streams = [group]
    if incident and incident in book.streams:
        streams.append(incident)
        runs = book.read(incident, incidents.Incident).runs
        streams.append(ids.escalation_stream(book.org, incident, runs))
    return streams


def end_episode(book: Book, group: str, episode: int, incident: str) -> None:
    """When the last alert of an episode has ended, its incident resolves and nobody else is paged about it."""
    if book.read(group, groups.Group).firing_in(episode):
        return
    state = book.read(incident, incidents.Incident)
    book.write(incident, *incidents.decide(incidents.Resolve("alerts_ended"), state))
    stop(book, incident, "resolved")


def run(book: Book, due: Due, now: datetime) -> None:
    """Decide what an escalation's deadline brings, into `book`.

    `book` must hold the escalation and its incident. Parameters: `due` is the claimed deadline, `now` is UTC.
    """
    escalation = due.key
    state = book.read(escalation, escalations.Escalation)
    incident = state.incident
    cause = Cause(Actor("system", "pager"), "pager", f"due/{due.kind}/{due.key}", due.key, state.correlation_id)
    now = book.begin(cause, now, (escalation, incident))
    step = state.next_step
    notified = resolve(book, escalation, state, step) if step else ()
    decided = escalations.run_step(state, due.at, notified, now)
    book.write(escalation, *decided)
    for event in decided:
        if isinstance(event, escalations.StepNotified):
            _queue(book, escalation, incident, event, now)
    book.end()
    after = book.read(escalation, escalations.Escalation)
    if after.due_at is None:
        book.drop_due(due.kind, due.key, due.rev)
    else:
        book.put_due(Due(due.kind, due.key, after.due_at, due.rev))


def resolve(book: Book, escalation: str, state: escalations.Escalation, step: Step) -> tuple[escalations.Notified, ...]:
    """Whom a step pages, by which methods, at this moment: each person and method once, in the targets' order."""
    found: dict[str, escalations.Notified] = {}
    for target in step.targets:
        for user in book.config.people(target):
            for method in methods(book.config, user):
                page = ids.page_stream(book.org, escalation, state.loop, state.step, user, method)
                found.setdefault(page, escalations.Notified(str(target), user, method, page))
    return tuple(found.values())


def methods(config: Config, user: str) -> tuple[str, ...]:
    """The contact methods of a user, by channel name, each once."""
    return tuple(dict.fromkeys(contact.channel for contact in config.users[user].contacts))


def _queue(book: Book, escalation: str, incident: str, event: escalations.StepNotified, now: datetime) -> None:
    for notified in event.notified:
        queued = pages.Queued(escalation, incident, event.loop, event.step, notified.user, notified.method)
        book.write(notified.page, queued)
        book.put_page(PageRow(notified.page, escalation, incident, notified.user, notified.method, now))
