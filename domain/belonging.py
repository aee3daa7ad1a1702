"""What belongs to an incident: the episodes of alert groups that it is about, and how they come and go.

The group's own stream says which incident an episode belongs to (`groups.Group.incident_of`); an incident says only
where to look. Read next: `merging`, which decides all this.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from domain.alerts import PriorAlert
from domain.suppression import Suppression

AttachReason = Literal["person", "correlation"]
OpenStatus = Literal["triggered", "acknowledged", "in_progress"]


@dataclass(frozen=True, slots=True)
class Part:
    """An episode of an alert group."""

    group: str
    episode: int


@dataclass(frozen=True, slots=True)
class GroupAttached:
    """An episode of an alert group belongs to this incident from now on: a person said so, or a correlation `rule`.

    `because` says why in words that hold no personal data, `before` is the incident that it came from, if any.
    """

    type: ClassVar[str] = "incident.group_attached.v1"
    group: str
    episode: int
    reason: AttachReason
    before: str | None = None
    rule: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True)
class GroupDetached:
    """A person says that an episode of an alert group belongs to another incident from now on: `to`, INC-`number`."""

    type: ClassVar[str] = "incident.group_detached.v1"
    group: str
    episode: int
    to: str
    number: int


@dataclass(frozen=True, slots=True)
class AlertsSplit:
    """A person says that some alerts belong to another incident from now on: `to`, INC-`number`.

    They have left their groups for one of their own, `group`.
    """

    type: ClassVar[str] = "incident.alerts_split.v1"
    alerts: tuple[str, ...]
    group: str
    to: str
    number: int


@dataclass(frozen=True, slots=True)
class Merged:
    """It is the same as another incident, `into` (INC-`number`), to which all that belonged to it belongs now."""

    type: ClassVar[str] = "incident.merged.v1"
    into: str
    number: int


@dataclass(frozen=True, slots=True)
class Unmerged:
    """It is not the same as INC-`number` after all: its status is again what it was before, and these of its `groups`
    are back: those that were still there.
    """

    type: ClassVar[str] = "incident.unmerged.v1"
    out_of: str
    number: int
    status: OpenStatus
    groups: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Absorbed:
    """Another incident (INC-`number`) was the same as this one: what belonged to it belongs to this one now."""

    type: ClassVar[str] = "incident.absorbed.v1"
    incident: str
    number: int
    groups: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Parted:
    """Another incident (INC-`number`) is one of its own again, and has these of its groups back."""

    type: ClassVar[str] = "incident.parted.v1"
    incident: str
    number: int
    groups: tuple[Part, ...]


BelongingEvent = GroupAttached | GroupDetached | AlertsSplit | Merged | Unmerged | Absorbed | Parted
"""What happens to an incident that way."""


@dataclass(frozen=True, slots=True)
class AlertLeft:
    """A person says that a firing alert is no part of its incident: it goes on in the group `to`."""

    type: ClassVar[str] = "group.alert_left.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    to: str
    prior: PriorAlert


@dataclass(frozen=True, slots=True)
class AlertJoined:
    """A firing alert goes on here that was in the group `came_from`; if nothing was said of it, nothing is, and whoever
    had acknowledged it has it still. Once it has ended it is routed as ever.
    """

    type: ClassVar[str] = "group.alert_joined.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    came_from: str
    suppressed: Suppression | None = None
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """All alerts of an episode belong to another `incident` from now on than `before`."""

    type: ClassVar[str] = "group.moved.v1"
    episode: int
    before: str
    incident: str


def joined(parts: tuple[Part, ...], more: Iterable[Part]) -> tuple[Part, ...]:
    """These parts and more, each once, in the order in which they came."""
    return tuple(dict.fromkeys((*parts, *more)))


def without(parts: tuple[Part, ...], gone: Iterable[Part]) -> tuple[Part, ...]:
    """These parts but for those that are gone."""
    left = set(gone)
    return tuple(part for part in parts if part not in left)
