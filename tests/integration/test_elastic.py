"""Elastic's rules over HTTP: what the sender is told, and where it can ask when it is told too little."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gateway import elastic
from gateway.intake import IntakeUnavailable
from schemas.received import AlertReceived
from tests.gateway_world import KEYS, TOKEN, TOKENS, GatewayWorld, MemoryIntake

PATH = "/v1/alerts/elastic"


class FoldingIntake(MemoryIntake):
    """Folds at once what it takes, as a worker does that has nothing else to do."""

    world: "ElasticWorld"

    async def put(self, receipt: AlertReceived, shards: int) -> None:
        await super().put(receipt, shards)
        if self.world.folds:
            self.world.folding = threading.Timer(0.02, self.world.arrive)
            self.world.folding.start()


class ElasticWorld(GatewayWorld):
    """A gateway world with a fold beside it."""

    def __init__(self) -> None:
        intake = FoldingIntake()
        super().__init__(intake)
        self.folds, intake.world = True, self
        self.folding: threading.Timer | None = None

    def report(self, state: str = "active", alert_id: str = "rule:api-gateway", **more: Any) -> Any:
        """Kibana posts; returns the answer, once whoever folds is at rest."""
        body = {
            "alert_name": "High latency",
            "alert_id": alert_id,
            "severity": "critical",
            "service": {"name": "payments" if state == "active" else "", "environment": ""},
            "state": {"state": state, "timestamp": self.now().isoformat().replace("+00:00", "Z")},
            "tags": "",
            **more,
        }
        answered = self.request("POST", PATH, TOKENS["elastic"], json=body)
        if self.folding:
            self.folding.join()
        return answered


@pytest.fixture
def world() -> Iterator[ElasticWorld]:
    with ElasticWorld() as made:
        yield made


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of an alert is waited for however busy the machine is."""
    monkeypatch.setattr(elastic, "BEFORE", 10.0)
    monkeypatch.setattr(elastic, "WAIT", 20.0)


def said(answer: Any) -> tuple[int, str, str | None]:
    return answer.status_code, answer.json()["status"], answer.json()["incident_id"]


@pytest.mark.usefixtures("unhurried")
def test_the_whole_life_of_an_alert(world: ElasticWorld) -> None:
    assert said(world.report()) == (200, "incident_created", "INC-1")
    assert said(world.report()) == (200, "ignored", "INC-1")
    assert said(world.report(alert_id="rule:another")) == (200, "incident_updated", "INC-1")
    assert said(world.report("resolved")) == (200, "incident_updated", "INC-1")
    assert said(world.report("resolved", alert_id="rule:another")) == (200, "incident_resolved", "INC-1")
    assert said(world.report("resolved")) == (200, "ignored", "INC-1")
    world.advance(minutes=2)
    assert said(world.report()) == (200, "incident_created", "INC-2")


@pytest.mark.usefixtures("unhurried")
def test_the_end_of_what_was_never_heard_of_is_ignored(world: ElasticWorld) -> None:
    assert said(world.report("resolved")) == (200, "ignored", None)


def test_a_fold_that_takes_longer_is_not_waited_for_and_the_receipt_says_what_became_of_it(
    world: ElasticWorld,
) -> None:
    world.folds = False
    started = time.monotonic()
    answer = world.report()
    assert elastic.WAIT <= time.monotonic() - started < elastic.WAIT + 4
    assert said(answer) == (202, "accepted", None)
    url = answer.json()["receipt_url"]
    assert answer.headers["location"] == url
    assert world.request("GET", url, TOKENS["elastic"]).json()["state"] == "accepted"
    world.arrive()
    view = world.request("GET", url, TOKENS["elastic"]).json()
    assert view["state"] == "folded"
    assert [(one["status"], one["incident"]) for one in view["alerts"]] == [("firing", "INC-1")]


def test_while_the_database_hangs_the_alert_is_taken_all_the_same(
    world: ElasticWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*_: object) -> dict[str, object]:
        time.sleep(0.3)
        return {}

    world.folds = False
    monkeypatch.setattr(type(world.store), "alerts", hangs)
    assert said(world.report()) == (202, "accepted", None)


def test_without_a_place_to_keep_it_the_sender_is_told_to_come_again(world: ElasticWorld) -> None:
    world.intake.fails = IntakeUnavailable("neither Kafka nor the database keeps it")
    answer = world.report()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"alert_id": "a", "state": {"state": "active"}}, "alert_name"),
        ({"alert_name": "n", "state": {"state": "active"}}, "alert_id"),
        ({"alert_name": "n", "alert_id": ":", "state": {"state": "active"}}, "alert_id"),
        ({"alert_name": "n", "alert_id": "a"}, "state.state"),
        ({"alert_name": "n", "alert_id": "a", "state": {"state": "maybe"}}, "state.state"),
    ],
)
def test_what_is_required_is_named(world: ElasticWorld, body: dict[str, Any], field: str) -> None:
    answer = world.request("POST", PATH, TOKENS["elastic"], json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert world.intake.kept == []


def test_only_tokens_of_elastic_open_it(world: ElasticWorld) -> None:
    assert world.request("POST", PATH, TOKEN, json={}).status_code == 403
    assert world.request("POST", PATH, KEYS["admin"], json={}).status_code == 401
