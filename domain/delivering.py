"""What becomes of a page after somebody tried to say it.

A page that may be said again is said again only while its escalation runs: nobody is paged after an
acknowledgement, not even by a retry.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from domain import pages
from domain.book import Book
from domain.decision import Actor, Cause
from domain.escalations import Escalation
from domain.pages import Page, PageStatus

MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Delivered:
    """The provider took it."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """The provider did not take it now; it may be tried again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """The provider will never take it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """Nobody knows whether it was said."""

    reason: str


Result = Delivered | Postponed | Undeliverable | Unsure


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one page: the delivery that carried it, which attempt it was, and whether it may repeat one.

    `retry_at` is when the next attempt would be, with backoff and jitter (UTC).
    """

    page: str
    delivery: str
    number: int
    possible_repeat: bool
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """The page's row from now on; `queued` at `at` when it is tried again."""

    status: PageStatus
    at: datetime | None = None
    possible_repeat: bool = False


def settle(book: Book, attempt: Attempt, result: Result, now: datetime) -> Settled:
    """Decide what an attempt's result makes of a page, into `book`, which holds the page and its escalation."""
    escalation = book.read(attempt.page, Page).escalation
    correlation = book.read(escalation, Escalation).correlation_id
    cause = Cause(Actor("system", "pager"), "pager", f"delivery/{attempt.delivery}", attempt.delivery, correlation)
    book.begin(cause, now, (attempt.page, escalation))
    settled = _settle(book, attempt, result, escalation)
    book.end()
    return settled


def _settle(book: Book, attempt: Attempt, result: Result, escalation: str) -> Settled:
    match result:
        case Delivered():
            book.write(attempt.page, pages.Sent(attempt.delivery, attempt.number, attempt.possible_repeat))
            return Settled(PageStatus.SENT)
        case Undeliverable(reason):
            book.write(attempt.page, pages.Failed(attempt.delivery, attempt.number, reason))
            return Settled(PageStatus.FAILED)
        case Postponed(reason):
            if stopped := book.read(escalation, Escalation).stopped:
                book.write(attempt.page, pages.Cancelled(stopped))
                return Settled(PageStatus.CANCELLED)
            if attempt.number >= MAX_ATTEMPTS:
                book.write(attempt.page, pages.Failed(attempt.delivery, attempt.number, reason))
                return Settled(PageStatus.FAILED)
            return Settled(PageStatus.QUEUED, attempt.retry_at)
        case Unsure(reason):
            book.write(attempt.page, pages.Unknown(attempt.delivery, attempt.number, reason))
            if book.read(escalation, Escalation).stopped or attempt.number >= MAX_ATTEMPTS:
                return Settled(PageStatus.UNKNOWN)
            return Settled(PageStatus.QUEUED, attempt.retry_at, possible_repeat=True)
        case _:
            assert_never(result)
