"""For histories of anything: people merge, split, attach and detach, and what must hold of what belongs to them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

from domain import belonging, escalations, groups, incidents
from domain.commands import PersonCommand
from domain.decision import Refused
from domain.ids import escalation_stream, stream_kind
from domain.incidents import Incident, IncidentStatus
from domain.merging import Attach, Detach, Merge, Split, Unmerge
from streams.store.base import Recorded
from tests.memory_world import ORG, MemoryWorld


@dataclass(frozen=True)
class Belong:
    """A person says what belongs to the n-th incident: `other` is another incident, or a firing alert, by its place."""

    verb: Literal["merge", "unmerge", "split", "attach", "attach_group", "detach"]
    incident: int
    other: int


verbs = st.sampled_from(["merge", "merge", "unmerge", "split", "attach", "attach_group", "detach"])
belongs = st.builds(Belong, verbs, st.integers(1, 3), st.integers(1, 4))
merged_and_parted = st.permutations([1, 2]).map(lambda pair: [Belong("merge", *pair), Belong("unmerge", *pair)])
split_and_merged = st.just([Belong("split", 1, 1), Belong("merge", 2, 1), Belong("detach", 1, 1)])


def belong(world: MemoryWorld, step: Belong) -> None:
    """Do it, if there is such an incident and such an alert, and the rules allow it."""
    names = list(world._streams())
    firing = sorted(found.row.id for found in world.store.firing(None, 100))
    if len(names) < step.incident:
        return
    with suppress(Refused, LookupError):
        command = _command(world, step, [world._streams()[name] for name in names], firing)
        world.order(command, names[step.incident - 1])


def _command(world: MemoryWorld, step: Belong, streams: Sequence[str], firing: Sequence[str]) -> PersonCommand:
    match step.verb:
        case "merge":
            return Merge(streams[step.other - 1])
        case "unmerge":
            return Unmerge()
        case "split":
            return Split((firing[step.other - 1],))
        case "attach":
            return Attach(alerts=(firing[step.other - 1],))
    group = world.store.alerts(firing)[firing[step.other - 1]].group or ""
    return Attach(group) if step.verb == "attach_group" else Detach(group)


def states_of(world: MemoryWorld, kind: str) -> Mapping[str, object]:
    """Every stream of a kind, as it stands."""
    names = {event.stream for event in world.store.tail(0, 1_000_000) if stream_kind(event.stream) == kind}
    return {name: loaded.state for name, loaded in world.store.load(names).items()}


def every_firing_alert_is_in_one_incident(world: MemoryWorld) -> None:
    """In one that is open, or that a person closed; and both its group and the incident know of that."""
    known, places = states_of(world, "incident"), Counter[str]()
    for stream, group in states_of(world, "group").items():
        assert isinstance(group, groups.Group)
        places.update([*group.firing])
        for alert, episode in group.firing.items():
            if episode:
                incident = group.incident_of(episode)
                assert world.store.alerts([alert])[alert].incident == incident
                state = known[incident or ""]
                assert isinstance(state, Incident)
                assert belonging.Part(stream, episode) in state.groups
                assert state.is_open or _closed_by_a_person(world, incident or "")
    assert all(count == 1 for count in places.values()), "an alert fires in two groups"


def is_spoken_of(world: MemoryWorld, incident: Incident, stream: str) -> bool:
    """Whether something is to be said of any alert that belongs to an incident."""
    known = states_of(world, "group")
    found = [(known[part.group], part.episode) for part in incident.groups]
    return any(
        isinstance(group, groups.Group) and group.incident_of(episode) == stream and group.loud_in(episode)
        for group, episode in found
    )


def _closed_by_a_person(world: MemoryWorld, incident: str) -> bool:
    events = [event.event for event in world.store.history(incident)]
    last = next(event for event in reversed(events) if isinstance(event, incidents.Resolved | belonging.Merged))
    return isinstance(last, incidents.Resolved) and last.reason == "person"


def only_open_incidents_escalate(world: MemoryWorld) -> None:
    """And each of them once: of what it has had before, all is over."""
    for stream, state in states_of(world, "incident").items():
        assert isinstance(state, Incident)
        names = [escalation_stream(ORG, stream, run) for run in range(1, state.runs + 1)]
        running = [name for name in names if _runs(world, name)]
        assert running in ([], names[-1:] if state.is_open else [])


def _runs(world: MemoryWorld, escalation: str) -> bool:
    state = world.store.load([escalation])[escalation].state
    assert isinstance(state, escalations.Escalation)
    return state.is_running


def merged_incidents_lead_to_one_that_is_not(world: MemoryWorld) -> None:
    """No rings, and nothing belongs to one that is merged."""
    known = states_of(world, "incident")
    for state in known.values():
        seen = 0
        while isinstance(state, Incident) and state.status is IncidentStatus.MERGED:
            assert state.into and seen < len(known)
            state, seen = known[state.into], seen + 1


def no_two_open_incidents_in_a_group_by_its_alerts(log: Sequence[Recorded]) -> None:
    """A group's next episode has an incident of its own only when the one before was over, merged or elsewhere."""
    owner: dict[str, str] = {}
    over: set[str] = set()
    for event in log:
        match event.event:
            case groups.EpisodeOpened(incident=incident):
                before = owner.get(event.stream)
                assert before is None or before in over or before == incident, "opened while the one before was open"
                owner[event.stream] = incident
            case belonging.Moved(before=before, incident=incident) if owner.get(event.stream) == before:
                owner[event.stream] = incident
            case incidents.Resolved() | belonging.Merged():
                over.add(event.stream)
            case _:
                pass
