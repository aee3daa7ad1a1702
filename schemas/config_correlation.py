"""Correlation rules, as configuration files have them: read into the domain's objects and written back."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from domain.correlating import CorrelationRule
from schemas.config_routes import each_once
from schemas.config_types import Delay, GroupLabel, Matchers, Part, wrong
from schemas.durations import format_duration
from schemas.matchers import format_matcher

LONGEST = 24 * 3600.0
"""Seconds that an incident may be open before an alert joins it."""


def _short(value: float) -> float:
    if value > LONGEST:
        wrong("This is longer than a day", "Write 1d or less: what begins so much later is something else")
    return value


class CorrelationPart(Part):
    """An alert that would open an incident joins one that is open already, and nobody is paged a second time."""

    matchers: list[Matchers] = Field(default_factory=list, description="all have to match the alert that joins")
    incident_matchers: list[Matchers] = Field(
        default_factory=list, description="all have to match the alert that opened the incident"
    )
    within: Annotated[Delay, AfterValidator(_short)] = Field(description="how long after the incident was opened")
    over: Literal["dependency", "same"] = Field(
        "dependency", description="dependency: one's service depends on the other's; same: only `same` counts"
    )
    direction: Literal["upstream", "downstream", "both"] = Field(
        "upstream",
        description="upstream: the alert's service depends on the incident's; downstream: the other way round",
    )
    depth: int = Field(2, ge=1, le=5, description="steps through the dependencies of the catalogue, at most")
    same: Annotated[list[GroupLabel], Field(max_length=100), AfterValidator(each_once)] = Field(
        default_factory=list, description="labels in which the alert agrees with the one that opened the incident"
    )

    @model_validator(mode="after")
    def _over(self) -> "CorrelationPart":
        if self.over == "same" and not self.same:
            wrong("A rule over `same` has to say what is the same", "Add e.g. same: ['@environment', cluster]")
        if self.over == "same" and self.model_fields_set & {"direction", "depth"}:
            wrong("`direction` and `depth` lead through dependencies", "Remove them, or write over: dependency")
        return self


def correlation_of(name: str, part: CorrelationPart) -> CorrelationRule:
    """The domain's object."""
    return CorrelationRule(
        id=name,
        within=part.within,
        matchers=tuple(matcher for matchers in part.matchers for matcher in matchers),
        incident_matchers=tuple(matcher for matchers in part.incident_matchers for matcher in matchers),
        over=part.over,
        direction=part.direction,
        depth=part.depth,
        same=tuple(part.same),
    )


def written_correlation(rule: CorrelationRule) -> dict[str, Any]:
    """What stands in a file."""
    over = {"direction": rule.direction, "depth": rule.depth} if rule.over == "dependency" else {}
    written = {
        "matchers": [format_matcher(matcher) for matcher in rule.matchers] or None,
        "incident_matchers": [format_matcher(matcher) for matcher in rule.incident_matchers] or None,
        "within": format_duration(rule.within),
        "over": rule.over,
        **over,
        "same": list(rule.same) or None,
    }
    return {name: value for name, value in written.items() if value is not None}
