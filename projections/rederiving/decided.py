"""Decisions made again, by their kind of input: each is handed to the function of `domain/` that decided on it."""

from collections.abc import Callable, Sequence
from datetime import datetime

from domain import delivering as deliveries
from domain import expiry, heartbeating, ids, pages, reviewing, stepping
from domain.book import Due, Entry
from domain.escalations import Escalation
from domain.pages import Page, PageStatus
from projections.asked import Underivable
from projections.inputs import Erased
from projections.rederiving.asked_for import Requests
from projections.rederiving.reported import Reports
from projections.rederiving.standing import Run


class Deciding(Reports, Requests):
    """Decides again."""

    def decide(self, run: Run, following: Callable[[int], Run]) -> Sequence[Entry]:
        """What the rules decide on the input of `run`, in the book `decided`; see `Rederiver.check` for `following`.

        Raises Underivable for an input that no rule is known for, Erased for one that is gone, Tampered for one that is
        not as the log says, and whatever the rules raise.
        """
        cause, kind = run[0].decision.cause, ids.stream_kind(run[0].stream)
        if kind == "config":
            return self.configured(run)
        if kind == "erasure":
            return self.erases(run)
        if cause.actor.kind == "integration":
            return self.folded(run)
        prefix, _, rest = cause.pointer.partition("/")
        if cause.origin == "fold" and prefix != "due":
            return self.lost(run) if kind == "intake" else self.fallen_back(run)
        match prefix:
            case "command":
                return self.commanded(run, following)
            case "delivery":
                return self._settled(run, rest)
            case "due":
                return self._met(run, *rest.partition("/")[::2])
        raise Underivable("decision.cause.pointer", f"no rule is known for the input {prefix!r}")

    def _met(self, run: Run, kind: str, key: str) -> Sequence[Entry]:
        """A deadline."""
        if kind == expiry.EXPIRE:
            return self.expired(run, key)
        if kind == reviewing.REVIEW:
            return self.reviewed(run, key)
        if kind == heartbeating.HEARTBEAT:
            return self.looked_at(run, key)
        if kind != stepping.ESCALATE:
            raise Underivable("decision.cause.pointer", f"no rule is known for deadlines of kind {kind!r}")
        book, now = self.book(run), run[0].decision.decided_at
        state = self.state(key, Escalation)
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
        book = self.book(run)
        repeat = self.state(page, Page).status is PageStatus.UNKNOWN
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
