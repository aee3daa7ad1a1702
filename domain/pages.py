"""A page: one person told of one incident by one method in one step; and the delivery that carries it.

queued -> (claimed, a row change only) -> sent | failed | unknown | cancelled. An unknown page (its
sender died or the provider never answered) is queued again and may arrive twice; it is marked as such.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar, Literal, assert_never


class PageStatus(StrEnum):
    """Where a page stands."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Queued:
    """Somebody is to be told. `user` is a user's id, or `team:development` for the channel of a team."""

    type: ClassVar[str] = "page.queued.v1"
    escalation: str
    incident: str
    loop: int
    step: int
    user: str
    method: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took it. `delivery` is the message that carried it, `attempt` counts from 1."""

    type: ClassVar[str] = "page.sent.v1"
    delivery: str
    attempt: int
    possible_repeat: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be said by this method: refused for good, or every retry used up."""

    type: ClassVar[str] = "page.failed.v1"
    delivery: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whether it was said nobody knows: it is said again under the same key, marked as a possible repeat."""

    type: ClassVar[str] = "page.unknown.v1"
    delivery: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It need not be said any more."""

    type: ClassVar[str] = "page.cancelled.v1"
    reason: Literal["acknowledged", "resolved", "suppressed", "merged", "reannounced"]


PageEvent = Queued | Sent | Failed | Unknown | Cancelled


@dataclass(frozen=True, slots=True)
class Page:
    """A page as its events left it."""

    escalation: str = ""
    incident: str = ""
    loop: int = 1
    step: int = 1
    user: str = ""
    method: str = ""
    status: PageStatus = PageStatus.QUEUED

    @property
    def is_pending(self) -> bool:
        """Whether it is still to be said (an unknown page is said again)."""
        return self.status in (PageStatus.QUEUED, PageStatus.UNKNOWN)


def evolve(page: Page, event: PageEvent) -> Page:
    """The page after `event`."""
    match event:
        case Queued():
            return Page(event.escalation, event.incident, event.loop, event.step, event.user, event.method)
        case Sent():
            return replace(page, status=PageStatus.SENT)
        case Failed():
            return replace(page, status=PageStatus.FAILED)
        case Unknown():
            return replace(page, status=PageStatus.UNKNOWN)
        case Cancelled():
            return replace(page, status=PageStatus.CANCELLED)
        case _:
            assert_never(event)
