"""The words by which incidents are asked for: canonical ones, and every alias of contract page 00."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar, get_args

from domain.severity import ALIASES as SEVERITY_ALIASES
from gateway.refusals import Refusal
from schemas.api import StatusWord

W = TypeVar("W", bound=str)

STATUS_ALIASES: Mapping[str, StatusWord] = MappingProxyType(
    {
        **{word: word for word in get_args(StatusWord)},
        "open": "triggered",
        "firing": "triggered",
        "reopened": "triggered",
        "to_do": "triggered",
        "inprogress": "in_progress",
        "investigating": "in_progress",
        "identified": "in_progress",
        "mitigated": "in_progress",
        "monitoring": "in_progress",
        "done": "resolved",
    }
)
"""Source: contract page 00, section C. `investigating` is what two of three systems mean by it: somebody is at it."""


def statuses(words: Iterable[str]) -> tuple[str, ...]:
    """The statuses that `words` mean, repeated or separated by commas. Raises Refusal (422)."""
    return _read("status", words, STATUS_ALIASES, get_args(StatusWord))


def severities(words: Iterable[str]) -> tuple[str, ...]:
    """The severities that `words` mean, repeated or separated by commas. Raises Refusal (422)."""
    canonical = tuple(dict.fromkeys(word.value for word in SEVERITY_ALIASES.values()))
    return _read("severity", words, {alias: word.value for alias, word in SEVERITY_ALIASES.items()}, canonical)


def _read(field: str, words: Iterable[str], known: Mapping[str, W], canonical: Iterable[str]) -> tuple[str, ...]:
    said = [word.strip().lower().replace("-", "_").replace(" ", "_") for part in words for word in part.split(",")]
    unknown = [word for word in said if word and word not in known]
    if unknown:
        raise Refusal(
            "bad_request_fields",
            f"{field}: one of its words is not known.",
            field=field,
            remedy=f"Known: {', '.join(canonical)}.",
        )
    return tuple(dict.fromkeys(known[word] for word in said if word))
