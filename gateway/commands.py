"""What a person asks of an incident, whichever door it comes through: one `execute`, decided against the store.

Needs Postgres and nothing else: people can acknowledge while Kafka is down.
"""

import re
from dataclasses import dataclass

import structlog

from domain import commands
from domain.commands import PersonCommand
from domain.decision import Actor, Cause
from domain.ids import stream_uuid
from domain.incidents import Incident
from gateway.parts import Parts
from gateway.refusals import Refusal
from schemas.api import CommandAnswer
from streams.store.base import Save
from streams.store.deciding import decide, open_book

log = structlog.get_logger()

READ_MODEL_WAIT = 1.0
"""Seconds to wait for the read models, for a number they do not know yet."""

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_REF = re.compile(rf"(?:inc-)?[0-9]{{1,15}}|(?:incident-)?(?P<uuid>{_UUID})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a command comes from: the door (`api`, `cli`, ...) and the request that brought it."""

    door: str
    request_id: str


def execute(parts: Parts, actor: Actor, origin: Origin, ref: str, command: PersonCommand) -> CommandAnswer:
    """Decide and save a person's command. Blocks.

    Parameters:
        actor: who asks.
        origin: how it came; the request's id becomes causation and correlation of everything decided.
        ref: INC-7, 7, or the incident's uuid.

    Raises Refusal when there is no such incident, Refused when its status does not allow the command, Conflict
    when others keep changing it, Unavailable when Postgres does not answer (it may have been saved: asking again
    finds out, because a command that changes nothing is fine).
    """
    stream = _stream(parts, ref)
    cause = Cause(actor, origin.door, f"command/{parts.ids()}", origin.request_id, origin.request_id)
    decided: list[tuple[Incident, bool]] = []

    def attempt() -> Save:
        book = open_book(parts.store, parts.settings.org, [stream])
        if book.streams[stream].version == 0:
            raise no_incident(ref)
        after = commands.execute(book, stream, command, cause, parts.clock())
        decided.append((after, not book.is_empty))
        return Save(book)

    position = decide(parts.store, attempt)
    incident, changed = decided[-1]
    asked = type(command).__name__.lower()
    log.info("command", asked=asked, incident=incident.name, incident_id=stream, actor=actor.id, changed=changed)
    return CommandAnswer(
        id=stream_uuid(stream), name=incident.name, status=incident.status.value, changed=changed, position=position
    )


def well_formed(ref: str) -> bool:
    """Whether `ref` could name an incident."""
    return _REF.fullmatch(ref.lower()) is not None


def no_incident(ref: str) -> Refusal:
    """There is no incident of this name."""
    return Refusal("not_found", f"There is no incident {ref[:80]}.", remedy="See GET /api/v1/incidents.")


def _stream(parts: Parts, ref: str) -> str:
    """The stream of the incident that `ref` names. A number only the read models know, so they may have to catch up.

    Raises Refusal: not_found, or read_model_behind when nobody can tell yet.
    """
    found = _REF.fullmatch(ref.lower())
    if found is None:
        raise no_incident(ref)
    if found["uuid"]:
        return f"incident-{found['uuid']}"
    view = parts.queries.incident(ref)
    if view is None:
        if not parts.queries.reached(parts.store.head(), READ_MODEL_WAIT):
            raise Refusal("read_model_behind", f"Whether there is an incident {ref} is not known yet.")
        view = parts.queries.incident(ref)
    if view is None:
        raise no_incident(ref)
    return f"incident-{view.id}"
