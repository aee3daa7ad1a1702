"""Why something was decided: what every event carries beside its own facts, so that it can be re-derived.

Read next: `book`, which collects decisions and what they read.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

RULES_VERSION = 1
"""The version of the rules in `domain/`. A change that decides differently for the same input raises it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused it: a monitoring system, a person (through an API key), or Tocsin itself."""

    kind: Literal["integration", "user", "system"]
    id: str


@dataclass(frozen=True, slots=True)
class Cause:
    """What a decision answers, given from outside.

    `origin` is the door it came through (`webhook`, `api`, `cli`, `pager`), `pointer` the record, command or
    deadline it was read from, `causation_id` the identifier of that input, `correlation_id` what ties together
    everything that follows from one request.
    """

    actor: Actor
    origin: str
    pointer: str
    causation_id: str
    correlation_id: str
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything a decision depended on. `reads` names each stream that was looked at but not written, with its
    version (0 when it did not exist); `decided_at` is UTC.
    """

    decided_at: datetime
    cause: Cause
    config_revision: int
    rules_version: int
    tz_version: str
    reads: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PayloadRef:
    """Points at erasable text kept beside the events: its key, and the salted sha256 (hex) that proves it."""

    ref: str
    digest: str


def seal(ref: str, salt: bytes, body: bytes) -> PayloadRef:
    """The reference that an event keeps to a payload.

    Parameters:
        ref: the payload's key.
        salt: random bytes kept with the payload and erased with it, so that a digest tells nothing about a short
            text once the text is gone.
        body: the exact bytes that are kept.
    """
    return PayloadRef(ref, sha256(salt + body).hexdigest())


class Refused(Exception):
    """A decision that cannot be made, and why, for the person who asked.

    Parameters:
        code: the problem type, e.g. `incident_resolved`.
        detail: one sentence that says what stands in the way.
        remedy: one sentence that says what to do instead.
        field: which part of what was asked is wrong, if one is.
    """

    def __init__(self, code: str, detail: str, remedy: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.remedy, self.field = code, detail, remedy, field
