"""What a person asks of an incident, whichever door it comes through: one `execute`, decided against the store.

Needs Postgres and nothing else: people can acknowledge while Kafka is down.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TypeVar

import structlog

from domain import belonging, commands, incidents
from domain.book import Book
from domain.commands import PersonCommand
from domain.decision import Actor, Cause, Refused
from domain.events import Event
from domain.ids import derive, stream_kind, stream_uuid
from domain.merging import Merge
from gateway.once import Once, do_once
from gateway.parts import Parts
from gateway.refusals import Refusal
from projections.references import incident_key
from schemas.api import CommandAnswer
from streams.store.base import Store
from streams.store.deciding import open_command

log = structlog.get_logger()

V = TypeVar("V")

READ_MODEL_WAIT = 1.0
"""Seconds to wait for the read models, for an incident that they do not know yet."""

STATUS_CHANGES: Mapping[type[Event], str] = {
    incidents.Opened: "opened",
    incidents.Acknowledged: "acknowledged",
    incidents.Unacknowledged: "given back",
    incidents.Started: "started",
    incidents.Resolved: "resolved",
    incidents.Reopened: "reopened",
    incidents.Reannounced: "announced again",
    belonging.Merged: "merged into another",
    belonging.Unmerged: "taken out of another",
}
OTHER_CHANGES: Mapping[type[Event], str] = {
    incidents.SeverityChanged: "its severity changed",
    incidents.Assigned: "assigned",
    incidents.Commented: "commented on",
    belonging.Absorbed: "another was merged into it",
    belonging.Parted: "another was taken out of it",
    belonging.GroupAttached: "an alert group was attached to it",
    belonging.GroupDetached: "an alert group was detached from it",
    belonging.AlertsSplit: "alerts were split off",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a command comes from: the door (`api`, `cli`, ...) and the request that brought it.

    `once` is its idempotency key; `versions` are those of the incident that it is meant for, None for any.
    """

    door: str
    request_id: str
    once: Once | None = None
    versions: frozenset[int] | None = None


def execute(parts: Parts, actor: Actor, origin: Origin, ref: str | None, command: PersonCommand) -> CommandAnswer:
    """Decide and save a person's command. Blocks.

    Parameters:
        actor: who asks.
        origin: how it came; the request's id becomes causation and correlation of everything decided.
        ref: as in `incident_key`; None for an incident to be created.

    Raises Refusal when there is no such incident, when it is at another version or when the idempotency key came with
    another request; Refused when its status does not allow the command; Conflict when others keep changing it;
    Unavailable when Postgres does not answer. It may have been saved then: the same request under the same idempotency
    key finds out.
    """
    command_id = parts.ids()
    asked_of = f"incident-{derive(parts.settings.org, 'incident', command_id)}" if ref is None else _stream(parts, ref)
    meant = replace(command, into=_stream(parts, command.into)) if isinstance(command, Merge) else command
    cause = Cause(actor, origin.door, f"command/{command_id}", origin.request_id, origin.request_id)

    def attempt() -> tuple[Book, CommandAnswer]:
        book, stream = _opened(parts, asked_of, meant, origin)
        book.numbers = (number for _ in repeat(None) for number in parts.store.next_numbers(1))
        _check(parts.store, book, stream, ref, origin.versions)
        return book, _decide(book, stream, meant, cause, parts)

    done = do_once(parts, origin.once, CommandAnswer, attempt)
    if not done.repeated:
        asked, answer = type(command).__name__.lower(), done.answer
        log.info(
            "command",
            asked=asked,
            incident=answer.name,
            incident_id=f"incident-{answer.id}",
            actor=actor.id,
            changed=answer.changed,
        )
    return done.answer.model_copy(update={"position": done.position})


def _opened(parts: Parts, stream: str, command: PersonCommand, origin: Origin) -> tuple[Book, str]:
    """A book for a command, and the incident that it is meant for.

    Who was told of an incident and takes it means the trouble, whatever it is called by now: what it is merged into is
    taken. Everything else may do more there than its sender has seen, and is refused. A command for one version of an
    incident is for that incident.
    """
    book = open_command(parts.store, parts.settings.org, stream, command)
    into = book.read(stream, incidents.Incident).into
    if into and isinstance(command, incidents.Acknowledge | incidents.Start) and origin.versions is None:
        return _opened(parts, into, command, origin)
    return book, stream


def _decide(book: Book, stream: str, command: PersonCommand, cause: Cause, parts: Parts) -> CommandAnswer:
    """The answer to a command, its position still unknown. A refusal says who brought it to that and when."""
    try:
        after = commands.execute(book, stream, command, cause, parts.clock())
    except Refused as refused:
        if refused.code == "incident_resolved":
            detail = f"{refused.args[0].rstrip('.')}: {_last(parts.store, stream, STATUS_CHANGES)}."
            raise Refused(refused.code, detail, refused.remedy) from None
        raise
    return CommandAnswer(
        id=stream_uuid(stream),
        name=after.name,
        status=after.status.value,
        changed=bool(book.entries),
        other=_other(book, stream),
        version=book.streams[stream].version,
        position=0,
    )


def _other(book: Book, stream: str) -> str | None:
    """The other incident that was written, of a command that is about two of them."""
    streams = (entry.stream for entry in book.entries if entry.stream != stream)
    other = next((name for name in streams if stream_kind(name) == "incident"), None)
    return book.read(other, incidents.Incident).name if other else None


def _check(store: Store, book: Book, stream: str, ref: str | None, versions: frozenset[int] | None) -> None:
    """Raises Refusal when the incident does not exist, or is not at one of `versions`."""
    if ref is None:
        return
    version = book.streams[stream].version
    if version == 0:
        raise no_incident(ref)
    if versions is not None and version not in versions:
        said = f"It is at version {version}: {_last(store, stream)}."
        raise Refusal("precondition_failed", said, field="If-Match")


def _last(store: Store, stream: str, kinds: Mapping[type[Event], str] | None = None) -> str:
    """The last thing that happened to an incident (of `kinds`, if given): what, by whom and when."""
    told = kinds or {**STATUS_CHANGES, **OTHER_CHANGES}
    last = next((event for event in reversed(store.history(stream)) if type(event.event) in told), None)
    if last is None:
        return "it is as it was opened"
    actor = last.decision.cause.actor
    return f"{told[type(last.event)]} by {actor.kind} {actor.id} at {last.decision.decided_at:%Y-%m-%d %H:%M:%S} UTC"


def no_incident(ref: str) -> Refusal:
    """There is no incident of this name."""
    return Refusal("not_found", f"There is no incident {ref[:80]}.", remedy="See GET /api/v1/incidents.")


def known(parts: Parts, ref: str, find: Callable[[str], V | None]) -> V:
    """What `find` reads of the incident that `ref` names, once the read models know of it if there is one.

    Who was just told of an incident may be ahead of them. Raises Refusal: not_found, or read_model_behind when nobody
    can tell yet.
    """
    found = find(ref)
    if found is None and _may_exist(parts.store, ref):
        if not parts.queries.reached(parts.store.head(), READ_MODEL_WAIT):
            raise Refusal("read_model_behind", f"Whether there is an incident {ref} is not known yet.")
        found = find(ref)
    if found is None:
        raise no_incident(ref)
    return found


def _may_exist(store: Store, ref: str) -> bool:
    """Whether the store has the incident that `ref` names, or cannot tell: a number only the read models know."""
    stream = _named(ref)
    return stream is None or store.load([stream])[stream].version > 0


def _named(ref: str) -> str | None:
    """The stream that `ref` names by its uuid; None for a number. Raises Refusal (not_found) for anything else."""
    key = incident_key(ref)
    if key is None:
        raise no_incident(ref)
    return key[1] if key[0] == "id" else None


def _stream(parts: Parts, ref: str) -> str:
    """The stream of the incident that `ref` names; a number only the read models know. Raises Refusal as `known`."""
    return _named(ref) or f"incident-{known(parts, ref, parts.queries.incident).id}"
