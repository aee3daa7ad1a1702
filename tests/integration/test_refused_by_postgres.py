"""What the parsers let through and the database refuses costs only itself."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from domain import incidents
from schemas.received import received
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams.fold import Arrival
from streams.store.base import Save, TrackingMove
from streams.store.postgres import PostgresStore
from tests.contract.storing import AT, CAUSE, INCIDENT, book, opened
from tests.memory_world import MemoryWorld
from tests.world import alert, webhook


@pytest.fixture
def store(store_dsn: str) -> Iterator[PostgresStore]:
    made = PostgresStore(store_dsn)
    yield made
    made.close()


def test_an_alert_that_no_column_can_hold_is_put_aside_and_the_others_are_folded(store: PostgresStore) -> None:
    world = MemoryWorld(store)
    body = json.dumps(webhook([alert(name, {"service": "payments"}, world.now()) for name in ("Disk", "Nul", "Net")]))
    parsed = SOURCES["alertmanager"](body.encode(), DEFAULT_LIMITS)
    disk, nul, net = parsed.alerts
    alerts = (disk, replace(nul, fingerprint="a\x00b"), net)
    record = received("r-1", "alertmanager", world.now(), alerts, parsed.raw, b"salt")
    world.fold.save([Arrival(record, "default/alerts/0@0")], (TrackingMove("default", "alerts", 0, -1, 0),))
    assert [seen.title for seen in world.incidents()] == [
        "Disk (payments)",
        "Net (payments)",
        "Alerts from alertmanager were not understood",
    ]
    dead = store.dead_letters("r-1")
    assert [(letter.index, letter.reason) for letter in dead] == [(1, "it cannot be decided (Unstorable)")]
    assert store.tracking("default", "alerts") == {0: 0}


def test_a_rehearsal_leaves_nothing(store: PostgresStore) -> None:
    tried = book(store, INCIDENT)
    tried.begin(CAUSE, AT)
    tried.write(INCIDENT, opened(), incidents.Acknowledged())
    store.rehearse(Save(tried))
    assert store.head() == 0
    assert store.load([INCIDENT])[INCIDENT].version == 0
