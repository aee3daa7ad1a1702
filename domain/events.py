"""Every kind of stream, its events and its state, in one table: what codecs, stores and projections iterate over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from domain import changes, erasing, escalations, groups, incidents, intake, pages
from domain.ids import stream_kind

Event = (
    groups.GroupEvent
    | incidents.IncidentEvent
    | escalations.EscalationEvent
    | pages.PageEvent
    | changes.ConfigEvent
    | intake.IntakeEvent
    | erasing.ErasureEvent
)
State = (
    groups.Group
    | incidents.Incident
    | escalations.Escalation
    | pages.Page
    | changes.Setting
    | intake.Intake
    | erasing.Erasure
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of stream: its state before the first event, how an event changes it, and which events it may hold."""

    initial: State
    evolve: Callable[[Any, Any], State]
    events: tuple[type[Event], ...]


KINDS: Mapping[str, Kind] = {
    "group": Kind(groups.Group(), groups.evolve, get_args(groups.GroupEvent)),
    "incident": Kind(incidents.Incident(), incidents.evolve, get_args(incidents.IncidentEvent)),
    "escalation": Kind(escalations.Escalation(), escalations.evolve, get_args(escalations.EscalationEvent)),
    "page": Kind(pages.Page(), pages.evolve, get_args(pages.PageEvent)),
    "intake": Kind(intake.Intake(), intake.evolve, (intake.AlertsLost,)),
    "erasure": Kind(erasing.Erasure(), erasing.evolve, (erasing.PayloadErased,)),
    "config": Kind(changes.Setting(), changes.evolve, get_args(changes.ConfigEvent)),
}

EVENT_TYPES: Mapping[str, type[Event]] = {event.type: event for kind in KINDS.values() for event in kind.events}


def initial(stream: str) -> State:
    """The state of a stream that has no events."""
    return KINDS[stream_kind(stream)].initial


def evolve(stream: str, state: State, event: Event) -> State:
    """The state of `stream` after `event`."""
    return KINDS[stream_kind(stream)].evolve(state, event)
