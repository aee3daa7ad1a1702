"""What a person asks of one alert, decided against the store as `commands` does for incidents.

Needs Postgres and nothing else.
"""

import re

import structlog

from domain import alert_commands
from domain.alert_commands import AlertCommand
from domain.alerts import AlertRow
from domain.book import Book
from domain.decision import Actor, Cause
from domain.groups import Group
from domain.incidents import Incident
from gateway.commands import Origin
from gateway.once import do_once
from gateway.parts import Parts
from gateway.refusals import Refusal
from schemas.api_alerts import AlertAnswer
from streams.alerting import open_alert_book

log = structlog.get_logger()

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def alert_uuid(ref: str) -> str:
    """The id of the alert that a path names. Raises Refusal (404) for what cannot be one."""
    name = ref.lower()
    if not _UUID.fullmatch(name):
        raise no_alert(ref)
    return name


def no_alert(ref: str) -> Refusal:
    """There is no alert of this id."""
    return Refusal("not_found", f"There is no alert {ref[:80]}.", remedy="See GET /api/v1/alerts.")


def execute(parts: Parts, actor: Actor, origin: Origin, alert: str, command: AlertCommand) -> AlertAnswer:
    """Decide and save a person's command on an alert, given by its uuid. Blocks.

    Raises Refusal when there is no such alert, when it is at another version than `origin.versions` or when the
    idempotency key came with another request; Refused when the alert or its incident does not allow the command;
    Conflict and Unavailable as `commands.execute`.
    """
    cause = Cause(actor, origin.door, f"command/{parts.ids()}", origin.request_id, origin.request_id)

    def attempt() -> tuple[Book, AlertAnswer]:
        book = open_alert_book(parts.store, parts.settings.org, alert)
        _check(book.alerts.get(alert), alert, origin.versions)
        row = alert_commands.execute(book, alert, command, cause, parts.clock())
        return book, _answer(book, row)

    done = do_once(parts, origin.once, AlertAnswer, attempt)
    if not done.repeated:
        asked, answer = type(command).__name__.lower(), done.answer
        log.info(
            "alert command", asked=asked, alert=alert, incident=answer.incident, actor=actor.id, changed=answer.changed
        )
    return done.answer.model_copy(update={"position": done.position})


def _check(row: AlertRow | None, alert: str, versions: frozenset[int] | None) -> None:
    """Raises Refusal when the alert does not exist, or is not at one of `versions`."""
    if row is None:
        raise no_alert(alert)
    if versions is not None and row.rev not in versions:
        said = f"It is at version {row.rev}: {row.status}, last reported at {row.last_seen:%Y-%m-%d %H:%M:%S} UTC."
        raise Refusal("precondition_failed", said, field="If-Match")


def _answer(book: Book, row: AlertRow) -> AlertAnswer:
    """The answer to a command, its position still unknown."""
    group = book.streams[row.group].state if row.group else None
    stream = group.incident_of(row.episode) if isinstance(group, Group) else None
    state = book.streams[stream].state if stream and stream in book.streams else None
    incident = state if isinstance(state, Incident) else None
    return AlertAnswer(
        id=row.id,
        status=row.status.value,
        acknowledged_by=row.acknowledged,
        changed=bool(book.entries),
        incident=incident.name if incident else None,
        incident_status=incident.status.value if incident else None,
        version=row.rev,
        position=0,
    )
