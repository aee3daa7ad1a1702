"""`tocsin audit show INC-7`: from the log alone, who was paged, when, by what, by which rule; who was not, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import belonging, escalations, groups, ids, incidents, pages
from domain.changes import ObjectPut
from domain.config import Target
from domain.events import Event, evolve, initial
from domain.incidents import Incident
from projections.asof import read
from projections.sentences import First, plain, sentence, who
from streams.store.base import Recorded
from streams.store.ledger import Ledger

END = 2**62


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule that asked for a page: a step of a policy as it was copied when the escalation began.

    `revision` is the position of the event that had made the policy so, and `by` who had.
    """

    policy: str
    revision: int
    by: str
    run: int
    loop: int
    step: int
    target: str

    def __str__(self) -> str:
        loop = f", round {self.loop}" if self.loop > 1 else ""
        return f"{self.target}: step {self.step}{loop} of policy {self.policy} (revision {self.revision})"


@dataclass(frozen=True, slots=True)
class Paged:
    """One page that was sent: to whom, by what, when, and the rule that asked for it.

    `user` is a user's id, or `team:development` for the channel of a team; `position` that of the event that says so.
    """

    user: str
    method: str
    asked_at: datetime
    sent_at: datetime
    attempt: int
    possible_repeat: bool
    delivery: str
    rule: Rule
    position: int


@dataclass(frozen=True, slots=True)
class NotPaged:
    """Somebody whom a rule names and who was not told, and why. `user` is empty when the rule named a role and reached
    nobody.
    """

    user: str
    method: str
    at: datetime | None
    reason: str
    rule: Rule
    position: int


@dataclass(frozen=True, slots=True)
class Decided:
    """One event, in a sentence, with what it was decided on and by whom."""

    position: int
    at: datetime
    type: str
    text: str
    actor: str
    origin: str
    pointer: str
    config_revision: int
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that the log says about who was told of one incident."""

    id: str
    name: str
    title: str
    status: str
    severity: str
    opened: str
    paged: tuple[Paged, ...]
    not_paged: tuple[NotPaged, ...]
    decisions: tuple[Decided, ...]


class NoIncident(LookupError):
    """The log has no such incident."""


def account(ledger: Ledger, org: str, incident: str) -> Account:
    """Give account of the incident whose stream this is. Raises NoIncident."""
    own = history(ledger, incident)
    state = initial(incident)
    for recorded in own:
        state = evolve(incident, state, recorded.event)
    if not own or not isinstance(state, Incident) or not isinstance(own[0].event, incidents.Opened):
        raise NoIncident(incident)
    opened = own[0].event
    alerts = [e for group in _groups(own) for e in history(ledger, group) if _concerns(e, incident)]
    runs = [_Run.read(ledger, org, incident, number) for number in range(1, state.runs + 1)]
    everything: list[tuple[Recorded, First]] = [(e, None) for e in (*own, *alerts)]
    for run in runs:
        everything += run.told()
    return Account(
        id=incident,
        name=state.name,
        title=plain(state.title),
        status=state.status.value,
        severity=state.severity.value,
        opened=_why_opened(own[0], opened, alerts),
        paged=tuple(sorted((p for run in runs for p in run.paged()), key=lambda p: p.position)),
        not_paged=tuple(n for run in runs for n in run.not_paged(own)),
        decisions=tuple(_decided(*told) for told in sorted(everything, key=lambda told: told[0].position)),
    )


def history(ledger: Ledger, stream: str) -> list[Recorded]:
    """Every event of a stream that can be read."""
    lines = ((line, read(line)) for line in ledger.history(stream, END))
    return [
        Recorded(line.position, line.stream, line.version, line.type, stored.data, stored.decision, line.hash)
        for line, stored in lines
        if stored
    ]


def _groups(own: Sequence[Recorded]) -> list[str]:
    """The alert groups that an incident has had, in the order in which they came."""
    found: list[str] = []
    for recorded in own:
        match recorded.event:
            case incidents.Opened(group=str() as group) | belonging.GroupAttached(group=group):
                found.append(group)
            case belonging.Absorbed(groups=parts) | belonging.Unmerged(groups=parts):
                found += [part.group for part in parts]
    return list(dict.fromkeys(found))


def _concerns(recorded: Recorded, incident: str) -> bool:
    return getattr(recorded.event, "incident", None) == incident


def _why_opened(recorded: Recorded, opened: incidents.Opened, alerts: Sequence[Recorded]) -> str:
    """What opened the incident, and by which route it got its team and policy."""
    goes = f"team {opened.team}, policy {opened.policy}"
    cause = recorded.decision.cause
    route = next((e.event for e in alerts if isinstance(e.event, groups.EpisodeOpened)), None)
    if route is None:
        return f"opened by {who(cause.actor)} ({cause.origin}) for {goes}"
    alert = next((e.event for e in alerts if isinstance(e.event, groups.AlertFired | groups.AlertRefired)), None)
    by = f"an alert of {alert.integration} (receipt {alert.receipt})" if alert else "trouble with alerts"
    revision = recorded.decision.config_revision
    return f"opened by {by}; route {plain(route.route)} of configuration revision {revision} sends it to {goes}"


def _decided(recorded: Recorded, first: First) -> Decided:
    decision = recorded.decision
    return Decided(
        position=recorded.position,
        at=decision.decided_at,
        type=recorded.type,
        text=sentence(recorded, first),
        actor=f"{decision.cause.actor.kind}:{decision.cause.actor.id}",
        origin=decision.cause.origin,
        pointer=decision.cause.pointer,
        config_revision=decision.config_revision,
        correlation_id=decision.cause.correlation_id,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """One escalation: its events, its pages', and where its policy came from."""

    events: Sequence[Recorded]
    pages: Mapping[str, Sequence[Recorded]]
    revision: int
    by: str

    @classmethod
    def read(cls, ledger: Ledger, org: str, incident: str, number: int) -> "_Run":
        events = history(ledger, ids.escalation_stream(org, incident, number))
        asked = [n.page for e in events if isinstance(e.event, escalations.StepNotified) for n in e.event.notified]
        revision, by = 0, ""
        if events and isinstance(events[0].event, escalations.Started):
            stream = ids.config_stream(org, "policy", events[0].event.policy.id)
            made = [e for e in history(ledger, stream) if e.position < events[0].position]
            puts = [e for e in made if isinstance(e.event, ObjectPut)]
            if puts:
                revision, by = puts[-1].position, who(puts[-1].decision.cause.actor)
        return cls(events, {page: history(ledger, page) for page in dict.fromkeys(asked)}, revision, by)

    @property
    def started(self) -> escalations.Started | None:
        """What it began with."""
        first = self.events[0].event if self.events else None
        return first if isinstance(first, escalations.Started) else None

    def told(self) -> Iterator[tuple[Recorded, First]]:
        """Every event, with the first of its stream."""
        yield from ((recorded, self.started) for recorded in self.events)
        for told in self.pages.values():
            first = told[0].event if told else None
            yield from ((recorded, first if isinstance(first, pages.Queued) else None) for recorded in told)

    def _rule(self, loop: int, step: int, target: str) -> Rule:
        started = self.started
        run, policy = (started.run, started.policy.id) if started else (0, "")
        return Rule(policy, self.revision, self.by, run, loop, step, target)

    def _asked(self) -> Iterator[tuple[Recorded, escalations.StepNotified, escalations.Notified]]:
        for recorded in self.events:
            if isinstance(recorded.event, escalations.StepNotified):
                yield from ((recorded, recorded.event, notified) for notified in recorded.event.notified)

    def paged(self) -> Iterator[Paged]:
        """Every page that was sent."""
        for recorded, step, notified in self._asked():
            for told in self.pages[notified.page]:
                if isinstance(told.event, pages.Sent):
                    yield Paged(
                        user=notified.user,
                        method=notified.method,
                        asked_at=recorded.decision.decided_at,
                        sent_at=told.decision.decided_at,
                        attempt=told.event.attempt,
                        possible_repeat=told.event.possible_repeat,
                        delivery=told.event.delivery,
                        rule=self._rule(step.loop, step.step, notified.target),
                        position=told.position,
                    )

    def not_paged(self, own: Sequence[Recorded]) -> Iterator[NotPaged]:
        """Everybody whom the policy names and who was not told; `own` are the incident's events."""
        for recorded, step, notified in self._asked():
            told = self.pages[notified.page]
            if not any(isinstance(e.event, pages.Sent) for e in told):
                last = told[-1] if told else recorded
                rule = self._rule(step.loop, step.step, notified.target)
                at = last.decision.decided_at
                yield NotPaged(notified.user, notified.method, at, _why_not(last), rule, last.position)
        yield from self._reached_nobody()
        yield from self._never_due(own)

    def _reached_nobody(self) -> Iterator[NotPaged]:
        """Targets that stood for nobody with a contact method when their step ran."""
        for recorded in self.events:
            event = recorded.event
            if not isinstance(event, escalations.StepNotified | escalations.StepSkipped):
                continue
            reached = {n.target for n in event.notified} if isinstance(event, escalations.StepNotified) else set()
            for target in self._targets(event.step):
                if str(target) not in reached:
                    rule, at = self._rule(event.loop, event.step, str(target)), recorded.decision.decided_at
                    nobody = "no person" if target.user or target.role else "no channel"
                    reason = f"nobody reachable: it stood for {nobody} with a contact method"
                    yield NotPaged(target.recipient or "", "", at, reason, rule, recorded.position)

    def _never_due(self, own: Sequence[Recorded]) -> Iterator[NotPaged]:
        """Steps of the first round that never came, because the escalation ended before, or has not come so far."""
        ran = {
            e.event.step for e in self.events if isinstance(e.event, escalations.StepNotified | escalations.StepSkipped)
        }
        steps = self.started.policy.steps if self.started else ()
        ended = next((e for e in self.events if isinstance(e.event, escalations.Stopped)), None)
        for number, step in enumerate(steps, 1):
            for target in step.targets if number not in ran else ():
                rule = self._rule(1, number, str(target))
                reason = f"its step was not due when {_ending(ended, own)}" if ended else "its step is not due yet"
                at, position = (ended.decision.decided_at, ended.position) if ended else (None, 0)
                yield NotPaged(target.recipient or "", "", at, reason, rule, position)

    def _targets(self, step: int) -> tuple[Target, ...]:
        return self.started.policy.steps[step - 1].targets if self.started else ()


def _ending(ended: Recorded, own: Sequence[Recorded]) -> str:
    """Who ended an escalation, and by what: the incident's event of the same decision."""
    same = (e for e in own if e.decision.cause == ended.decision.cause)
    event: Event | None = next((e.event for e in same), None)
    actor = who(ended.decision.cause.actor)
    if isinstance(event, incidents.Resolved) and event.reason == "alerts_ended":
        return "its last alert ended"
    verb = {incidents.Started: "started to work on it", incidents.Resolved: "resolved it"}
    return f"{actor} {verb.get(type(event), 'acknowledged')}"


def _why_not(last: Recorded) -> str:
    event = last.event
    match event:
        case pages.Cancelled(reason="acknowledged"):
            return f"cancelled: {who(last.decision.cause.actor)} acknowledged"
        case pages.Cancelled():
            by = last.decision.cause.actor
            return "cancelled: its last alert ended" if by.kind != "user" else f"cancelled: {who(by)} resolved it"
        case pages.Failed(reason=reason, attempt=attempt):
            return f"failed in attempt {attempt}: {plain(reason)}"
        case pages.Unknown(reason=reason):
            return f"nobody knows whether it arrived: {plain(reason)}"
        case _:
            return "not sent yet"
