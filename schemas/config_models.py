"""The shape of a configuration file, version 1: what editors check by JSON Schema and `config_files` reads.

Models are strict and refuse unknown keys. A reference (`Ref`) is checked while validating, against the names that
all files together define. Docstrings and descriptions become the published schema `config_schema.json`.
"""

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from domain.routing import Matcher
from schemas import durations
from schemas.matchers import BadMatcher, parse_matchers
from schemas.sources import SOURCES

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
LABEL_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
HASH_PATTERN = r"^sha256:[0-9a-fA-F]{64}$"
ONE_LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*$"
PATH_PATTERN = r"^[^.\x00-\x1f\x7f]{1,64}(\.[^.\x00-\x1f\x7f]{1,64}){0,9}$"
EMAIL_PATTERN = r"^[^@\s\x00-\x1f\x7f-\x9f]{1,64}@[^@\s\x00-\x1f\x7f-\x9f]{1,190}$"


def wrong(problem: str, remedy: str) -> NoReturn:
    """Refuse a value with a sentence and its remedy."""
    raise PydanticCustomError("tocsin", "{problem}", {"problem": problem, "remedy": remedy})


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), None)


class KnownNames:
    """The names that references may use, by what a reference calls the kind; the context of a validation.

    Looking for the nearest name is slow, so only `suggestions` references get one, and only among `most` names.
    """

    def __init__(self, names: Mapping[str, Collection[str]], suggestions: int = 50, most: int = 2000) -> None:
        self.names = names
        self.suggestions = suggestions
        self.most = most

    def suggest(self, kind: str, name: str) -> str | None:
        """The name of `kind` that was probably meant."""
        known = self.names[kind]
        if not self.suggestions or len(known) > self.most:
            return None
        self.suggestions -= 1
        return nearest(name, known)


class Ref:
    """The name of an object of `kind`. Validation checks it when its context is `KnownNames`."""

    def __init__(self, kind: str, article: str = "a") -> None:
        self.kind = kind
        self.article = article

    def __call__(self, name: str, info: ValidationInfo) -> str:
        """`name` when it is known."""
        known = info.context
        if not isinstance(known, KnownNames) or name in known.names[self.kind]:
            return name
        close = known.suggest(self.kind, name)
        wrong(
            f"There is no {self.kind} `{name}`",
            f"Did you mean `{close}`?" if close else f"Define {self.article} {self.kind} of this name, or correct it",
        )


def _duration(value: object) -> float:
    if isinstance(value, int):
        wrong(f"{value} is a number without a unit", f"Write {value}s for seconds, {value}m for minutes")
    text = value if isinstance(value, str) else getattr(value, "text", None)
    if text is None:
        wrong("A duration is wanted here", "Write 30s, 5m or 1h30m")
    try:
        return durations.parse_duration(text)
    except ValueError as error:
        wrong(f"`{text}` is not usable: {error}", "Write 30s, 5m or 1h30m")


def _delay(value: float) -> float:
    if value < 1:
        wrong("This has to be at least a second", "Write 1s or more, e.g. 5m")
    return value


def _matchers(value: object) -> tuple[Matcher, ...]:
    if not isinstance(value, str):
        wrong("A matcher is a text", "Write the whole matcher in single quotes: 'severity=\"critical\"'")
    try:
        return parse_matchers(value)
    except BadMatcher as error:
        wrong(error.problem, error.remedy)


def _label(value: str) -> str:
    if value == "...":
        wrong("Grouping by all labels (`...`) is not supported", "Name the labels to group by")
    return value


def _nothing_is_empty(value: object) -> object:
    return {} if value is None else value


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
UserRef = Annotated[Name, AfterValidator(Ref("user"))]
TeamRef = Annotated[Name, AfterValidator(Ref("team"))]
PolicyRef = Annotated[Name, AfterValidator(Ref("escalation policy", "an"))]
ServiceRef = Annotated[Name, AfterValidator(Ref("service"))]
Label = Annotated[str, Field(pattern=LABEL_PATTERN), BeforeValidator(_label)]
Hash = Annotated[str, Field(pattern=HASH_PATTERN)]
_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": durations.PATTERN, "examples": ["30s", "1h30m"]})
Duration = Annotated[float, BeforeValidator(_duration), _DURATION_SCHEMA]
Delay = Annotated[float, BeforeValidator(_duration), AfterValidator(_delay), _DURATION_SCHEMA]
Matchers = Annotated[
    tuple[Matcher, ...],
    PlainValidator(_matchers),
    WithJsonSchema({"type": "string", "examples": ['severity="critical"', 'env=~"prod|stage"']}),
]


class Part(BaseModel):
    """What all parts of the format have in common: strict types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class UserPart(Part):
    """A person who can be paged."""

    name: Annotated[str, Field(max_length=200, pattern=ONE_LINE_PATTERN)] = Field(
        "", description="how the person is called"
    )
    email: Annotated[str, Field(pattern=EMAIL_PATTERN)] | None = Field(None, description="where mails reach them")


class MemberPart(Part):
    """A user's role in a team."""

    user: UserRef
    role: Name = Field(description="e.g. primary, secondary, lead; escalation steps name it")


class TeamPart(Part):
    """People who own services."""

    members: list[MemberPart] = Field(default_factory=list, max_length=1000)

    @model_validator(mode="after")
    def _once(self) -> "TeamPart":
        pairs = [(member.user, member.role) for member in self.members]
        twice = next((pair for pair in pairs if pairs.count(pair) > 1), None)
        if twice:
            wrong(f"`{twice[0]}` is listed twice as {twice[1]}", "Remove one of the two lines")
        return self


class ServicePart(Part):
    """Something that alerts are about."""

    team: TeamRef = Field(description="the team that owns it")
    policy: PolicyRef = Field(description="the escalation policy that pages for it")


class TargetPart(Part):
    """Whom a step reaches: either a user, or everyone with a role in a team."""

    user: UserRef | None = None
    team: TeamRef | None = None
    role: Name | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "TargetPart":
        if (self.user is not None) == (self.team is not None) or (self.team is None) != (self.role is None):
            wrong(
                "A target is either a user, or a team and a role",
                "Write {user: ada} or {team: platform, role: primary}",
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


class RoutePart(Part):
    """A node of the routing tree; what it does not say, its parent says."""

    matchers: list[Matchers] = Field(default_factory=list, description="all have to match; Alertmanager's syntax")
    service: ServiceRef | None = None
    team: TeamRef | None = None
    policy: PolicyRef | None = None
    group_by: list[Label] | None = Field(None, description="labels by which alerts share an incident")
    group_wait: Duration | None = Field(None, description="how long the first page waits for more alerts")
    routes: list["RoutePart"] = Field(default_factory=list, description="children; the first that matches wins")


class RootPart(RoutePart):
    """The root of the routing tree: it takes every alert, so it names a team and a policy and matches nothing."""

    team: TeamRef
    policy: PolicyRef

    @model_validator(mode="after")
    def _matches_all(self) -> "RootPart":
        if self.matchers:
            wrong("The root route takes every alert and has no matchers", "Move the matchers to a route under `routes`")
        return self


def _source(value: object) -> object:
    if isinstance(value, str) and value not in SOURCES:
        close = nearest(value, SOURCES)
        wrong(f"There is no source `{value}`", f"Did you mean `{close}`?" if close else f"Known: {', '.join(SOURCES)}")
    return value


class LimitsPart(Part):
    """What one webhook of an integration may hold; never more than what all may send."""

    max_alerts: int | None = Field(None, ge=1, le=1000, description="alerts in one body")
    max_body_bytes: int | None = Field(None, ge=1, le=2**30, description="bytes of one body")


Path = Annotated[str, Field(pattern=PATH_PATTERN)]
Said = Annotated[str, Field(max_length=200, pattern=ONE_LINE_PATTERN)]
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


_Empty = BeforeValidator(_nothing_is_empty)


class ConfigFile(Part):
    """A file of Tocsin's configuration. Every section may stand in any file, each object in one."""

    version: Literal[1] = Field(description="the version of this format")
    users: Annotated[dict[Name, UserPart], _Empty] = _section("people, by name")
    teams: Annotated[dict[Name, TeamPart], _Empty] = _section("teams, by name")
    services: Annotated[dict[Name, ServicePart], _Empty] = _section("services, by name")
    escalation_policies: Annotated[dict[Name, PolicyPart], _Empty] = _section("escalation policies, by name")
    route: RootPart | None = Field(None, description="the routing tree, in one of the files")
    integrations: Annotated[dict[Name, IntegrationPart], _Empty] = _section("monitoring systems, by name")
    api_keys: Annotated[dict[Name, ApiKeyPart], _Empty] = _section("keys for the API, by name")


def config_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a configuration file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ConfigFile.model_json_schema()}


def config_schema_text() -> str:
    """The contents of `schemas/config_schema.json`."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"
