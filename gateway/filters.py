"""What may be asked for, read from the query: canonical words and every alias of contract page 00, times, labels.

Every function raises Refusal (422), which names the field and says what to write instead.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar, get_args

from domain.severity import ALIASES as SEVERITY_ALIASES
from gateway.refusals import Refusal
from projections.references import Key, incident_key
from schemas.api import StatusWord
from schemas.api_reads import AlertStatusWord

W = TypeVar("W", bound=str)

LONGEST = 200
"""Characters of one name, or of one label's name or value."""
MOST = 20
"""Words for one field."""
FIRST_YEAR, LAST_YEAR = 1970, 9000

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

ALERT_STATUS_ALIASES: Mapping[str, AlertStatusWord] = MappingProxyType(
    {**{word: word for word in get_args(AlertStatusWord)}, "active": "firing", "triggered": "firing", "open": "firing"}
)


def statuses(words: Iterable[str]) -> tuple[str, ...]:
    """The statuses of incidents that `words` mean, repeated or separated by commas."""
    return _read("status", words, STATUS_ALIASES, get_args(StatusWord))


def alert_statuses(words: Iterable[str]) -> tuple[str, ...]:
    """The statuses of alerts that `words` mean, repeated or separated by commas."""
    return _read("status", words, ALERT_STATUS_ALIASES, get_args(AlertStatusWord))


def severities(words: Iterable[str]) -> tuple[str, ...]:
    """The severities that `words` mean, repeated or separated by commas."""
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


def names(field: str, words: Iterable[str]) -> tuple[str, ...]:
    """Names that `words` are, repeated or separated by commas; unlike statuses they are as they are written."""
    said = tuple(dict.fromkeys(word.strip() for part in words for word in part.split(",") if word.strip()))
    if len(said) > MOST or any(len(word) > LONGEST or "\0" in word for word in said):
        raise Refusal(
            "bad_request_fields",
            f"{field}: there are too many names, or one of them cannot be a name.",
            field=field,
            remedy=f"At most {MOST} names of at most {LONGEST} characters.",
        )
    return said


def labels(words: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Labels and their values, each written `name=value`; a value may hold anything, an empty one means no label."""
    said = [word.replace("\0", "\ufffd").partition("=") for word in words]  # as sources' texts are kept
    if any(not name or not equals or max(len(name), len(value)) > LONGEST for name, equals, value in said):
        raise Refusal(
            "bad_request_fields",
            "label: one of them is not a name and a value.",
            field="label",
            remedy=f"Write label=name=value, each of at most {LONGEST} characters, and repeat it for more labels.",
        )
    return tuple((name, value) for name, _, value in said)


def moment(field: str, text: str | None) -> datetime | None:
    """A time in RFC 3339, in UTC; None for None. Years that arithmetic with times cannot leave."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None or not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise ValueError("a time with its zone is needed")
        return at.astimezone(UTC)
    except ValueError as error:
        raise Refusal(
            "bad_request_fields",
            f"{field}: this is not a time with its zone.",
            field=field,
            remedy="Write it in RFC 3339, e.g. 2026-03-02T03:00:00Z (a + in a URL is written %2B).",
        ) from error


def incident(ref: str | None) -> Key | None:
    """The incident that a filter names; None for None."""
    if ref is None:
        return None
    key = incident_key(ref)
    if key is None:
        raise Refusal(
            "bad_request_fields",
            "incident: this cannot be an incident.",
            field="incident",
            remedy="Write INC-7, 7, or the incident's uuid.",
        )
    return key
