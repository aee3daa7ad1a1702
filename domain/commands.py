"""What people do to incidents, and everything that follows from it in the same save."""

from datetime import datetime

from domain import ids, incidents, stepping
from domain.book import Book
from domain.decision import Cause
from domain.incidents import (
    Acknowledge,
    Assign,
    Comment,
    Incident,
    IncidentCommand,
    Reopen,
    Resolve,
    Start,
    Unacknowledge,
)

PersonCommand = Acknowledge | Unacknowledge | Start | Resolve | Reopen | Assign | Comment
"""What a person may ask of an incident (severity follows the alerts)."""


def execute(book: Book, incident: str, command: PersonCommand, cause: Cause, now: datetime) -> Incident:
    """Decide a person's command on an incident, into `book`; returns the incident as it then is.

    `book` must hold the incident, its latest escalation and its pending pages. Nothing is written when the
    incident already is as asked. Raises Refused when its status does not allow the command.
    """
    before = book.read(incident, Incident)
    escalation = ids.escalation_stream(book.org, incident, before.runs)
    now = book.begin(cause, now, (incident, escalation))
    asked: IncidentCommand = command
    if isinstance(command, Acknowledge):
        asked = Acknowledge(stepping.in_flight(book, incident))
    events = incidents.decide(asked, before)
    for event in events:
        match event:
            case incidents.Acknowledged() | incidents.Started():
                stepping.stop(book, incident, "acknowledged")
            case incidents.Resolved():
                stepping.stop(book, incident, "resolved")
            case incidents.Unacknowledged() | incidents.Reopened():
                stepping.start(book, incident, before.runs + 1, before.policy, now)
            case _:
                pass
        book.write(incident, event)
    book.end()
    return book.read(incident, Incident)
