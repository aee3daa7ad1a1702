"""What is around fails: no name resolves, the clock is set back, everything runs twice.

Elsewhere: Kafka down in `tests/integration/test_kafka_away.py`, a database that stands still in
`test_frozen_postgres.py` there, a truncated topic in `test_worker.py` there, a mail server of any kind in
`test_email.py` there, both stores away and coming back in `test_stores_away.py` here, full
disks in `test_full_disk.py`.
"""

import time
from contextlib import ExitStack
from datetime import timedelta

import pytest

from gateway.intake import IntakeUnavailable, KafkaIntake
from schemas.received import AlertReceived
from schemas.settings import load_settings
from streams.store.base import Unavailable
from streams.store.postgres import PostgresStore
from tests.faults.outcomes import Outcome
from tests.faults.site import ROLES, Fault, Site
from tests.faults.telling import difference
from tests.histories import Say, report
from tests.invariants import streams_never_run_backwards
from tests.memory_world import MemoryWorld

NOWHERE = "no-such-host.invalid"


def test_a_database_whose_name_does_not_resolve_is_one_that_does_not_answer() -> None:
    store = PostgresStore(f"postgresql://tocsin@{NOWHERE}:5432/tocsin")
    began = time.monotonic()
    with pytest.raises(Unavailable):
        store.head()
    assert time.monotonic() - began < 15
    store.close()


async def test_a_broker_whose_name_does_not_resolve_is_not_waited_for() -> None:
    intake = KafkaIntake(load_settings(kafka_bootstrap=f"{NOWHERE}:9092"))
    await intake.start()
    began = time.monotonic()
    with pytest.raises(IntakeUnavailable):
        await intake.put(one_alert(), 1)
    assert time.monotonic() - began < 4
    await intake.close()


def one_alert() -> AlertReceived:
    return report(MemoryWorld(), Say(0, True), 1)


def test_a_clock_that_is_set_back_turns_no_stream_back() -> None:
    world = MemoryWorld()
    world.fire("Disk", service="payments")
    world.expect_page("ada", "INC-1")
    world._now -= timedelta(hours=1)
    world.fire("Disk", service="payments", instance="b")
    world.ack("INC-1")
    world.command("unack", "INC-1")
    world.advance(hours=1, minutes=6)
    streams_never_run_backwards(world.store.tail(0, 1_000_000))
    world.expect_page("ada", "INC-1")
    world.expect_page("grace", "INC-1")
    world.close()


def test_two_of_every_role_do_what_one_does(site: Site, undisturbed: Outcome) -> None:
    with ExitStack() as spares:
        for role in ROLES:
            spares.enter_context(site.spare(role))
        outcome = site.outcome(site.tell())
    assert difference(Fault("none", "none", "none"), outcome, undisturbed) == "", outcome
