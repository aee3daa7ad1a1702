"""What must hold of correlation, whatever happens."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from domain.belonging import GroupAttached
from domain.events import evolve, initial
from domain.ids import stream_kind
from domain.incidents import Incident
from streams.store.base import Recorded

WITHIN = timedelta(minutes=15)
"""What the rule of the histories says."""


def what_is_joined_is_open_and_was_opened_lately(log: Sequence[Recorded]) -> None:
    states: dict[str, Incident] = {}
    for event in log:
        if stream_kind(event.stream) != "incident":
            continue
        before = states.get(event.stream, initial(event.stream))
        if isinstance(event.event, GroupAttached) and event.event.reason == "correlation":
            assert isinstance(before, Incident) and before.is_open
            same = [before, *(state for state in states.values() if _leads_to(states, state, before))]
            assert event.decision.decided_at - max(state.opened_at for state in same if state.opened_at) <= WITHIN
        after = evolve(event.stream, before, event.event)
        assert isinstance(after, Incident)
        states[event.stream] = after


def _leads_to(states: Mapping[str, Incident], state: Incident, winner: Incident) -> bool:
    """Whether an incident is merged into the other, or into one that is: what joins it joins that one."""
    while state.into:
        state = states[state.into]
        if state is winner:
            return True
    return False
