"""A silence: alerts that match are not spoken of from its start to its end.

Source: Alertmanager's silences (API v2): all matchers have to match, the end is exclusive, an expired silence stays to
be seen and its times and matchers are never changed backwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from domain.matching import Matcher


class SilenceState(StrEnum):
    """Where a silence stands."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Silence:
    """Who does not want to hear of what, from `starts_at` until `ends_at` (UTC), and why.

    Author and comment are a person's words: kept beside the events, erasable.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    author: str = ""
    comment: str = ""
    kind: Literal["silence"] = "silence"

    def state_at(self, now: datetime) -> SilenceState:
        """Where it stands at `now` (UTC)."""
        if now < self.starts_at:
            return SilenceState.PENDING
        return SilenceState.ACTIVE if now < self.ends_at else SilenceState.EXPIRED

    def silences(self, facts: Mapping[str, str]) -> bool:
        """Whether an alert with these labels and facts matches."""
        return all(matcher.matches(facts) for matcher in self.matchers)


def changed(before: Silence, wanted: Silence, now: datetime) -> Silence | None:
    """The silence `before` as it is after it was asked to be as `wanted`; None when that takes a new one.

    Nobody is told afterwards that something else was silenced than was: matchers never change, nor does a start that
    has passed (to the second), and what has expired stays so. Source: Alertmanager's silence.go.
    """
    match before.state_at(now):
        case SilenceState.PENDING:
            same = wanted.starts_at >= now
        case SilenceState.ACTIVE:
            same = int(wanted.starts_at.timestamp()) == int(before.starts_at.timestamp()) and wanted.ends_at >= now
        case SilenceState.EXPIRED:
            same = False
    if not same or before.matchers != wanted.matchers:
        return None
    return replace(wanted, id=before.id, updated_at=now)


def ended(silence: Silence, now: datetime) -> Silence:
    """The silence after it was expired by hand; one that had not begun never will. Itself when it was over."""
    match silence.state_at(now):
        case SilenceState.PENDING:
            return replace(silence, starts_at=now, ends_at=now, updated_at=now)
        case SilenceState.ACTIVE:
            return replace(silence, ends_at=now, updated_at=now)
        case SilenceState.EXPIRED:
            return silence
