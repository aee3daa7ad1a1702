"""The routing tree and the inhibition rules, as configuration files have them.

Field semantics are Alertmanager's where it has the field: <route>, <inhibit_rule>.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from domain.alerts import FLIPS
from schemas.config_types import (
    Delay,
    Duration,
    Flag,
    GroupLabel,
    HttpsUrl,
    IntervalRef,
    Matchers,
    Part,
    PolicyRef,
    ServiceRef,
    TeamRef,
    wrong,
)

SeverityWord = Literal["critical", "high", "medium", "low", "info"]


def each_once(names: list[str]) -> list[str]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        wrong(f"`{twice}` is listed twice", "Remove one of the two")
    return names


def _all_or_some(names: list[str]) -> list[str]:
    if "..." in names and len(names) > 1:
        wrong("`...` groups by every label and stands alone", "Remove `...`, or the other labels")
    return names


GroupBy = Annotated[list[GroupLabel], Field(max_length=100), AfterValidator(each_once), AfterValidator(_all_or_some)]


class RoutePart(Part):
    """A node of the routing tree; what it does not say, its parent says."""

    matchers: list[Matchers] = Field(default_factory=list, description="all have to match; Alertmanager's syntax")
    continues: Flag = Field(False, alias="continue", description="whether its siblings after it are tried as well")
    service: ServiceRef | None = None
    team: TeamRef | None = None
    policy: PolicyRef | None = None
    group_by: GroupBy | None = Field(
        None, description="labels by which alerts share an incident; [...]: by all of them"
    )
    group_wait: Duration | None = Field(None, description="how long the first page waits for more alerts")
    group_interval: Delay | None = Field(None, description="how long news of a group that was told of wait")
    repeat_interval: Delay | None = Field(None, description="after how long an open incident is told of again")
    mute_time_intervals: list[IntervalRef] = Field(
        default_factory=list, description="during these nobody is told; of this route alone, not of its children"
    )
    active_time_intervals: list[IntervalRef] = Field(
        default_factory=list, description="outside of these nobody is told; of this route alone, not of its children"
    )
    severity: SeverityWord | None = Field(None, description="instead of what the alert says")
    runbook: HttpsUrl | None = Field(None, description="what to do; shown in messages")
    ack: Literal["allowed", "refused"] | None = Field(None, description="whether people may acknowledge")
    suppress_for: Duration | None = Field(
        None, description="how long after its end a group that fires again says nothing; 0s: it does"
    )
    reopen_within: Duration | None = Field(
        None, description="how long after its end a group that fires again reopens its incident; 0s: it opens another"
    )
    flap_threshold: Annotated[int, Field(ge=0, le=FLIPS - 1)] | None = Field(
        None, description="changes in `flap_window` from which an alert flaps; 0: never"
    )
    flap_window: Delay | None = Field(None, description="in which changes are counted; 10m if nothing is said")
    flap_quiet: Delay | None = Field(None, description="how long a flapping alert is to be steady; 10m likewise")
    routes: list["RoutePart"] = Field(
        default_factory=list, description="children; the first that matches wins, unless it says `continue`"
    )


class InhibitionPart(Part):
    """While an alert that matches the source fires, alerts that match the target are not spoken of."""

    source_matchers: list[Matchers] = Field(min_length=1, description="all have to match the alert that keeps quiet")
    target_matchers: list[Matchers] = Field(min_length=1, description="all have to match the alert that is kept quiet")
    equal: Annotated[list[GroupLabel], Field(max_length=100), AfterValidator(each_once)] = Field(
        default_factory=list, description="labels in which the two have to agree"
    )


class RootPart(RoutePart):
    """The root of the routing tree: it takes every alert, so it names a team and a policy and matches nothing."""

    team: TeamRef
    policy: PolicyRef

    @model_validator(mode="after")
    def _matches_all(self) -> "RootPart":
        if self.matchers:
            wrong("The root route takes every alert and has no matchers", "Move the matchers to a route under `routes`")
        if self.continues:
            wrong("The root route has no siblings, so `continue` means nothing", "Remove it, or move it to a child")
        if self.mute_time_intervals or self.active_time_intervals:
            wrong("The root route speaks at all times, as in Alertmanager", "Move the time intervals to a child")
        return self
