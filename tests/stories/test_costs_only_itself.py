"""One error that nobody foresaw costs only what it is about: everybody else is paged, and the role lives on."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from domain import delivering, expiry, pages, reviewing, stepping
from domain.book import Book, Due
from domain.episodes import REGARD
from domain.escalations import Escalation
from domain.heartbeating import look
from domain.incidents import Incident
from domain.inhibition import INHIBIT
from schemas.payloads import read_alert
from streams import heartbeating, messages
from streams import reviewing as reviewer
from streams.store.base import Save, Unavailable
from streams.store.deciding import TZ_VERSION
from tests.memory_world import ORG, MemoryWorld
from tests.stories.test_heartbeats import Watched

LEASE = 70
"""Seconds after which every lease of a deadline or a page is over."""


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld()
    made.may_fail = True
    yield made
    made.close()


class Failures:
    """What of a counter was counted, and said in the log as an error, while this is entered."""

    def __init__(self, counter: str, **labels: str) -> None:
        self.counter, self.labels, self.counted = counter, labels, 0.0
        self.said: list[str] = []

    def __enter__(self) -> "Failures":
        self._before = self._value()
        self._log = capture_logs()
        self._entries = self._log.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._log.__exit__(None, None, None)
        self.counted = self._value() - self._before
        self.said = [entry["event"] for entry in self._entries if entry["log_level"] == "error"]
        assert all(entry["exc_info"] for entry in self._entries if entry["log_level"] == "error")

    def _value(self) -> float:
        return REGISTRY.get_sample_value(self.counter, self.labels) or 0.0


def failing(of: Callable[..., Any], when: Callable[..., bool]) -> Callable[..., Any]:
    """The same function with a bug."""

    def broken(*args: Any, **named: Any) -> Any:
        if when(*args, **named):
            raise ValueError("a bug")
        return of(*args, **named)

    return broken


def at_once(world: MemoryWorld, *names: str) -> None:
    """Incidents of one moment."""
    for name in names:
        world.receive_only(name)


def is_second(book: Book, escalation: str) -> bool:
    incident = book.read(book.read(escalation, Escalation).incident, Incident)
    return incident.number == 2


def test_a_deadline_that_cannot_be_decided_is_tried_again_and_the_others_are_met(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(world, "Disk", "Poison", "Net")
    with monkeypatch.context() as bug:
        bug.setattr(stepping, "run", failing(stepping.run, lambda book, due, now: is_second(book, due.key)))
        with Failures("tocsin_pager_failures_total", what="deadline") as failures:
            world.settle()
    assert (failures.counted, failures.said) == (1, ["a deadline cannot be decided"])
    world.expect_page("ada", "INC-1", "INC-3")
    world.advance(seconds=55)
    world.expect_nothing()
    world.advance(seconds=15)
    world.expect_page("ada", "INC-2")


def test_a_database_that_is_away_is_no_reason_to_look_for_the_one_at_fault(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(world, "Disk", "Net")

    def away(*_: object) -> None:
        raise Unavailable("Postgres does not answer")

    with monkeypatch.context() as bug:
        bug.setattr(stepping, "run", away)
        with Failures("tocsin_pager_failures_total", what="deadline") as failures, pytest.raises(Unavailable):
            world.pager.step()
    assert (failures.counted, failures.said) == (0, [])
    world.settle()
    world.expect_page("ada", "INC-1", "INC-2")


def test_a_page_whose_alert_cannot_be_read_says_what_is_known_of_the_incident(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(world, "Disk", "Poison", "Net")
    monkeypatch.setattr(messages, "read_alert", failing(read_alert, lambda body: b"Poison" in body))
    with Failures("tocsin_pager_failures_total", what="words") as failures:
        world.settle()
    assert (failures.counted, failures.said) == (1, ["a message says less than it should"])
    page = world.expect_page("ada", "INC-1", "INC-2", "INC-3")
    assert "Poison (payments)" in page.text


def test_a_page_that_cannot_be_written_is_undeliverable_and_the_next_step_pages(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(world, "Disk", "Poison", "Net")
    with monkeypatch.context() as bug:
        page_of = messages.Signposts.page_of
        bug.setattr(messages.Signposts, "page_of", failing(page_of, lambda _, incident: incident.number == 2))
        with Failures("tocsin_pager_failures_total", what="page") as failures:
            world.settle()
    assert failures.counted == 1
    assert set(failures.said) == {"a page cannot be written"}
    world.expect_page("ada", "INC-1", "INC-3")
    failed = [event.event for event in world.store.tail(0, 1000) if isinstance(event.event, pages.Failed)]
    assert [event.reason for event in failed] == ["cannot be written (ValueError)"]
    world.ack("INC-1")
    world.ack("INC-3")
    world.advance(minutes=5)
    world.expect_page("grace", "INC-2")


def test_when_only_the_whole_cannot_be_written_its_parts_are(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(world, "Disk", "Poison", "Net")
    monkeypatch.setattr(messages, "_lines", failing(messages._lines, lambda *given: len(given[2]) > 2))
    world.settle()
    told = [world.next_message("ada"), world.next_message("ada")]
    assert sorted(name for said in told if said for name in said.incidents) == ["INC-1", "INC-2", "INC-3"]


def test_a_message_that_fails_in_its_channel_is_tried_again(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(world, "Disk")
    with monkeypatch.context() as bug:
        bug.setattr(world.channel, "send", failing(world.channel.send, lambda message: True))
        with Failures("tocsin_pager_failures_total", what="message") as failures:
            world.settle()
    assert (failures.counted, failures.said) == (1, ["a message failed in its channel"])
    world.advance(seconds=10)
    assert "repeat" in world.expect_page("ada", "INC-1").text.lower()


def test_a_pager_that_is_told_to_stop_in_mid_message_stops(world: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancelled(message: object) -> None:
        raise asyncio.CancelledError

    at_once(world, "Disk")
    world.pager.step()
    (delivery,) = world.pager.claim(10)
    with monkeypatch.context() as bug:
        bug.setattr(world.channel, "send", cancelled)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(world.pager.deliver(delivery))
    world.deliver([delivery])
    world.expect_page("ada", "INC-1")


def test_an_outcome_that_cannot_be_saved_is_found_out_later_and_the_others_are_saved(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(world, "Disk", "Poison", "Net")

    def is_bad(book: Book, attempt: delivering.Attempt, *_: object) -> bool:
        return is_second(book, book.read(attempt.page, pages.Page).escalation)

    with monkeypatch.context() as bug:
        bug.setattr(delivering, "settle", failing(delivering.settle, is_bad))
        with Failures("tocsin_pager_failures_total", what="outcome") as failures:
            world.settle()
    assert (failures.counted, failures.said) == (1, ["an outcome cannot be saved"])
    world.expect_page("ada", "INC-1", "INC-2", "INC-3")
    world.advance(seconds=LEASE)
    assert "repeat" in world.expect_page("ada", "INC-2").text.lower()


def test_a_group_whose_deadline_cannot_be_decided_is_tried_again_and_the_others_expire(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("Poison", "Disk"), 1):
        world.fire(name, service="payments")
        world.expect_page("ada", f"INC-{number}")
        world.ack(f"INC-{number}")
    first = world.store.alerts({row.row.id for row in world.store.firing(None, 10)}).values()
    bad = next(row.group for row in first if row.incident == world._streams()["INC-1"])
    with monkeypatch.context() as bug:
        bug.setattr(expiry, "expire", failing(expiry.expire, lambda book, due, until: due.key == bad))
        with Failures("tocsin_expiry_failures_total") as failures:
            world.jump(hours=9)
    assert (failures.counted, failures.said) == (1, ["a group's deadline cannot be decided"])
    world.expect_incident("INC-1", status="acknowledged")
    world.expect_incident("INC-2", status="resolved")
    world.advance(seconds=LEASE)
    world.expect_incident("INC-1", status="resolved")


def test_a_heartbeat_that_cannot_be_looked_at_is_tried_again_and_the_others_are_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched()
    watched.may_fail = True
    for name in ("index", "backup"):
        watched.ping(name)
    with monkeypatch.context() as bug:
        bug.setattr(heartbeating, "look", failing(look, lambda book, due, *_: due.key == "index"))
        with Failures("tocsin_heartbeat_failures_total") as failures:
            watched.jump(hours=2)
    assert (failures.counted, failures.said) == (1, ["a heartbeat cannot be looked at"])
    watched.expect_page("ada", "INC-1")
    watched.ack("INC-1")
    watched.advance(seconds=LEASE)
    assert [seen.service for seen in watched.incidents()] == ["payments", "catalogue"]
    watched.expect_page("edsger", "INC-2")
    watched.close()


@pytest.mark.parametrize("reads", ["what it says", "the way it went"])
def test_an_alert_that_cannot_be_judged_is_left_out_of_the_review_of_the_others(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch, reads: str
) -> None:
    for number, name in enumerate(("Disk", "Poison", "Net"), 1):
        world.fire(name, service="payments")
        world.expect_page("ada", f"INC-{number}")
    if reads == "what it says":
        monkeypatch.setattr(reviewer, "read_alert", failing(read_alert, lambda body: b"Poison" in body))
    else:
        is_bad = failing(reviewing.way_of, lambda config, org, facts, row: row.incident == world._streams()["INC-2"])
        monkeypatch.setattr(reviewing, "way_of", is_bad)
    with Failures("tocsin_review_failures_total") as failures:
        world.silence(minutes=30, service="payments")
    assert failures.counted == len(failures.said) >= 1
    assert set(failures.said) == {"an alert cannot be reviewed"}
    names = {stream: name for name, stream in world._streams().items()}
    quiet = {names[found.row.incident or ""]: bool(found.row.suppressed) for found in world.store.firing(None, 10)}
    assert quiet == {"INC-1": True, "INC-2": False, "INC-3": True}
    world.ack("INC-2")


def test_a_review_that_cannot_be_done_does_not_keep_those_behind_it(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(ORG, world.store.config(), {}, tz_version=TZ_VERSION)
    for key in ("rule//1", "rule//2"):
        book.put_due(Due(INHIBIT, key, world.now()))
    book.put_due(Due(REGARD, "alert", world.now()))
    world.store.save(Save(book))
    met: list[str] = []

    def meet(_: object, due: Due) -> None:
        met.append(due.key)
        if due.key == "rule//1":
            raise ValueError("a bug")

    for name in ("_inhibit", "_regard"):
        monkeypatch.setattr(reviewer.Reviewer, name, meet)
    with Failures("tocsin_review_failures_total") as failures:
        world.reviewer.step()
    assert (failures.counted, failures.said) == (1, ["a review cannot be done"])
    assert met == ["rule//1", "rule//2", "alert"]
