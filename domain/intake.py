"""What happened to the alerts themselves on their way in, when something happened: one stream per partition."""

from dataclasses import dataclass, replace
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class AlertsLost:
    """Records were deleted from the topic before they were folded (its retention was shorter than the outage).

    `first` and `last` are the offsets of the first and last record that is gone.
    """

    type: ClassVar[str] = "intake.alerts_lost.v1"
    cluster: str
    topic: str
    partition: int
    first: int
    last: int


IntakeEvent = AlertsLost


@dataclass(frozen=True, slots=True)
class Intake:
    """A partition as its events left it: how many records it has lost."""

    lost: int = 0


def evolve(intake: Intake, event: IntakeEvent) -> Intake:
    """The intake after `event`."""
    return replace(intake, lost=intake.lost + event.last - event.first + 1)
