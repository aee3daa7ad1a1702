"""What people do to single alerts, and everything that follows from it for their incident in the same save.

Somebody who acknowledges every alert of an incident that fires and is spoken of has the incident. Somebody who closes
an alert ends it as its source would. See docs/how-to/single-alerts.md.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from domain import answers, incidents, stepping
from domain.alerts import AlertRow, AlertStatus, PriorAlert
from domain.book import Book
from domain.decision import Cause, Refused
from domain.groups import Group
from domain.incidents import Incident, IncidentStatus


@dataclass(frozen=True, slots=True)
class AcknowledgeAlert:
    """I have this one."""


@dataclass(frozen=True, slots=True)
class UnacknowledgeAlert:
    """I do not have this one after all."""


@dataclass(frozen=True, slots=True)
class CloseAlert:
    """This one is over, whatever its source goes on to say."""


AlertCommand = AcknowledgeAlert | UnacknowledgeAlert | CloseAlert
"""What a person may ask of an alert."""


def execute(book: Book, alert: str, command: AlertCommand, cause: Cause, now: datetime) -> AlertRow:
    """Decide a person's command on an alert, into `book`; returns the alert's row as it then is.

    `book` must hold the row, its group, its incident with all its groups, that incident's latest escalation and pending
    pages, and where the alert stands in inhibition (`streams.alerting.open_alert_book`). Nothing is written when the
    alert already is as asked. Raises Refused when the alert or its incident does not allow the command.
    """
    row = book.alerts[alert]
    if row.status is AlertStatus.RESOLVED or not row.group:
        if isinstance(command, CloseAlert):
            return row
        raise Refused("alert_resolved", "This alert does not fire.", "Nothing is left to do about it.")
    incident = book.read(row.group, Group).incident_of(row.episode)
    now = book.begin(cause, now, stepping.involved(book, row.group, incident, _stops(book, row, command)))
    match command:
        case AcknowledgeAlert():
            _acknowledge(book, row, incident, cause)
        case UnacknowledgeAlert():
            _give_back(book, row, incident, now)
        case CloseAlert():
            _close(book, row, incident, now)
    book.end()
    return book.alerts[alert]


def _stops(book: Book, row: AlertRow, command: AlertCommand) -> bool:
    """Whether the incident's escalation may stop, so that its queued pages are looked at."""
    closes = isinstance(command, CloseAlert)
    return not closes or stepping.would_stop(book, row.group or "", row.episode, [row.id])


def _acknowledge(book: Book, row: AlertRow, incident: str | None, cause: Cause) -> None:
    group = book.read(row.group or "", Group)
    why = group.suppressed.get(row.id)
    if why or incident is None:
        raise Refused(
            "alert_suppressed",
            f"Nothing is said of this alert, because of {why}: nobody has to take it.",
            "If it still fires when that ends, it is announced; resolve it if it is over.",
        )
    decided = incidents.decide(incidents.Acknowledge(), book.read(incident, Incident))
    if row.id not in group.acknowledged:
        book.write(row.group or "", answers.AlertAcknowledged(*_which(row, incident), PriorAlert.of(row)))
        book.put_alert(replace(row, rev=row.rev + 1, acknowledged=f"{cause.actor.kind}:{cause.actor.id}"))
    if decided and not _unanswered(book, incident):
        stepping.stop(book, incident, "acknowledged")
        book.write(incident, *decided)


def _unanswered(book: Book, incident: str) -> int:
    """How many firing alerts of an incident are spoken of, and acknowledged by nobody."""
    parts = stepping.parts(book, incident)
    return sum(book.read(part.group, Group).unanswered_in(part.episode) for part in parts)


def _give_back(book: Book, row: AlertRow, incident: str | None, now: datetime) -> None:
    group = book.read(row.group or "", Group)
    if row.id not in group.acknowledged:
        return
    book.write(row.group or "", answers.AlertUnacknowledged(*_which(row, incident), PriorAlert.of(row)))
    book.put_alert(replace(row, rev=row.rev + 1, acknowledged=None))
    if incident is None or row.id in group.suppressed:
        return
    state = book.read(incident, Incident)
    if state.status is IncidentStatus.ACKNOWLEDGED:
        stepping.start(book, incident, state.runs + 1, stepping.policy_of(book.config, state), now)
        book.write(incident, *incidents.decide(incidents.Unacknowledge(), state))


def _close(book: Book, row: AlertRow, incident: str | None, now: datetime) -> None:
    book.place(row.id, row.group or "", (), now)
    book.write(row.group or "", answers.AlertClosed(*_which(row, incident), now, PriorAlert.of(row)))
    over = replace(row, rev=row.rev + 1, status=AlertStatus.RESOLVED, incident=incident, closed=row.source_time)
    book.put_alert(replace(over, suppressed=None, acknowledged=None))
    stepping.settle(book, incident, now)


def _which(row: AlertRow, incident: str | None) -> tuple[str, str, str, int, str]:
    """What every event of an alert begins with."""
    return row.id, row.integration, row.fingerprint, row.episode, incident or ""
