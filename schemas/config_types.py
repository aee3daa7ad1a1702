"""The words that configuration files are made of: names, references, durations, matchers, and how each is refused.

What `config_models` and the sections in modules of their own (`config_routes`) build on.
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Annotated, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from domain.facts import ANNOTATION, FACTS
from domain.matching import Matcher
from schemas import durations
from schemas.matchers import BadMatcher, parse_matchers

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
LABEL_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]{1,128}$"
HASH_PATTERN = r"^sha256:[0-9a-fA-F]{64}$"
ONE_LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*$"
PATH_PATTERN = r"^[^.\x00-\x1f\x7f]{1,64}(\.[^.\x00-\x1f\x7f]{1,64}){0,9}$"
URL_PATTERN = r"^https?://[^\s\x00-\x1f\x7f-\x9f@\\/?#]{1,255}([/?#][^\s\x00-\x1f\x7f-\x9f]{0,1700})?$"
HTTPS_PATTERN = URL_PATTERN.replace("https?", "https")
EMAIL_PATTERN = r"^[^@\s\x00-\x1f\x7f-\x9f]{1,64}@[^@\s\x00-\x1f\x7f-\x9f]{1,190}$"


def wrong(problem: str, remedy: str) -> NoReturn:
    """Refuse a value with a sentence and its remedy."""
    raise PydanticCustomError("tocsin", "{problem}", {"problem": problem, "remedy": remedy})


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), None)


class KnownNames:
    """The names that references may use, by what a reference calls the kind; the context of a validation.

    `channels` are the teams that have one of their own. Looking for the nearest name is slow, so only `suggestions`
    references get one, and only among `most` names.
    """

    def __init__(
        self,
        names: Mapping[str, Collection[str]],
        suggestions: int = 50,
        most: int = 2000,
        channels: Collection[str] = (),
    ) -> None:
        self.names = names
        self.channels = channels
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


def _group_label(name: str) -> str:
    if name.startswith(ANNOTATION):
        wrong(
            "Annotations may hold personal data, and a group's key is kept for ever",
            "Group by labels or other facts",
        )
    if name.startswith("@") and name not in FACTS:
        close = nearest(name, FACTS)
        wrong(f"There is no fact `{name}`", f"Did you mean `{close}`?" if close else f"Known: {', '.join(FACTS)}")
    return name


def _flag(value: object) -> object:
    text = getattr(value, "text", value)
    if text not in ("true", "false"):
        wrong("This is neither true nor false", "Write true or false, without quotes")
    return text == "true"


def nothing_is_empty(value: object) -> object:
    return {} if value is None else value


Name = Annotated[str, Field(pattern=NAME_PATTERN)]
UserRef = Annotated[Name, AfterValidator(Ref("user"))]
TeamRef = Annotated[Name, AfterValidator(Ref("team"))]
PolicyRef = Annotated[Name, AfterValidator(Ref("escalation policy", "an"))]
IntervalRef = Annotated[Name, AfterValidator(Ref("time interval"))]
ServiceRef = Annotated[Name, AfterValidator(Ref("service"))]
Label = Annotated[str, Field(pattern=LABEL_PATTERN)]
GroupLabel = Annotated[Label, AfterValidator(_group_label)]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
Url = Annotated[str, Field(pattern=URL_PATTERN)]
HttpsUrl = Annotated[str, Field(pattern=HTTPS_PATTERN)]
Hash = Annotated[str, Field(pattern=HASH_PATTERN)]
_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": durations.PATTERN, "examples": ["30s", "1h30m"]})
Duration = Annotated[float, BeforeValidator(_duration), _DURATION_SCHEMA]
Delay = Annotated[float, BeforeValidator(_duration), AfterValidator(_delay), _DURATION_SCHEMA]
Path = Annotated[str, Field(pattern=PATH_PATTERN)]
Said = Annotated[str, Field(max_length=200, pattern=ONE_LINE_PATTERN)]
Matchers = Annotated[
    tuple[Matcher, ...],
    PlainValidator(_matchers),
    WithJsonSchema({"type": "string", "examples": ['severity="critical"', 'env=~"prod|stage"']}),
]


class Part(BaseModel):
    """What all parts of the format have in common: strict types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
