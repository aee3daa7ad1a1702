"""An escalation: one walk along an escalation policy, until somebody acknowledges or the policy is exhausted.

It moves pending -> active -> notified -> escalated -> stopped | exhausted. The policy is copied in at the start:
editing a policy changes no escalation that already runs. Targets become people, or the channel of a
team, at the moment of each step.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Literal, assert_never

from domain.config import Policy, Step

StopReason = Literal["acknowledged", "resolved", "suppressed", "merged", "reannounced"]


class EscalationStatus(StrEnum):
    """How far an escalation has come."""

    PENDING = "pending"
    """Waiting for its first step."""
    ACTIVE = "active"
    """Running, but no step has reached anybody yet."""
    NOTIFIED = "notified"
    """The first people were paged."""
    ESCALATED = "escalated"
    """A later step or loop paged somebody."""
    STOPPED = "stopped"
    """Acknowledged, resolved, suppressed, merged, or begun anew."""
    EXHAUSTED = "exhausted"
    """Every step of every loop has run and nobody acknowledged."""


@dataclass(frozen=True, slots=True)
class Started:
    """An escalation begins; its first step is due at `first_at`.

    `correlation_id` is that of the receipt or command that began it; all that the escalation does carries it on.
    """

    type: ClassVar[str] = "escalation.started.v1"
    incident: str
    run: int
    policy: Policy
    first_at: datetime
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Notified:
    """One page that a step asked for: whom, by what method, and because of which target.

    `user` is a user's id, or `team:development` for the channel of a team.
    """

    target: str
    user: str
    method: str
    page: str


@dataclass(frozen=True, slots=True)
class StepNotified:
    """A step ran: these are paged, and the next step is due at `next_at`. Loops and steps count from 1."""

    type: ClassVar[str] = "escalation.step_notified.v1"
    loop: int
    step: int
    due_at: datetime
    notified: tuple[Notified, ...]
    next_at: datetime


@dataclass(frozen=True, slots=True)
class StepSkipped:
    """A step reached nobody (its targets resolve to nobody with a contact method); the next is due at once."""

    type: ClassVar[str] = "escalation.step_skipped.v1"
    loop: int
    step: int
    due_at: datetime
    reason: Literal["nobody_reachable"]
    next_at: datetime


@dataclass(frozen=True, slots=True)
class StepDelayed:
    """A deadline was met too late (the pager was down): one step runs, later delays count from now."""

    type: ClassVar[str] = "escalation.step_delayed.v1"
    loop: int
    step: int
    due_at: datetime
    reason: Literal["stale"]


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nobody else is to be paged: somebody acknowledged, it is over, nothing is to be said of it for now, another
    incident is worked on instead, or it is announced again because there is news of it.

    `in_flight` are pages that were with a channel at that moment: they may still arrive.
    """

    type: ClassVar[str] = "escalation.stopped.v1"
    reason: StopReason
    in_flight: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Every step of every loop has run and nobody acknowledged."""

    type: ClassVar[str] = "escalation.exhausted.v1"
    due_at: datetime


EscalationEvent = Started | StepNotified | StepSkipped | StepDelayed | Stopped | Exhausted


@dataclass(frozen=True, slots=True)
class Escalation:
    """An escalation as its events left it. `loop` and `step` (both from 1) are the ones that run next;
    `first_at` is when the first step was due, UTC.
    """

    incident: str = ""
    run: int = 0
    correlation_id: str = ""
    policy: Policy | None = None
    status: EscalationStatus = EscalationStatus.PENDING
    loop: int = 1
    step: int = 1
    due_at: datetime | None = None
    stopped: StopReason | None = None
    first_at: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Whether another step may still run."""
        return self.status not in (EscalationStatus.STOPPED, EscalationStatus.EXHAUSTED)

    @property
    def has_told_all(self) -> bool:
        """Whether every step of every loop has run, and nobody else is to be paged."""
        exhausted = self.status is EscalationStatus.EXHAUSTED
        return exhausted or (self.is_running and self.policy is not None and self.next_step is None)

    @property
    def next_step(self) -> Step | None:
        """The step that runs next, None when every loop is through."""
        if self.policy is None or self.loop > self.policy.loops:
            return None
        return self.policy.steps[self.step - 1]


def run_step(
    escalation: Escalation, due_at: datetime, notified: tuple[Notified, ...], now: datetime
) -> tuple[EscalationEvent, ...]:
    """What a deadline that has come decides.

    Parameters:
        due_at: the deadline as its row has it: a first step that was held back may have been brought forward.
        notified: the recipients and methods that the next step's targets stand for at this moment.
        now: UTC; the following step's delay counts from here.
    """
    step, policy = escalation.next_step, escalation.policy
    if policy is None or not escalation.is_running or now < due_at:
        return ()
    if step is None:
        return (Exhausted(due_at),)
    at = (escalation.loop, escalation.step, due_at)
    stale = now - due_at > timedelta(seconds=policy.stale_after)
    late: tuple[EscalationEvent, ...] = (StepDelayed(*at, "stale"),) if stale else ()
    if not notified:
        return (*late, StepSkipped(*at, "nobody_reachable", now))
    return (*late, StepNotified(*at, notified, now + timedelta(seconds=step.escalate_after)))


def stop(escalation: Escalation, reason: StopReason, in_flight: tuple[str, ...]) -> tuple[EscalationEvent, ...]:
    """Nobody else is to be paged; nothing when that was said before. `in_flight`: pages that are with a channel.

    An exhausted escalation is stopped too: a page of it may still be on its way.
    """
    return () if escalation.stopped else (Stopped(reason, in_flight),)


def evolve(escalation: Escalation, event: EscalationEvent) -> Escalation:
    """The escalation after `event`."""
    match event:
        case Started():
            return replace(
                escalation,
                incident=event.incident,
                run=event.run,
                policy=event.policy,
                due_at=event.first_at,
                first_at=event.first_at,
                correlation_id=event.correlation_id,
            )
        case StepNotified():
            first = escalation.status in (EscalationStatus.PENDING, EscalationStatus.ACTIVE)
            status = EscalationStatus.NOTIFIED if first else EscalationStatus.ESCALATED
            return _advanced(replace(escalation, status=status, due_at=event.next_at))
        case StepSkipped():
            pending = escalation.status is EscalationStatus.PENDING
            status = EscalationStatus.ACTIVE if pending else escalation.status
            return _advanced(replace(escalation, status=status, due_at=event.next_at))
        case StepDelayed():
            return escalation
        case Stopped():
            return replace(escalation, status=EscalationStatus.STOPPED, due_at=None, stopped=event.reason)
        case Exhausted():
            return replace(escalation, status=EscalationStatus.EXHAUSTED, due_at=None)
        case _:
            assert_never(event)


def _advanced(escalation: Escalation) -> Escalation:
    last = escalation.policy is not None and escalation.step >= len(escalation.policy.steps)
    if last:
        return replace(escalation, loop=escalation.loop + 1, step=1)
    return replace(escalation, step=escalation.step + 1)
