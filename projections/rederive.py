"""Making a decision again: from the input that is recorded of it and the streams as they stood, through the same rules.

Each kind of input has a function here that hands it to the function of `domain/` that decided on it, in a book of
its own. What comes out is compared, field by field, with what the log says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from domain import (
    alert_commands,
    answers,
    belonging,
    changes,
    commands,
    escalations,
    expiry,
    groups,
    heartbeating,
    ids,
    incidents,
    pages,
    reporting,
    reviewing,
    stepping,
)
from domain import delivering as deliveries
from domain import folding as fold
from domain.alert_commands import AcknowledgeAlert, AlertCommand, CloseAlert, UnacknowledgeAlert
from domain.alerts import Alert, AlertRow, AlertStatus, PriorAlert, Receipt, Repeat
from domain.book import Book, Due, Entry, Lazily
from domain.decision import RULES_VERSION, PayloadRef, Refused
from domain.erasing import PayloadErased, erasure_stream
from domain.escalations import Escalation
from domain.events import State
from domain.groups import Group
from domain.intake import AlertsLost
from domain.pages import Page, PageStatus
from domain.severity import Severity
from domain.troubles import Trouble, fall_back
from projections.asked import Underivable, asked
from projections.asof import AsOf, Pending
from projections.comparing import compared
from projections.findings import Finding, Verdict
from projections.inputs import Erased, Inhibiting, Inputs, Tampered, row_before
from projections.openings import Openings
from schemas.payloads import write_alert
from streams.store.base import Recorded

E = TypeVar("E")
S = TypeVar("S", bound=State)
Run = Sequence[Recorded]
"""Consecutive events with one and the same decision behind them."""
Answer = answers.AlertAcknowledged | answers.AlertUnacknowledged | answers.AlertClosed
ASKED: Mapping[type[Answer], AlertCommand] = {
    answers.AlertAcknowledged: AcknowledgeAlert(),
    answers.AlertUnacknowledged: UnacknowledgeAlert(),
    answers.AlertClosed: CloseAlert(),
}
Reported = groups.AlertFired | groups.AlertRefired | groups.AlertSeverityChanged | groups.AlertResolved | Repeat
"""What an event says of the report that it was decided on."""


@dataclass(slots=True)
class Rederiver:
    """Decides again. Its parts are moved along the log by `projections.verify`.

    Parameters:
        org: the organisation whose identifiers are derived.
        asof: the streams as they stand before the run that is looked at.
        inputs: payloads and configuration, likewise.
        verdict: where findings and counts go.
    """

    org: str
    asof: AsOf
    inputs: Inputs
    verdict: Verdict
    _openings: Openings = field(init=False)
    _decided: Book = field(init=False)

    def __post_init__(self) -> None:
        self._openings = Openings(lambda incident: self._state(incident, incidents.Incident))

    def check(self, run: Run, following: Callable[[int], Run]) -> int:
        """Check the decision that `run` begins with; returns how many events it is.

        `following` gives the next events from the first of `run` on, whatever decisions they belong to.
        """
        if run[0].decision.rules_version != RULES_VERSION:
            self.verdict.other_rules[run[0].decision.rules_version] += len(run)
            self._openings.lose(run)
            return len(run)
        if ids.stream_kind(run[0].stream) == "config":
            for recorded in run:
                self._check([recorded], lambda _, recorded=recorded: [recorded])  # type: ignore[misc]
            return len(run)
        return self._check(run, following)

    def _check(self, run: Run, following: Callable[[int], Run]) -> int:
        first = run[0]
        try:
            entries = self._derived(run, following)
        except Erased as erased:
            self.verdict.erased[erased.position] += len(run)
        except Tampered as wrong:
            self._find(next((e for e in run if e.event is wrong.event), first), wrong.field, wrong.problem)
        except Refused as refused:
            self._find(first, "", f"the rules refuse this ({refused.code})")
        except (KeyError, ValueError, TypeError, AttributeError, StopIteration) as error:
            self._find(first, "", f"the rules cannot have decided this ({type(error).__name__})")
        else:
            self._openings.note(self._decided)
            return self._compared(entries, run, following)
        self._openings.lose(run)
        return len(run)

    def _find(self, recorded: Recorded, field: str, problem: str) -> None:
        self.verdict.add(Finding(recorded.position, recorded.stream, recorded.type, field, problem))

    # -- comparing -------------------------------------------------------------------------------------------------

    def _compared(self, entries: Sequence[Entry], run: Run, following: Callable[[int], Run]) -> int:
        if not entries:
            self._find(run[0], "", "the rules decide nothing here")
            return len(run)
        actual = following(len(entries))
        for entry, recorded in zip(entries, actual, strict=False):
            if (entry.stream, entry.event.type) != (recorded.stream, recorded.type):
                decided = f"the rules decide {entry.event.type} in {entry.stream} here"
                self._find(recorded, "stream" if entry.event.type == recorded.type else "type", decided)
                return len(run)
            self._compare(entry, recorded)
        if len(actual) < len(entries):
            self._find(actual[-1], "", f"the rules decide {entries[len(actual)].event.type} after this")
        return min(len(entries), len(actual))

    def _compare(self, entry: Entry, recorded: Recorded) -> None:
        self.verdict.rederived[recorded.type] += 1
        reads, derived = dict(recorded.decision.reads), dict(entry.decision.reads)
        for stream, version in sorted(reads.items()):
            if self.asof[stream].version != version:
                self._find(recorded, f"decision.reads.{stream}", f"it stood at version {self.asof[stream].version}")
        for stream in sorted(derived.keys() - reads.keys()):
            self._find(recorded, f"decision.reads.{stream}", "the rules read it")
        for name, problem in compared(entry, recorded):
            self._find(recorded, name, problem)

    # -- deciding again --------------------------------------------------------------------------------------------

    def _derived(self, run: Run, following: Callable[[int], Run]) -> Sequence[Entry]:
        cause, kind = run[0].decision.cause, ids.stream_kind(run[0].stream)
        if kind == "config":
            return self._configured(run)
        if kind == "erasure":
            return self._erased(run)
        if cause.actor.kind == "integration":
            return self._folded(run)
        prefix, _, rest = cause.pointer.partition("/")
        if cause.origin == "fold" and prefix != "due":
            return self._lost(run) if kind == "intake" else self._fallen_back(run)
        match prefix:
            case "command":
                return self._commanded(run, following)
            case "delivery":
                return self._settled(run, rest)
            case "due":
                return self._met(run, *rest.partition("/")[::2])
        raise Underivable("decision.cause.pointer", f"no rule is known for the input {prefix!r}")

    def _book(self, run: Run) -> Book:
        stopped = [e.event.in_flight for e in run if isinstance(e.event, escalations.Stopped)]
        in_flight = frozenset(page for pages_ in stopped for page in pages_)
        numbers = iter([e.event.number for e in run if isinstance(e.event, incidents.Opened)])
        about = next((name for e in run if (name := getattr(e.event, "alert", None))), None)
        said = (e.event for e in run if isinstance(e.event, groups.AlertSuppressed))
        suppressed = next((event for event in said if event.alert == about), None)
        self._inhibits(suppressed)
        self._decided = Book(
            self.org,
            self.inputs.config,
            Lazily(self.asof.__getitem__),
            pending=Pending(self.asof, in_flight),
            numbers=numbers,
            tz_version=run[0].decision.tz_version,
            sources=Inhibiting(suppressed),
            candidates=self._openings.before(run),
        )
        return self._decided

    def _inhibits(self, said: groups.AlertSuppressed | None) -> None:
        """Raises Tampered when the alert that is said to inhibit does not fire."""
        if said is None or said.by is None:
            return
        if said.rule not in self.inputs.config.inhibition_rules:
            raise Tampered("data.rule", "there is no such rule", said)
        if said.by not in self._state(said.by_group or "", Group).firing:
            raise Tampered("data.by", "that alert does not fire", said)

    def _state(self, stream: str, kind: type[S]) -> S:
        state = self.asof[stream].state
        if not isinstance(state, kind):
            raise TypeError(f"{stream} is not a {kind.__name__}")
        return state

    def _folded(self, run: Run) -> Sequence[Entry]:
        """A report of an alert."""
        book = self._book(run)
        recorded, reported, field = _report_in(run)
        try:
            salt, body, alert = self.inputs.alert(reported.payload)
        except Tampered as wrong:
            raise Tampered(f"{field}payload.{wrong.field}", wrong.problem, recorded.event) from None
        report = self._report(run, reported, alert, body, salt)
        name = getattr(recorded.event, "alert", "")
        self._place(book, name, report, reported, recorded, field)
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
        started = _first(run, escalations.Started)
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

    def _place(
        self, book: Book, alert: str, report: reporting.Report, reported: Reported, recorded: Recorded, field: str
    ) -> None:
        """Put the alert's row into the book, as the event found it, where that agrees with the log."""
        if reported.prior is None:
            return
        row = row_before(self.org, alert, report.receipt.integration, report.alert.fingerprint, reported.prior)
        self._agrees(alert, reported.prior, recorded, field)
        state = self.asof[reported.prior.group].state if reported.prior.group else None
        why = state.suppressed.get(alert) if isinstance(state, Group) else None
        book.alerts[alert] = replace(row, suppressed=str(why) if why else None)

    def _agrees(self, alert: str, prior: PriorAlert, recorded: Recorded, field: str = "data.") -> None:
        """Raises Tampered when the alert's group says otherwise of how the alert was before."""
        if prior.group is None:
            return
        state = self.asof[prior.group].state
        firing = state.firing.get(alert) if isinstance(state, Group) else None
        if firing != (prior.episode if prior.status is AlertStatus.FIRING else None):
            problem = "the alert's group says otherwise of how the alert was before"
            raise Tampered(f"{field}prior", problem, recorded.event)

    def _expired(self, run: Run, group: str) -> Sequence[Entry]:
        """A source's silence. Of alerts that did not expire only that is known: they had been heard of."""
        book = self._book(run)
        said = {e.event.alert: e for e in run if isinstance(e.event, groups.AlertExpired)}
        heard = {e.event.heard_until for e in said.values() if isinstance(e.event, groups.AlertExpired)}
        if len(heard) != 1:
            raise Underivable("data.heard_until", "one deadline was met at one time")
        heard_until = heard.pop()
        for alert, recorded in said.items():
            event = recorded.event
            if isinstance(event, groups.AlertExpired):
                self._agrees(alert, event.prior, recorded)
                row = row_before(self.org, alert, event.integration, event.fingerprint, event.prior)
                book.alerts[alert] = replace(row, last_seen=event.last_seen, count=event.count, ends_at=event.ends_at)
        for alert in self._state(group, Group).firing.keys() - said.keys():
            book.alerts[alert] = _heard(alert, group, heard_until)
        expiry.expire(book, Due(expiry.EXPIRE, group, heard_until), heard_until)
        return book.entries

    def _reviewed(self, run: Run, alert: str) -> Sequence[Entry]:
        """A look at an alert that fires, because a rule that suppresses has begun or ended."""
        said = _first(run, groups.AlertSuppressed) or _first(run, groups.AlertReleased)
        recorded = next(e for e in run if e.event is said)
        if said is None or said.prior is None or said.prior.group is None:
            raise Underivable("data.prior", "no alert that fired leads to this")
        _, _, known = self.inputs.alert(said.payload)
        self._agrees(alert, said.prior, recorded)
        book = self._book(run)
        row = row_before(self.org, alert, said.integration, said.fingerprint, said.prior)
        book.alerts[alert] = replace(row, payload=said.payload.ref)
        reviewing.review(book, alert, reviewing.Known(known, said.payload), run[0].decision.decided_at)
        return book.entries

    def _looked_at(self, run: Run, name: str) -> Sequence[Entry]:
        """A heartbeat that was missed, or heard of again: when it pinged last stands in the alert."""
        recorded, reported, field = _report_in(run)
        salt, _, alert = self.inputs.alert(reported.payload)
        book, now = self._book(run), reported.received_at
        heartbeat = book.config.heartbeats.get(name)
        known = heartbeating.known_of(heartbeat, alert, now)
        report = heartbeating.report_of(heartbeat, name, known, now, write_alert, salt)
        if report is not None:
            self._place(book, reporting.alert_id_of(self.org, report), report, reported, recorded, field)
        heartbeating.look(book, Due(heartbeating.HEARTBEAT, name, now), report, known, now)
        return book.entries

    def _lost(self, run: Run) -> Sequence[Entry]:
        """Records that were deleted before they were read: what was lost is the input."""
        lost = run[0].event
        if not isinstance(lost, AlertsLost):
            raise Underivable("type", "no loss of alerts leads to this")
        book = self._book(run)
        cause = run[0].decision.cause
        stream = ids.intake_stream(self.org, lost.cluster, lost.topic, lost.partition)
        if cause.pointer != f"{lost.cluster}/{lost.topic}/{lost.partition}@{lost.first}":
            raise Underivable("data.first", "it is not where the decision's pointer says")
        book.begin(cause, run[0].decision.decided_at, (stream,))
        book.write(stream, lost)
        book.end()
        return book.entries

    def _fallen_back(self, run: Run) -> Sequence[Entry]:
        """Something about alerts that a person must look at."""
        opened, episode = _first(run, incidents.Opened), _first(run, groups.EpisodeOpened)
        if opened is None or episode is None:
            raise Underivable("type", "no trouble leads to this")
        about, _, name = episode.group_key.partition(":")
        trouble = Trouble.lost(name) if about == "lost" else Trouble.undecidable(name)
        cause, book = run[0].decision.cause, self._book(run)
        fall_back(book, trouble, Receipt(cause.causation_id, "", opened.started_at, cause.pointer))
        return book.entries

    def _commanded(self, run: Run, following: Callable[[int], Run]) -> Sequence[Entry]:
        """A person's command. What was asked is known from what it became."""
        if isinstance(run[0].event, Answer):
            return self._answered(run, run[0].event)
        same = [e for e in following(len(run) + 1) if e.decision.cause == run[0].decision.cause]
        incident, command = asked(same, self._words)
        decision, book = run[0].decision, self._book(run)
        for recorded in run:
            if isinstance(left := recorded.event, belonging.AlertLeft):
                self._agrees(left.alert, left.prior, recorded)
                row = row_before(self.org, left.alert, left.integration, left.fingerprint, left.prior)
                book.alerts[left.alert] = row
        commands.execute(book, incident, command, decision.cause, decision.decided_at)
        return book.entries

    def _answered(self, run: Run, said: Answer) -> Sequence[Entry]:
        """What a person said of one alert."""
        self._agrees(said.alert, said.prior, run[0])
        book, decision = self._book(run), run[0].decision
        row = row_before(self.org, said.alert, said.integration, said.fingerprint, said.prior)
        book.alerts[said.alert] = row
        alert_commands.execute(book, said.alert, ASKED[type(said)], decision.cause, decision.decided_at)
        return book.entries

    def _words(self, ref: PayloadRef | None, field: str) -> commands.Words:
        if ref is None:
            raise Underivable(field, "what a person wrote is not pointed at")
        try:
            salt, body = self.inputs.payload(ref)
        except Tampered as wrong:
            raise Tampered(f"{field}.{wrong.field}", wrong.problem) from None
        return commands.Words(body.decode(), salt)

    def _met(self, run: Run, kind: str, key: str) -> Sequence[Entry]:
        """A deadline."""
        if kind == expiry.EXPIRE:
            return self._expired(run, key)
        if kind == reviewing.REVIEW:
            return self._reviewed(run, key)
        if kind == heartbeating.HEARTBEAT:
            return self._looked_at(run, key)
        if kind != stepping.ESCALATE:
            raise Underivable("decision.cause.pointer", f"no rule is known for deadlines of kind {kind!r}")
        book, now = self._book(run), run[0].decision.decided_at
        state = self._state(key, Escalation)
        self._refuse_erased(state)
        stepping.run(book, Due(kind, key, self._due_at(run, state)), now)
        return book.entries

    @staticmethod
    def _due_at(run: Run, state: Escalation) -> datetime:
        """The deadline's time: the escalation's own, or an earlier one when its first step was brought forward."""
        recorded = next((getattr(e.event, "due_at", None) for e in run), None)
        if state.due_at is None:
            raise Underivable("", "its escalation waits for nothing")
        may_move = (state.loop, state.step) == (1, 1)
        return recorded if recorded and may_move and recorded <= state.due_at else state.due_at

    def _refuse_erased(self, state: Escalation) -> None:
        """Raises Erased when a person whom the step reaches cannot be resolved any more."""
        step = state.next_step
        users = {user for target in (step.targets if step else ()) for user in self.inputs.config.people(target)}
        for user in sorted(users & self.inputs.erased_users.keys()):
            raise Erased(self.inputs.erased_users[user])

    def _settled(self, run: Run, delivery: str) -> Sequence[Entry]:
        """What a channel answered."""
        page, event, decision = run[0].stream, run[0].event, run[0].decision
        book = self._book(run)
        repeat = self._state(page, Page).status is PageStatus.UNKNOWN
        number = getattr(event, "attempt", 1)
        result: deliveries.Result
        match event:
            case pages.Sent():
                result = deliveries.Delivered()
            case pages.Failed(reason=reason):
                result = deliveries.Undeliverable(reason)
            case pages.Unknown(reason=reason):
                result = deliveries.Unsure(reason)
            case pages.Cancelled():
                result = deliveries.Postponed("")
            case _:
                raise Underivable("type", "no channel's answer leads to this")
        attempt = deliveries.Attempt(page, delivery, number, repeat, decision.decided_at)
        deliveries.settle(book, attempt, result, decision.decided_at)
        return book.entries

    # -- what people configure and erase ---------------------------------------------------------------------------

    def _configured(self, run: Run) -> Sequence[Entry]:
        """A change of the configuration: the object is the input; stream, reference and revision follow from it."""
        book, recorded = self._book(run), run[0]
        book.begin(recorded.decision.cause, recorded.decision.decided_at, (recorded.stream,))
        match recorded.event:
            case changes.ObjectPut(object=item, private=private):
                stream = ids.config_stream(self.org, item.kind, item.id)
                if private is not None and stream == recorded.stream:
                    self._private(stream, book, private)
                book.write(stream, recorded.event)
            case changes.ObjectRemoved(kind=kind, id=name):
                book.write(ids.config_stream(self.org, kind, name), recorded.event)
            case _:
                raise Underivable("type", "no change of the configuration leads to this")
        book.end()
        return book.entries

    def _private(self, stream: str, book: Book, private: PayloadRef) -> None:
        if private.ref != f"{stream}/{book.streams[stream].version + 1}":
            raise Underivable("data.private.ref", "it is not this version's")
        try:
            self.inputs.payload(private)
        except Erased as erased:
            self.verdict.erased[erased.position] += 1
        except Tampered as wrong:
            raise Tampered(f"data.private.{wrong.field}", wrong.problem) from None

    def _erased(self, run: Run) -> Sequence[Entry]:
        """A request to erase: what was erased is the input."""
        book = self._book(run)
        for recorded in run:
            if not isinstance(recorded.event, PayloadErased):
                raise Underivable("type", "no request to erase leads to this")
            book.begin(recorded.decision.cause, recorded.decision.decided_at, (recorded.stream,))
            book.write(erasure_stream(self.org, recorded.decision.cause.causation_id), recorded.event)
        book.end()
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


def _first(run: Run, kind: type[E]) -> E | None:
    return next((e.event for e in run if isinstance(e.event, kind)), None)
