"""The shape of a configuration file, version 1: what editors check by JSON Schema and `config_files` reads.

Models are strict and refuse unknown keys. A reference (`Ref`) is checked while validating, against the names that
all files together define. Docstrings and descriptions become the published schema `config_schema.json`.
"""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from schemas.config_correlation import CorrelationPart
from schemas.config_heartbeats import HeartbeatPart, not_ours
from schemas.config_routes import InhibitionPart, RootPart
from schemas.config_types import (
    EMAIL_PATTERN,
    ONE_LINE_PATTERN,
    Delay,
    Hash,
    KnownNames,
    Name,
    Part,
    Path,
    PolicyRef,
    Said,
    ServiceRef,
    TeamRef,
    Url,
    UserRef,
    nearest,
    nothing_is_empty,
    wrong,
)
from schemas.intervals import IntervalPart
from schemas.sources import SOURCES
from schemas.windows import WindowPart

Email = Annotated[str, Field(pattern=EMAIL_PATTERN)]


class UserPart(Part):
    """A person who can be paged."""

    name: Annotated[str, Field(max_length=200, pattern=ONE_LINE_PATTERN)] = Field(
        "", description="how the person is called"
    )
    email: Email | None = Field(None, description="where mails reach them")


class MemberPart(Part):
    """A user's role in a team."""

    user: UserRef
    role: Name = Field(description="e.g. primary, secondary, lead; escalation steps name it")


class TeamPart(Part):
    """People who own services."""

    email: Email | None = Field(
        None,
        description="the team's channel: a shared mailbox or a mailing list, or the address of a chat channel; "
        "it stays in the log, so no person's address",
    )
    members: list[MemberPart] = Field(default_factory=list, max_length=1000)

    @model_validator(mode="after")
    def _once(self) -> "TeamPart":
        pairs = [(member.user, member.role) for member in self.members]
        twice = next((pair for pair in pairs if pairs.count(pair) > 1), None)
        if twice:
            wrong(f"`{twice[0]}` is listed twice as {twice[1]}", "Remove one of the two lines")
        return self


LONGEST_DESCRIPTION = 1000
"""Characters that say what a service is."""


class ServicePart(Part):
    """Something that alerts are about."""

    description: (
        Annotated[str, Field(min_length=1, max_length=LONGEST_DESCRIPTION, pattern=ONE_LINE_PATTERN)] | None
    ) = Field(None, description="what it is, in one line; it stays in the log, so write nothing about people")
    team: TeamRef = Field(description="the team that owns it")
    policy: PolicyRef = Field(description="the escalation policy that pages for it")
    environment: Name | None = Field(None, description="where it runs, e.g. production")
    tier: int | None = Field(None, ge=1, le=9, description="how much depends on it; 1: the most")
    dependencies: list[ServiceRef] = Field(
        default_factory=list, max_length=100, description="services that it cannot work without; cycles are allowed"
    )
    links: dict[Name, Url] = Field(
        default_factory=dict, max_length=20, description="pages about it by name: dashboard, logs, runbook"
    )


class TargetPart(Part):
    """Whom a step reaches: a user, everyone with a role in a team, or, without a role, the team's channel."""

    user: UserRef | None = None
    team: TeamRef | None = None
    role: Name | None = None

    @model_validator(mode="after")
    def _one_of_three(self, info: ValidationInfo) -> "TargetPart":
        if (self.user is not None) == (self.team is not None) or (self.user is not None and self.role is not None):
            wrong(
                "A target is a user, a team and a role, or a team alone: its channel",
                "Write {user: ada}, {team: platform, role: primary} or {team: platform}",
            )
        known = info.context
        if self.team and not self.role and isinstance(known, KnownNames) and self.team not in known.channels:
            wrong(
                f"A target without a `role` is the team's channel, and team `{self.team}` has no `email`",
                f"Give the team an `email`, or write {{team: {self.team}, role: primary}}",
            )
        return self


class StepPart(Part):
    """One step of an escalation policy."""

    targets: list[TargetPart] = Field(min_length=1, max_length=100)
    escalate_after: Delay = Field(description="how long to wait for an acknowledgement before the next step")


class PolicyPart(Part):
    """Who is paged, in which order, until somebody answers."""

    loops: int = Field(1, ge=1, le=100, description="how often the whole list of steps runs")
    stale_after: Delay = Field(
        600.0, description="a step that runs later than this says so, and the steps after it wait from then"
    )
    steps: list[StepPart] = Field(min_length=1, max_length=100)


def _source(value: object) -> object:
    if isinstance(value, str) and value not in SOURCES:
        close = nearest(value, SOURCES)
        wrong(f"There is no source `{value}`", f"Did you mean `{close}`?" if close else f"Known: {', '.join(SOURCES)}")
    return value


class LimitsPart(Part):
    """What one webhook of an integration may hold; never more than what all may send."""

    max_alerts: int | None = Field(None, ge=1, le=1000, description="alerts in one body")
    max_body_bytes: int | None = Field(None, ge=1, le=2**30, description="bytes of one body")


Meaning = TypeVar("Meaning", bound=str)
Meanings = Annotated[dict[Said, Meaning], Field(max_length=100)]


class MappingPart(Part):
    """Where the bodies of a generic integration have the fields of an alert: dotted paths such as `check.id`."""

    fingerprint: Path | None = Field(None, description="what identifies the alert, from firing to resolved")
    status: Path | None = None
    status_values: Meanings[Literal["firing", "resolved"]] = Field(
        default_factory=dict, description="what the words of `status` mean, where they are not known anyway"
    )
    severity: Path | None = None
    severity_values: Meanings[Literal["critical", "high", "medium", "low", "info"]] = Field(
        default_factory=dict, description="what the words of `severity` mean, where they are not known anyway"
    )
    title: Path | None = Field(None, description="the alert's name: the label `alertname`")
    service: Path | None = Field(None, description="the label `service`")
    summary: Path | None = Field(None, description="a sentence for people")
    time: Path | None = Field(None, description="when it began or ended, RFC 3339")
    labels: Path | None = Field(None, description="an object of more labels")


class IntegrationPart(Part):
    """A monitoring system that may post alerts."""

    source: Annotated[str, BeforeValidator(_source), WithJsonSchema({"type": "string", "enum": sorted(SOURCES)})] = (
        Field(description="the format it speaks")
    )
    token_hashes: list[Hash] | None = Field(
        None,
        max_length=10,
        description="of the bearer tokens it may present, see `tocsin token`; absent: those it has stay",
    )
    shards: int = Field(1, ge=1, le=1000, description="over how many partitions its alerts spread")
    team: TeamRef | None = Field(None, description="who is told of what of it cannot be decided")
    limits: LimitsPart = Field(default_factory=LimitsPart, description="of one webhook")
    expires_after: Delay | None = Field(
        None, description="an alert that is not reported for this long ends by itself; absent: never"
    )
    mapping: MappingPart | None = Field(None, description="of source generic: where an alert's fields are")

    @model_validator(mode="after")
    def _only_generic(self) -> "IntegrationPart":
        if self.mapping is not None and self.source != "generic":
            wrong(f"Source {self.source} has a format of its own and no `mapping`", "Remove `mapping`")
        return self


class ApiKeyPart(Part):
    """A key for the API."""

    role: Literal["viewer", "responder", "admin"]
    hash: Hash = Field(description="of the key; see `tocsin token`")
    user: UserRef | None = Field(None, description="the person that acts with it")


def _section(description: str) -> Any:
    return Field(default_factory=dict, description=description, json_schema_extra={"additionalProperties": False})


_Empty = BeforeValidator(nothing_is_empty)


class ConfigFile(Part):
    """A file of Tocsin's configuration. Every section may stand in any file, each object in one."""

    version: Literal[1] = Field(description="the version of this format")
    users: Annotated[dict[Name, UserPart], _Empty] = _section("people, by name")
    teams: Annotated[dict[Name, TeamPart], _Empty] = _section("teams, by name")
    services: Annotated[dict[Name, ServicePart], _Empty] = _section("services, by name")
    escalation_policies: Annotated[dict[Name, PolicyPart], _Empty] = _section("escalation policies, by name")
    route: RootPart | None = Field(None, description="the routing tree, in one of the files")
    inhibition_rules: Annotated[dict[Name, InhibitionPart], _Empty] = _section("inhibition rules, by name")
    correlation_rules: Annotated[dict[Name, CorrelationPart], _Empty] = _section("correlation rules, by name")
    time_intervals: Annotated[dict[Name, IntervalPart], _Empty] = _section(
        "stretches of the calendar, by name; Alertmanager's format"
    )
    maintenance_windows: Annotated[dict[Name, WindowPart], _Empty] = _section("planned work, by name")
    integrations: Annotated[dict[Name, IntegrationPart], _Empty, AfterValidator(not_ours)] = _section(
        "monitoring systems, by name"
    )
    heartbeats: Annotated[dict[Name, HeartbeatPart], _Empty] = _section("what has to ping, by name")
    api_keys: Annotated[dict[Name, ApiKeyPart], _Empty] = _section("keys for the API, by name")


def config_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a configuration file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ConfigFile.model_json_schema()}


def config_schema_text() -> str:
    """The contents of `schemas/config_schema.json`."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"
