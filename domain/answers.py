"""What people say of single alerts that fire: somebody has one, gives it back, or says that it is over.

Facts of the alert's group, like everything else that happens to it. Read next: `alert_commands`, which decides them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from domain.alerts import PriorAlert


@dataclass(frozen=True, slots=True)
class AlertAcknowledged:
    """Somebody has a firing alert, until it ends."""

    type: ClassVar[str] = "group.alert_acknowledged.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    prior: PriorAlert


@dataclass(frozen=True, slots=True)
class AlertUnacknowledged:
    """Whoever had a firing alert gave it back."""

    type: ClassVar[str] = "group.alert_unacknowledged.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    prior: PriorAlert


@dataclass(frozen=True, slots=True)
class AlertClosed:
    """A person says, at `closed_at`, that a firing alert is over. What its source still reports of this firing, with a
    source time that is not after `prior.source_time`, does not fire it again.
    """

    type: ClassVar[str] = "group.alert_closed.v1"
    alert: str
    integration: str
    fingerprint: str
    episode: int
    incident: str
    closed_at: datetime
    prior: PriorAlert
