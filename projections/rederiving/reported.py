"""Decisions about what is reported of alerts, or not reported any more, made again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain import escalations, expiry, groups, heartbeating, ids, incidents, reporting, reviewing
from domain import folding as fold
from domain.alerts import Alert, AlertRow, AlertStatus, Receipt, Repeat
from domain.book import Due, Entry
from domain.groups import Group
from domain.intake import AlertsLost
from domain.severity import Severity
from domain.troubles import Trouble, fall_back
from projections.asked import Underivable
from projections.inputs import Tampered, row_before
from projections.rederiving.standing import Reported, Run, Standing, first
from schemas.payloads import write_alert
from streams.store.base import Recorded


class Reports(Standing):
    """What worker and pager decide of alerts by themselves."""

    def folded(self, run: Run) -> Sequence[Entry]:
        """A report of an alert."""
        book = self.book(run)
        recorded, reported, field = _report_in(run)
        try:
            salt, body, alert = self.inputs.alert(reported.payload)
        except Tampered as wrong:
            raise Tampered(f"{field}payload.{wrong.field}", wrong.problem, recorded.event) from None
        report = self._report(run, reported, alert, body, salt)
        name = getattr(recorded.event, "alert", "")
        self.place(book, name, report, reported, recorded, field)
        fold.fold_way(book, report, self._way(report, name))
        return book.entries

    def _way(self, report: reporting.Report, name: str) -> fold.Way:
        """The alert that an event names: the reported one, or it on one of its further routes."""
        if report.alert.status is AlertStatus.FIRING:
            names = reporting.way_ids(self.org, self.inputs.config, report)
            routed = dict(zip(names, reporting.routes_of(self.inputs.config, report), strict=True))
            return fold.Way(name, routed.get(name))
        return fold.Way(name)

    def _report(self, run: Run, reported: Reported, alert: Alert, body: bytes, salt: bytes) -> reporting.Report:
        cause, decided_at = run[0].decision.cause, run[0].decision.decided_at
        receipt, _, index = cause.causation_id.rpartition("#")
        started = first(run, escalations.Started)
        held = started.first_at if started else decided_at
        return reporting.Report(
            alert,
            int(index),
            Receipt(receipt, cause.actor.id, reported.received_at, cause.pointer),
            body,
            salt,
            reported.raw_digest,
            held if cause.catch_up else None,
        )

    def expired(self, run: Run, group: str) -> Sequence[Entry]:
        """A source's silence. Of alerts that did not expire only that is known: they had been heard of."""
        book = self.book(run)
        said = {e.event.alert: e for e in run if isinstance(e.event, groups.AlertExpired)}
        heard = {e.event.heard_until for e in said.values() if isinstance(e.event, groups.AlertExpired)}
        if len(heard) != 1:
            raise Underivable("data.heard_until", "one deadline was met at one time")
        heard_until = heard.pop()
        for alert, recorded in said.items():
            event = recorded.event
            if isinstance(event, groups.AlertExpired):
                self.agrees(alert, event.prior, recorded)
                row = row_before(self.org, alert, event.integration, event.fingerprint, event.prior)
                book.alerts[alert] = replace(row, last_seen=event.last_seen, count=event.count, ends_at=event.ends_at)
        for alert in self.state(group, Group).firing.keys() - said.keys():
            book.alerts[alert] = _heard(alert, group, heard_until)
        expiry.expire(book, Due(expiry.EXPIRE, group, heard_until), heard_until)
        return book.entries

    def reviewed(self, run: Run, alert: str) -> Sequence[Entry]:
        """A look at an alert that fires, because a rule that suppresses has begun or ended."""
        said = first(run, groups.AlertSuppressed) or first(run, groups.AlertReleased)
        recorded = next(e for e in run if e.event is said)
        if said is None or said.prior is None or said.prior.group is None:
            raise Underivable("data.prior", "no alert that fired leads to this")
        _, _, known = self.inputs.alert(said.payload)
        self.agrees(alert, said.prior, recorded)
        book = self.book(run)
        row = row_before(self.org, alert, said.integration, said.fingerprint, said.prior)
        book.alerts[alert] = replace(row, payload=said.payload.ref)
        reviewing.review(book, alert, reviewing.Known(known, said.payload), run[0].decision.decided_at)
        return book.entries

    def looked_at(self, run: Run, name: str) -> Sequence[Entry]:
        """A heartbeat that was missed, or heard of again: when it pinged last stands in the alert."""
        recorded, reported, field = _report_in(run)
        salt, _, alert = self.inputs.alert(reported.payload)
        book, now = self.book(run), reported.received_at
        heartbeat = book.config.heartbeats.get(name)
        known = heartbeating.known_of(heartbeat, alert, now)
        report = heartbeating.report_of(heartbeat, name, known, now, write_alert, salt)
        if report is not None:
            self.place(book, reporting.alert_id_of(self.org, report), report, reported, recorded, field)
        heartbeating.look(book, Due(heartbeating.HEARTBEAT, name, now), report, known, now)
        return book.entries

    def lost(self, run: Run) -> Sequence[Entry]:
        """Records that were deleted before they were read: what was lost is the input."""
        lost = run[0].event
        if not isinstance(lost, AlertsLost):
            raise Underivable("type", "no loss of alerts leads to this")
        book = self.book(run)
        cause = run[0].decision.cause
        stream = ids.intake_stream(self.org, lost.cluster, lost.topic, lost.partition)
        if cause.pointer != f"{lost.cluster}/{lost.topic}/{lost.partition}@{lost.first}":
            raise Underivable("data.first", "it is not where the decision's pointer says")
        book.begin(cause, run[0].decision.decided_at, (stream,))
        book.write(stream, lost)
        book.end()
        return book.entries

    def fallen_back(self, run: Run) -> Sequence[Entry]:
        """Something about alerts that a person must look at."""
        opened, episode = first(run, incidents.Opened), first(run, groups.EpisodeOpened)
        if opened is None or episode is None:
            raise Underivable("type", "no trouble leads to this")
        about, _, name = episode.group_key.partition(":")
        trouble = Trouble.lost(name) if about == "lost" else Trouble.undecidable(name)
        cause, book = run[0].decision.cause, self.book(run)
        fall_back(book, trouble, Receipt(cause.causation_id, "", opened.started_at, cause.pointer))
        return book.entries


def _report_in(run: Run) -> tuple[Recorded, Reported, str]:
    """The event that says which report a run was decided on, what it says, and under which field."""
    for recorded in run:
        match recorded.event:
            case (
                groups.AlertFired()
                | groups.AlertRefired()
                | groups.AlertSeverityChanged()
                | groups.AlertResolved() as event
            ):
                return recorded, event, "data."
            case incidents.SeverityChanged(repeat=Repeat() as repeat):
                return recorded, repeat, "data.repeat."
    raise Underivable("type", "no report of an alert leads to this")


def _heard(alert: str, group: str, at: datetime) -> AlertRow:
    """The row of an alert that was heard of at `at`; of no integration, so that it cannot expire."""
    firing = AlertStatus.FIRING
    return AlertRow(alert, "", "", firing, Severity.INFO, 0, at, at, "", at, at, 0, group)
