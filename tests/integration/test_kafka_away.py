"""Kafka is killed: webhooks are still taken and people paged, and once it is back the topic lacks nothing."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from compose.embedded.kafka import EmbeddedKafka, RunningKafka
from tests.services import Services
from tests.stack import Installation, RealWorld, until
from tests.world import alert, webhook

ANSWERED_WITHIN = 4.0
"""Seconds; Kafka is waited for 0.3 s, the fold 0.8 s, and the machine may be busy. A try to reach Kafka takes 5 s."""
BACK = 90.0
"""Seconds for a broker that was killed to serve again: its controller waits for the session it had to end."""


class Broker:
    """A broker of this test's own, to be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.running: RunningKafka = self.start()

    def start(self) -> RunningKafka:
        self.running = EmbeddedKafka(self._folder).start()
        self.running.wait_ready()
        return self.running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path / "broker")
    yield made
    made.running.kill()


@pytest.fixture
def world(broker: Broker, new_database: Callable[[], str], tmp_path: Path, topic_prefix: str) -> Iterator[RealWorld]:
    dsn = new_database()
    given = Services(broker.running.bootstrap, dsn)
    # a slow start of the broker is longer than the half minute after which people hear that the relay stands still
    installation = Installation(given, dsn, topic_prefix, tmp_path, WATCHDOG_AFTER="600")
    try:
        made = RealWorld(installation)
        yield made
        made.close()
    finally:
        installation.close()


def send(world: RealWorld, path: str, token: str, body: dict[str, Any]) -> httpx.Response:
    """A machine posts; it is answered in time."""
    started = time.monotonic()
    url = world.installation.running.gateway_url + path
    answer = httpx.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert time.monotonic() - started < ANSWERED_WITHIN, answer.text
    return answer


def post(world: RealWorld, name: str) -> str:
    """Alertmanager posts an alert of its own, and it is taken; returns the receipt."""
    token = world.installation.running.webhook_tokens.alertmanager
    body = webhook([alert(name, {"service": "payments"}, world.now())])
    answer = send(world, "/api/v1/webhooks/alertmanager", token, body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["receipt"])


def elastic(world: RealWorld, state: str) -> str:
    """A rule of Elastic's reports; returns what became of it, as far as that was known in time."""
    body = {"alert_name": "Rule", "alert_id": "rule:a", "state": {"state": state}, "tags": {"patience": "yes"}}
    answer = send(world, "/v1/alerts/elastic", world.installation.running.webhook_tokens.elastic, body)
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["status"])


def became(world: RealWorld, receipt: str) -> dict[str, Any]:
    """What became of a receipt."""
    running = world.installation.running
    headers = {"Authorization": f"Bearer {running.api_keys.viewer}"}
    answer = httpx.get(f"{running.gateway_url}/api/v1/receipts/{receipt}", headers=headers, timeout=10)
    found: dict[str, Any] = answer.json()
    return found


def is_folded(world: RealWorld, receipt: str) -> bool | None:
    return became(world, receipt)["state"] == "folded" or None


def ask(world: RealWorld, query: Any) -> Any:
    """The first column of the first row."""
    with psycopg.connect(world.installation.dsn) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def told(world: RealWorld, user: str, wanted: int) -> set[str]:
    """The incidents that `user` is told of, once there are so many."""
    names: set[str] = set()

    def look() -> set[str] | None:
        while said := world.next_message(user):
            assert not names & set(said.incidents), "somebody was told twice"
            names.update(said.incidents)
        return names if len(names) >= wanted else None

    found: set[str] = until(f"{wanted} incidents told to {user}", look, BACK)
    return found


@pytest.mark.timeout(420)
def test_webhooks_are_taken_and_people_paged_while_kafka_is_dead_and_the_worker_restarted(
    broker: Broker, world: RealWorld
) -> None:
    world.fire("Before", service="payments")
    world.expect_page("ada", "INC-1")
    broker.running.kill()
    os.kill(world.installation.running.pids.worker or 0, signal.SIGKILL)
    receipts = [post(world, f"Away{number}") for number in range(8)]
    told(world, "ada", 8)
    assert elastic(world, "active") in ("incident_created", "accepted")
    assert elastic(world, "resolved") in ("incident_resolved", "accepted")
    until("Elastic's incident to end", lambda: world.incidents()[-1].status == "resolved" or None)
    assert ask(world, "select count(*) from tocsin.inbox where folded_at is not null and forwarded_at is null") == 10
    for receipt in receipts:
        until("the read models", partial(is_folded, world, receipt))
    assert {became(world, receipt)["alerts"][0]["incident"] for receipt in receipts} == {
        f"INC-{number}" for number in range(2, 10)
    }

    broker.start()
    until("the topic copies", lambda: unforwarded(world) == 0 or None, BACK)
    until("kafka to be used again", lambda: taken_by_kafka(world) or None, BACK)
    told(world, "ada", 1)
    until("every record to be folded", lambda: folded(world) >= records(world) or None, BACK)
    assert sorted(title for title in titles(world) if title.startswith("Away")) == [
        f"Away{number} (payments)" for number in range(8)
    ]
    assert ask(world, COUNTED_TWICE) == 0


COUNTED_TWICE = """select count(*) from tocsin.alert_state a join read_models.incidents i on i.id = a.incident
    where i.title like 'Away%' and a.count <> 1"""


def titles(world: RealWorld) -> list[str]:
    return [seen.title for seen in world.incidents()]


def unforwarded(world: RealWorld) -> int:
    return int(ask(world, "select count(*) from tocsin.inbox where forwarded_at is null"))


def taken_by_kafka(world: RealWorld) -> bool:
    """Whether a webhook goes to the topic and not to the inbox."""
    before = ask(world, "select count(*) from tocsin.inbox")
    post(world, "Back")
    return bool(ask(world, "select count(*) from tocsin.inbox") == before)


def folded(world: RealWorld) -> int:
    return int(ask(world, 'select coalesce(sum("offset" + 1), 0) from tocsin.tracking'))


def records(world: RealWorld) -> int:
    """How many records the topic has."""
    return asyncio.run(_ends(world))


async def _ends(world: RealWorld) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=world.installation.running.kafka_bootstrap)
    await consumer.start()
    try:
        topic = next(name for name in await consumer.topics() if name.endswith("alerts"))
        places = [TopicPartition(topic, partition) for partition in range(4)]
        return sum((await consumer.end_offsets(places)).values())
    finally:
        await consumer.stop()
