"""What people do to incidents, and everything that follows from it in the same save."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from domain import incidents, merging, stepping
from domain.book import Book
from domain.config import Config
from domain.decision import Cause, Refused
from domain.incidents import (
    Acknowledge,
    Assign,
    Comment,
    Incident,
    IncidentCommand,
    Opened,
    Reopen,
    Resolve,
    SetSeverity,
    Start,
    Unacknowledge,
)
from domain.merging import BelongingCommand
from domain.severity import Severity


@dataclass(frozen=True, slots=True)
class Words:
    """What a person wrote, on its way into a payload and never into an event. `salt` are random bytes (ADR 5)."""

    text: str
    salt: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """Write this down."""

    words: Words


@dataclass(frozen=True, slots=True)
class Create:
    """Something is wrong that no monitoring system reports.

    Of team and escalation policy, what is not said is the service's, without a service the root route's.
    """

    title: Words
    severity: Severity = Severity.MEDIUM
    service: str | None = None
    team: str | None = None
    policy: str | None = None


OwnCommand = Acknowledge | Unacknowledge | Start | Resolve | Reopen | Assign | SetSeverity | Note
"""What a person may ask of an incident, and of no other."""
PersonCommand = OwnCommand | Create | BelongingCommand
"""What a person may ask of an incident."""


def execute(book: Book, incident: str, command: PersonCommand, cause: Cause, now: datetime) -> Incident:
    """Decide a person's command on an incident, into `book`; returns the incident as it then is.

    `book` must hold the incident (to be created: absent, with a number to take), its latest escalation and its pending
    pages; for a command about what belongs to it also what `merging.execute` says. Nothing is written when the incident
    already is as asked. Raises Refused when its status does not allow the command, or when it names somebody or
    something that is not configured.
    """
    before = book.read(incident, Incident)
    now = book.begin(cause, now, _involved(book, incident, command))
    if isinstance(command, Create):
        _create(book, incident, command, now)
    elif isinstance(command, BelongingCommand):
        merging.execute(book, incident, command, now)
    else:
        for event in incidents.decide(_asked(book, incident, command), before):
            _follow(book, incident, event, before, now)
            book.write(incident, event)
    book.end()
    return book.read(incident, Incident)


def _involved(book: Book, incident: str, command: PersonCommand) -> list[str]:
    if isinstance(command, BelongingCommand):
        return merging.involved(book, incident, command)
    return stepping.of_incident(book, incident, stops=isinstance(command, Acknowledge | Start | Resolve))


def _asked(book: Book, incident: str, command: OwnCommand) -> IncidentCommand:
    """The incident's own command, with what it takes from elsewhere."""
    match command:
        case Assign(users=users):
            for user in users:
                _known("user", user, book.config.users, "users")
            return Assign(tuple(dict.fromkeys(users)))
        case Note(words=words):
            ref = f"{incident}/{book.streams[incident].version + 1}"
            return Comment(book.put_payload(ref, words.salt, words.text.encode()))
        case _:
            return command


def _follow(book: Book, incident: str, event: incidents.IncidentEvent, before: Incident, now: datetime) -> None:
    """What an event does to the incident's escalation."""
    match event:
        case incidents.Acknowledged() | incidents.Started():
            stepping.stop(book, incident, "acknowledged")
        case incidents.Resolved():
            stepping.stop(book, incident, "resolved")
        case incidents.Unacknowledged() | incidents.Reopened():
            stepping.start(book, incident, before.runs + 1, stepping.policy_of(book.config, before), now)
        case _:
            pass


def _create(book: Book, incident: str, command: Create, now: datetime) -> None:
    team, policy = _owners(book.config, command)
    opened = Opened(
        number=book.next_number(),
        title=f"Reported for {command.service or f'team {team}'}",
        severity=command.severity,
        service=command.service or "",
        team=team,
        policy=policy,
        started_at=now,
        opened_at=now,
        words=book.put_payload(f"{incident}/1", command.title.salt, command.title.text.encode()),
    )
    book.write(incident, opened)
    stepping.start(book, incident, 1, policy, now)


def _owners(config: Config, asked: Create) -> tuple[str, str]:
    """The team and the escalation policy of an incident that a person creates. Raises Refused."""
    if asked.service is not None:
        _known("service", asked.service, config.services, "service")
        service = config.services[asked.service]
        team, policy = asked.team or service.team, asked.policy or service.policy
    else:
        root = config.root
        team = asked.team or (root.team if root else None) or ""
        default = root.policy if root and root.team == team else None
        policy = asked.policy or default or ""
    _known("team", team, config.teams, "team")
    if not policy:
        raise Refused(
            "bad_request_fields",
            f"Nothing says by which escalation policy team `{team}` is paged.",
            "Name a `policy`, or the `service` that it is about.",
            field="policy",
        )
    _known("escalation policy", policy, config.policies, "policy")
    return team, policy


def _known(kind: str, name: str, names: Collection[str], field: str) -> None:
    if name not in names:
        remedy = f"Known: {', '.join(sorted(names)[:20]) or 'none'}."
        raise Refused("bad_request_fields", f"There is no {kind} `{name}`.", remedy, field=field)
