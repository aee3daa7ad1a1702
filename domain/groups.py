"""Alert groups and their episodes: which alerts belong together, and from when to when they were an incident.

An episode opens an incident at its first alert and ends when its last firing alert does. If a person resolves
the incident, repeats of alerts that already fire open nothing; a re-fire or a new alert opens the next episode.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, TypeVar, assert_never

from immutables import Map

from domain import answers, belonging
from domain.alerts import PriorAlert
from domain.decision import PayloadRef
from domain.severity import Severity
from domain.suppression import Suppression, SuppressionReason

V = TypeVar("V")
TROUBLES = ("undecidable:", "lost:")
"""How the keys of groups begin that have no alerts, but an incident about trouble with them (`domain.troubles`)."""
_OF_ALERTS = ("firing", "suppressed", "acknowledged", "flapping")
"""What a group keeps for each of its alerts."""


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
    """Nobody said that the alert ended, but its source has been silent about it for too long, or past `ends_at`, when
    it would end by its last word.

    Of `last_seen`, `count` and `ends_at` no other event knows. Everything that was accepted before `heard_until` had
    been looked at: a silence of our own making expires nothing.
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
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertSuppressed:
    """Nothing is said of a firing alert, because of `rule` (the id of a silence, the name of a window ...).

    The rule is as the configuration had it at the decision's revision; `until` is when it ends, as far as that is
    known, `by` the firing alert, of the group `by_group`, that inhibits it. Without an `incident` the alert waits in
    its group; `group_key` is then what its incident will be opened by. `prior` is the row of an alert that fired
    already; one that fires now has an event of its own.
    """

    type: ClassVar[str] = "group.alert_suppressed.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    reason: SuppressionReason
    rule: str
    until: datetime | None
    by: str | None
    by_group: str | None
    group_key: str
    payload: PayloadRef
    prior: PriorAlert | None


@dataclass(frozen=True, slots=True)
class AlertReleased:
    """What suppressed an alert has ended while it fires: it is spoken of again, in this episode."""

    type: ClassVar[str] = "group.alert_released.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    reason: SuppressionReason
    rule: str
    payload: PayloadRef
    prior: PriorAlert


@dataclass(frozen=True, slots=True)
class AlertSeverityChanged:
    """An alert that fires already says another severity: what matchers read of it from now on is in `payload`."""

    type: ClassVar[str] = "group.alert_severity_changed.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    severity: Severity
    source_time: datetime
    received_at: datetime
    receipt: str
    payload: PayloadRef
    raw_digest: str
    prior: PriorAlert


@dataclass(frozen=True, slots=True)
class AlertFlapping:
    """An alert has begun and ended as often as its route puts up with: this is the last that is said of it until it was
    steady for a while. It changed so many times `within` some seconds.
    """

    type: ClassVar[str] = "group.alert_flapping.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    changes: int
    within: float


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


GroupEvent = (
    AlertFired
    | AlertRefired
    | AlertResolved
    | AlertExpired
    | AlertSuppressed
    | AlertReleased
    | AlertSeverityChanged
    | AlertFlapping
    | answers.AlertAcknowledged
    | answers.AlertUnacknowledged
    | answers.AlertClosed
    | belonging.AlertLeft
    | belonging.AlertJoined
    | belonging.Moved
    | EpisodeOpened
)


@dataclass(frozen=True, slots=True)
class Group:
    """An alert group. `firing` maps each firing alert to the episode it belongs to, `counts` says how many each has.

    `incident` is that of the latest episode, None before the first; `earlier` has those of the episodes before it that
    still have firing alerts. `suppressed` says of which firing alerts nothing is said; one that began so belongs to no
    episode (0) until it is released or another alert opens one; `hushed` counts them by episode. `key` is the group
    key, `ended_at` when the last alert of the latest episode ended, if none fires.
    `acknowledged` are the firing alerts that somebody has, each with its episode; `flapping` those that fire and have
    begun to flap with that, each with how often they have changed in how many seconds.
    """

    episode: int = 0
    incident: str | None = None
    firing: Mapping[str, int] = Map()
    counts: Mapping[int, int] = field(default_factory=dict)
    suppressed: Mapping[str, Suppression] = Map()
    key: str = ""
    ended_at: datetime | None = None
    earlier: Mapping[int, str] = field(default_factory=dict)
    acknowledged: Mapping[str, int] = Map()
    flapping: Mapping[str, tuple[int, float]] = Map()
    hushed: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _OF_ALERTS:
            given = getattr(self, name)
            if (alerts := _kept(given)) is not given:
                object.__setattr__(self, name, alerts)
        if sum(self.hushed.values()) != len(self.suppressed):  # a state that was kept before there was this count
            object.__setattr__(self, "hushed", dict(Counter(self.firing[alert] for alert in self.suppressed)))

    def incident_of(self, episode: int) -> str | None:
        """The incident that an episode belongs to; None when it belongs to none, or is long over."""
        return self.incident if episode == self.episode else self.earlier.get(episode)

    def firing_in(self, episode: int) -> int:
        """How many alerts of this episode fire."""
        return self.counts.get(episode, 0)

    def loud_in(self, episode: int) -> int:
        """How many firing alerts of this episode are spoken of."""
        return self.firing_in(episode) - self.hushed.get(episode, 0)

    def unanswered_in(self, episode: int) -> int:
        """How many of these nobody has acknowledged."""
        taken = (alert for alert, of in self.acknowledged.items() if of == episode and alert not in self.suppressed)
        return self.loud_in(episode) - sum(1 for _ in taken)

    @property
    def is_of_alerts(self) -> bool:
        """Whether it is about alerts, and not about trouble with them."""
        return not self.key.startswith(TROUBLES)

    @property
    def is_open(self) -> bool:
        """Whether the latest episode has a firing alert."""
        return self.firing_in(self.episode) > 0


def evolve(group: Group, event: GroupEvent) -> Group:
    """The group after `event`."""
    match event:
        case EpisodeOpened():
            before = {group.episode: group.incident} if group.is_open and group.incident else {}
            opened = replace(group, episode=event.episode, incident=event.incident, key=event.group_key)
            return replace(opened, earlier={**group.earlier, **before}) if before else opened
        case AlertFired() | AlertRefired():
            return _placed(group, event.alert, event.episode)
        case AlertResolved():
            return _ended(_placed(group, event.alert, None), event.episode, event.received_at)
        case AlertExpired():
            return _ended(_placed(group, event.alert, None), event.episode, event.heard_until)
        case belonging.AlertLeft():
            return _placed(group, event.alert, None)
        case belonging.AlertJoined():
            return _joined(_placed(group, event.alert, event.episode), event)
        case belonging.Moved() if event.episode == group.episode:
            return replace(group, incident=event.incident)
        case belonging.Moved():
            return replace(group, earlier={**group.earlier, event.episode: event.incident})
        case AlertSuppressed():
            why = Suppression(event.reason, event.rule, event.until, event.by, event.by_group)
            return replace(_hushed(group, event.alert, why), key=event.group_key)
        case AlertSeverityChanged():
            return group
        case AlertFlapping():
            flaps = event.changes, event.within
            return replace(group, flapping=_kept(group.flapping).set(event.alert, flaps))
        case answers.AlertAcknowledged():
            return replace(group, acknowledged=_kept(group.acknowledged).set(event.alert, event.episode))
        case answers.AlertUnacknowledged():
            return replace(group, acknowledged=_without(group.acknowledged, event.alert))
        case answers.AlertClosed():
            return _ended(_placed(group, event.alert, None), event.episode, event.closed_at)
        case AlertReleased():
            return _placed(group, event.alert, event.episode)
        case _:
            assert_never(event)


def _ended(group: Group, episode: int, at: datetime) -> Group:
    return group if group.is_open or episode != group.episode else replace(group, ended_at=at)


def _placed(group: Group, alert: str, episode: int | None) -> Group:
    """The group with an alert firing in an episode and spoken of, or (None) not firing."""
    firing, counts, earlier = _without(group.firing, alert), group.counts, group.earlier
    before = group.firing.get(alert)
    if before is not None:
        counts = _counted(counts, before, -1)
        if before in earlier and before not in counts:
            earlier = {number: incident for number, incident in earlier.items() if number != before}
    if episode is not None:
        firing = firing.set(alert, episode)
        counts = _counted(counts, episode, 1)
    hushed = group.hushed
    if before is not None and alert in group.suppressed:
        hushed = _counted(hushed, before, -1)
    suppressed = _without(group.suppressed, alert)
    taken = group.acknowledged if episode is not None else _without(group.acknowledged, alert)
    flaps = _without(group.flapping, alert)
    same = (group.key, group.ended_at)
    return Group(group.episode, group.incident, firing, counts, suppressed, *same, earlier, taken, flaps, hushed)


def _joined(group: Group, event: belonging.AlertJoined) -> Group:
    joined = _hushed(group, event.alert, event.suppressed) if event.suppressed else group
    if event.acknowledged:
        joined = replace(joined, acknowledged=_kept(joined.acknowledged).set(event.alert, event.episode))
    return joined


def _hushed(group: Group, alert: str, why: Suppression) -> Group:
    """The group with nothing said of a firing alert."""
    known = _kept(group.suppressed)
    hushed = group.hushed if alert in known else _counted(group.hushed, group.firing[alert], 1)
    return replace(group, suppressed=known.set(alert, why), hushed=hushed)


def _counted(counts: Mapping[int, int], episode: int, by: int) -> Mapping[int, int]:
    """The counts of episodes with that of one changed; what is none is left out."""
    changed = {**counts, episode: counts.get(episode, 0) + by}
    return {number: count for number, count in changed.items() if count}


def _without(alerts: Mapping[str, V], alert: str) -> Map[str, V]:
    kept = _kept(alerts)
    return kept.delete(alert) if alert in kept else kept


def _kept(alerts: Mapping[str, V]) -> Map[str, V]:
    """As a persistent map: a changed one shares the rest with the one before, so that a change costs the same whether
    one alert fires or 100,000. It has no order.
    """
    return alerts if isinstance(alerts, Map) else Map(alerts)
