"""Alertmanager's API v2 as far as Tocsin speaks it: silences as amtool writes and reads them, and the status.

Names are Alertmanager's; what it does not know of is ignored, so that what was exported can be imported. Source:
Alertmanager's api/v2/openapi.yaml.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from domain.matching import Matcher, MatchOperator
from domain.silences import Silence
from schemas.matchers import BadMatcher, make_matcher

MATCHERS = 100
"""Of one silence, at most."""
FIRST_YEAR, LAST_YEAR = 1970, 9000

OPERATORS: Mapping[tuple[bool, bool], MatchOperator] = MappingProxyType(
    {
        (False, True): MatchOperator.EQUAL,
        (False, False): MatchOperator.NOT_EQUAL,
        (True, True): MatchOperator.MATCHES,
        (True, False): MatchOperator.NOT_MATCHES,
    }
)
"""By `isRegex` and `isEqual`."""
FLAGS = MappingProxyType({operator: flags for flags, operator in OPERATORS.items()})

SilenceStateWord = Literal["expired", "active", "pending"]


def _in_utc(at: datetime) -> datetime:
    """The time in UTC. Raises PydanticCustomError for a year that arithmetic with times could leave."""
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise PydanticCustomError("year", "The year must be from 1970 to 9000")
    return at.astimezone(UTC)


Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Spoken(BaseModel):
    """The base of these models: written in camelCase; what comes in has the right types and may have more members."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class SilenceMatcher(Spoken):
    """A condition on a label. `isRegex` and `isEqual` are `=~` (both), `!~`, `=` and `!=` (neither)."""

    name: Annotated[str, Field(min_length=1, max_length=1000)]
    value: Annotated[str, Field(max_length=1000)]
    is_regex: bool
    is_equal: bool = True


class Written(Spoken):
    """What a person says of a silence."""

    matchers: Annotated[
        tuple[SilenceMatcher, ...], Field(min_length=1, max_length=MATCHERS, description="all have to match")
    ]
    starts_at: Annotated[Time, Field(description="from then; what has passed becomes now")]
    ends_at: Annotated[Time, Field(description="exclusive")]
    created_by: Annotated[str, Field(max_length=200, description="can be erased, as can the comment")]
    comment: Annotated[str, Field(max_length=10_000)]


class PostableSilence(Written):
    """A silence to be made, or with `id` to be changed."""

    id: Annotated[str | None, Field(max_length=100, description="the silence to change; absent for a new one")] = None


class SilenceStatus(Spoken):
    """Where a silence stands."""

    state: SilenceStateWord


class GettableSilence(Written):
    """A silence as it is."""

    id: str
    status: SilenceStatus
    updated_at: datetime


class SilenceSet(Spoken):
    """A silence is set. Its id is a new one when what was there could not be changed."""

    silence_id: Annotated[str, Field(alias="silenceID")]
    warnings: Annotated[
        tuple[str, ...], Field(description="critical incidents that it keeps quiet; Alertmanager has no such member")
    ] = ()


class ClusterStatus(Spoken):
    """Gateways do not talk to each other: they share a database."""

    status: Literal["disabled"] = "disabled"


class VersionInfo(Spoken):
    """Which version answers; of how it was built there is nothing to say."""

    version: str
    revision: str = ""
    branch: str = ""
    build_user: str = ""
    build_date: str = ""
    go_version: str = ""


class AlertmanagerConfig(Spoken):
    """Where the configuration is, as a comment of YAML."""

    original: str


class AlertmanagerStatus(Spoken):
    """What Alertmanager's clients ask first."""

    cluster: ClusterStatus
    version_info: VersionInfo
    config: AlertmanagerConfig
    uptime: Annotated[datetime, Field(description="when this gateway started")]


def read_silence(written: PostableSilence, now: datetime) -> Silence:
    """The silence that is asked for at `now` (UTC); its id is empty for a new one. Raises BadMatcher.

    One whose matchers an alert without any label meets would silence everything: Alertmanager refuses it too.
    """
    matchers = tuple(_read(index, matcher) for index, matcher in enumerate(written.matchers))
    if all(matcher.matches({}) for matcher in matchers):
        raise BadMatcher(
            "Every matcher matches the empty string, so alerts without these labels are silenced as well",
            "Add one that wants a label to be there",
        )
    return Silence(
        id=written.id or "",
        matchers=matchers,
        starts_at=written.starts_at,
        ends_at=written.ends_at,
        updated_at=now,
        author=written.created_by,
        comment=written.comment,
    )


def _read(index: int, written: SilenceMatcher) -> Matcher:
    try:
        return make_matcher(written.name, OPERATORS[written.is_regex, written.is_equal], written.value)
    except BadMatcher as error:
        raise BadMatcher(f"Number {index + 1}: {error.problem}", error.remedy) from None


def write_silence(silence: Silence, now: datetime) -> GettableSilence:
    """A silence as it stands at `now` (UTC). Author and comment that were erased are empty."""
    return GettableSilence.model_construct(
        id=silence.id,
        matchers=tuple(write_matcher(matcher) for matcher in silence.matchers),
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        updated_at=silence.updated_at,
        created_by=silence.author,
        comment=silence.comment,
        status=SilenceStatus(state=silence.state_at(now).value),
    )


def write_matcher(matcher: Matcher) -> SilenceMatcher:
    """A matcher as a silence has it."""
    is_regex, is_equal = FLAGS[matcher.operator]
    return SilenceMatcher.model_construct(name=matcher.label, value=matcher.value, is_regex=is_regex, is_equal=is_equal)
