"""What a store does about alerts that nobody speaks of: a group's deadline, and whether anything still waits."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.alerts import AlertStatus
from domain.book import Due
from domain.expiry import EXPIRE
from schemas.config_files import parse_config
from streams.configuring import apply
from streams.store.base import Conflict, InboxRow, Save, Store
from tests.contract.storing import AT, CAUSE, book, row
from tests.world import CONFIG

MINUTE = timedelta(minutes=1)


def ensure(store: Store, at_minute: int, key: str = "group-x") -> None:
    """A deadline at that minute or earlier is wanted."""
    wanted = book(store)
    wanted.ensure_due(EXPIRE, key, AT + at_minute * MINUTE)
    store.save(Save(wanted))


def claim(store: Store, minute: int) -> list[Due]:
    return store.claim_due(AT + minute * MINUTE, 60, 10, EXPIRE)


def test_the_earliest_deadline_that_anybody_wanted_counts(store: Store) -> None:
    for minute in (30, 20, 40):
        ensure(store, minute)
    assert claim(store, 19) == []
    assert [(due.key, due.at) for due in claim(store, 20)] == [("group-x", AT + 20 * MINUTE)]


def test_a_later_wish_leaves_a_claim_alone(store: Store) -> None:
    ensure(store, 10)
    (due,) = claim(store, 10)
    ensure(store, 30)
    met = book(store)
    met.put_due(Due(EXPIRE, due.key, AT + 25 * MINUTE, due.rev))
    store.save(Save(met))
    assert [due.at for due in claim(store, 60)] == [AT + 25 * MINUTE]


def test_an_earlier_wish_takes_a_deadline_from_who_claimed_it(store: Store) -> None:
    ensure(store, 10)
    (due,) = claim(store, 10)
    ensure(store, 5)
    late = book(store)
    late.drop_due(EXPIRE, due.key, due.rev)
    with pytest.raises(Conflict):
        store.save(Save(late))
    assert [due.at for due in claim(store, 10)] == [AT + 5 * MINUTE]


def test_groups_wait_for_themselves(store: Store) -> None:
    ensure(store, 10, "group-x")
    ensure(store, 20, "group-y")
    assert [due.key for due in claim(store, 15)] == ["group-x"]


def test_the_inbox_waits_with_what_is_not_folded(store: Store) -> None:
    assert not store.inbox_waits(AT + MINUTE)
    store.put_inbox([InboxRow("r-1", 0, b"am:0", b"{}", AT)])
    assert store.inbox_waits(AT + MINUTE)
    assert not store.inbox_waits(AT)
    store.save(Save(book(store), inbox=(("r-1", 0),)))
    assert not store.inbox_waits(AT + MINUTE)


def fires(store: Store, fingerprint: str, minute: int, group: str | None, **more: Any) -> None:
    written = book(store)
    written.put_alert(replace(row(fingerprint), last_seen=AT + minute * MINUTE, group=group, **more))
    store.save(Save(written))


def test_of_each_group_it_is_known_since_when_an_alert_of_an_integration_is_silent(store: Store) -> None:
    fires(store, "f1", 20, "group-x")
    fires(store, "f2", 10, "group-x")
    fires(store, "f3", 30, "group-y")
    fires(store, "f4", 1, "group-x", status=AlertStatus.RESOLVED)
    fires(store, "f5", 2, "group-y", integration="backup")
    fires(store, "f6", 3, None)
    assert store.last_heard("am") == {"group-x": AT + 10 * MINUTE, "group-y": AT + 30 * MINUTE}
    assert store.last_heard("backup") == {"group-y": AT + 2 * MINUTE}
    assert store.last_heard("nobody") == {}


def test_a_time_out_that_is_applied_reaches_what_fires_in_it(store: Store) -> None:
    """Nobody saves in between, so that no alert begins under the old configuration and is not seen."""
    text = CONFIG.replace("alertmanager: {source: alertmanager, expires_after: 8h}", "am: {source: alertmanager}")
    apply(store, "default", parse_config(text, "a.yaml"), CAUSE, AT, b"salt")
    fires(store, "f1", 0, "group-x")
    assert claim(store, 600) == []
    text = text.replace("{source: alertmanager}", "{source: alertmanager, expires_after: 1h}")
    apply(store, "default", parse_config(text, "a.yaml"), CAUSE, AT, b"salt")
    assert claim(store, 59) == []
    assert [(due.key, due.at) for due in claim(store, 60)] == [("group-x", AT + 60 * MINUTE)]
