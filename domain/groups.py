"""Alert groups and their episodes: which alerts belong together, and from when to when they were an incident.

An episode opens an incident at its first alert and ends when its last firing alert does. If a person resolves
the incident, repeats of alerts that already fire open nothing; a re-fire or a new alert opens the next episode.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, assert_never

from domain.alerts import PriorAlert
from domain.decision import PayloadRef
from domain.severity import Severity


@dataclass(frozen=True, slots=True)
class AlertFired:
    """An alert fires for the first time here: we had heard nothing of it before, or only that it was resolved.

    `labels` are only those that a matcher, group_by or title reads; the whole alert is in the payload, and
    `raw_digest` proves the redacted webhook it came in.
    """

    type: ClassVar[str] = "group.alert_fired.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    severity: Severity
    labels: Mapping[str, str]
    source_time: datetime
    received_at: datetime
    receipt: str
    payload: PayloadRef
    raw_digest: str
    prior: PriorAlert | None


@dataclass(frozen=True, slots=True)
class AlertRefired:
    """An alert fires again after it was resolved or had expired."""

    type: ClassVar[str] = "group.alert_refired.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    severity: Severity
    labels: Mapping[str, str]
    source_time: datetime
    received_at: datetime
    receipt: str
    payload: PayloadRef
    raw_digest: str
    prior: PriorAlert


@dataclass(frozen=True, slots=True)
class AlertResolved:
    """The source says that a firing alert has ended. What it said is in the payload."""

    type: ClassVar[str] = "group.alert_resolved.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    source_time: datetime
    received_at: datetime
    receipt: str
    payload: PayloadRef
    raw_digest: str
    prior: PriorAlert


@dataclass(frozen=True, slots=True)
class AlertExpired:
    """Nobody said that the alert ended, but its source has been silent about it for too long.

    Of `last_seen` and `count` no other event knows. Everything that was accepted before `heard_until` had been looked
    at: a silence of our own making expires nothing.
    """

    type: ClassVar[str] = "group.alert_expired.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    last_seen: datetime
    count: int
    heard_until: datetime
    prior: PriorAlert


@dataclass(frozen=True, slots=True)
class EpisodeOpened:
    """The group's next episode, its incident, and the route that said where it goes."""

    type: ClassVar[str] = "group.episode_opened.v1"
    episode: int
    incident: str
    group_key: str
    group_by: tuple[str, ...]
    route: str
    service: str
    team: str
    policy: str


GroupEvent = AlertFired | AlertRefired | AlertResolved | AlertExpired | EpisodeOpened


@dataclass(frozen=True, slots=True)
class Group:
    """An alert group. `firing` maps each firing alert to the episode it belongs to, `counts` says how many each has.

    `incident` is that of the latest episode, None before the first.
    """

    episode: int = 0
    incident: str | None = None
    firing: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)

    def firing_in(self, episode: int) -> int:
        """How many alerts of this episode fire."""
        return self.counts.get(episode, 0)

    @property
    def is_open(self) -> bool:
        """Whether the latest episode has a firing alert."""
        return self.firing_in(self.episode) > 0


def evolve(group: Group, event: GroupEvent) -> Group:
    """The group after `event`."""
    match event:
        case EpisodeOpened():
            return replace(group, episode=event.episode, incident=event.incident)
        case AlertFired() | AlertRefired():
            return _moved(group, event.alert, event.episode)
        case AlertResolved() | AlertExpired():
            return _moved(group, event.alert, None)
        case _:
            assert_never(event)


def _moved(group: Group, alert: str, episode: int | None) -> Group:
    """The group with an alert firing in an episode, or (None) not firing."""
    firing, counts = dict(group.firing), dict(group.counts)
    before = firing.pop(alert, None)
    if before is not None:
        counts[before] -= 1
        if not counts[before]:
            del counts[before]
    if episode is not None:
        firing[alert] = episode
        counts[episode] = counts.get(episode, 0) + 1
    return Group(group.episode, group.incident, firing, counts)
