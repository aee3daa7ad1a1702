"""Silences that would hide what is critical warn, once they are set; and what they hide is said."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from domain.alerts import Alert, AlertStatus
from domain.heartbeating import HEARTBEAT
from domain.severity import Severity
from gateway import hiding
from projections import critical_queries
from projections.critical_queries import CriticalAlert, CriticalAlerts
from projections.database import READ_SCHEMA
from streams.pruning import Pruner, forgetting
from streams.store.leadership import Leadership, Seat
from streams.store.migrate import migrate
from streams.store.pruning import Pruning
from tests.gateway_world import KEYS, GatewayWorld
from tests.memory_world import ORG
from tests.read_world import ReadWorld, read_world
from tests.silencing import SILENCES, body, matcher, post


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


@pytest.fixture
def read(store_dsn: str) -> Iterator[ReadWorld]:
    migrate(store_dsn, "projections", READ_SCHEMA)
    with read_world(store_dsn) as made:
        yield made


def set_in(world: ReadWorld, *matchers: Mapping[str, Any], **more: Any) -> Any:
    """Set a silence where there are read models."""
    world.project()
    answer = world._front.request("POST", SILENCES, KEYS["responder"], json=body(world, *matchers, **more))
    assert answer.status_code == 200, answer.text
    world.settle()
    return answer.json()


HIDDEN = "is critical and fires: of what matches nobody is told meanwhile."


def test_a_silence_that_would_hide_a_firing_critical_incident_warns(read: ReadWorld) -> None:
    read.fire("ServiceDown", service="payments", pod="a")
    read.fire("ServiceDown", service="payments", pod="b")
    read.fire("ServiceDown", service="catalogue", severity="low")
    read.fire("DiskFull", service="search")
    read.fire("Over", service="payments")
    read.resolve("INC-4")
    assert set_in(read, matcher("service", "nothing"))["warnings"] == []
    assert set_in(read, matcher("service", "catalogue"))["warnings"] == []
    assert set_in(read, matcher("service", "pay.*|se.*", True), after=1)["warnings"] == [
        f"INC-3 {HIDDEN}",
        f"INC-1 {HIDDEN}",
    ]
    assert set_in(read, matcher("@severity", "critical"), matcher("pod", "b"))["warnings"] == [f"INC-1 {HIDDEN}"]
    assert set_in(read, matcher("pod", "b"))["warnings"] == [], "it is hidden already"


OVERRIDDEN = """
    - {matchers: ['alertname="Overridden"'], severity: critical}
"""


def test_what_it_would_hide_is_told_by_the_severity_that_silences_read(read: ReadWorld) -> None:
    """The route makes the incident critical; `@severity` stays what the alert says itself."""
    read.configure(read.config.replace("  routes:\n", f"  routes:{OVERRIDDEN.rstrip()}\n"))
    read.fire("Overridden", service="payments", severity="medium")
    read.expect_page("ada", "INC-1")
    assert set_in(read, matcher("@severity", "critical"))["warnings"] == []
    assert set_in(read, matcher("@severity", "medium"))["warnings"] == [f"INC-1 {HIDDEN}"]
    assert read.ask("/api/v1/alerts")["alerts"][0]["suppressed"], "it is hidden indeed"


def test_what_it_would_hide_may_be_a_missed_heartbeat(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an integration that is not configured `@source` is its name, as wherever alerts are looked at."""
    missed = Alert("backup", AlertStatus.FIRING, Severity.CRITICAL, {"alertname": "HeartbeatMissed"})
    found = CriticalAlerts((CriticalAlert("INC-1", "backup", "platform", HEARTBEAT, None, missed),), True)
    monkeypatch.setattr(world.queries, "critical_alerts", lambda: found)
    for source, warnings in (("alertmanager", []), (HEARTBEAT, [f"INC-1 {HIDDEN}"])):
        assert post(world, body(world, matcher("@source", source))).json()["warnings"] == warnings


def test_what_is_hidden_for_longer_warns(read: ReadWorld) -> None:
    read.fire("ServiceDown", service="payments")
    read.ack("INC-1")
    first = set_in(read, minutes=60)
    assert first["warnings"] == [f"INC-1 {HIDDEN}"]
    assert set_in(read, minutes=30)["warnings"] == [], "the first one lasts longer"
    longer = body(read, minutes=90, id=first["silenceID"])
    assert read._front.request("POST", SILENCES, KEYS["responder"], json=longer).json() == {
        "silenceID": first["silenceID"],
        "warnings": [f"INC-1 {HIDDEN}"],
    }
    assert set_in(read, minutes=120)["warnings"] == [f"INC-1 {HIDDEN}"]
    assert set_in(read, minutes=15, after=30)["warnings"] == []


def test_a_maintenance_window_hides_until_it_closes(read: ReadWorld) -> None:
    window = f'{{start: "{(read.now() - timedelta(minutes=1)).isoformat()}", duration: 61m, services: [payments]}}'
    read.fire("ServiceDown", service="payments")
    read.ack("INC-1")
    read.configure(f"{read.config}\nmaintenance_windows:\n  disks: {window}\n")
    read.settle()
    assert read.ask("/api/v1/alerts")["alerts"][0]["suppressed"]["reason"] == "maintenance_window"
    assert set_in(read, minutes=30)["warnings"] == []
    assert set_in(read, minutes=90)["warnings"] == [f"INC-1 {HIDDEN}"]


def test_many_are_counted_and_what_was_not_looked_at_is_said(read: ReadWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        read.fire(f"Down{number}", service="payments")
    monkeypatch.setattr(hiding, "NAMED", 3)
    assert set_in(read, after=1)["warnings"] == [
        *(f"INC-{number} {HIDDEN}" for number in (4, 3, 2)),
        "So do others: 1.",
    ]
    monkeypatch.setattr(critical_queries, "INCIDENTS", 2)
    monkeypatch.setattr(critical_queries, "ALERTS", 2)
    assert set_in(read, after=1)["warnings"] == [
        *(f"INC-{number} {HIDDEN}" for number in (4, 3)),
        "No more than 1,000 critical incidents and 5,000 alerts were looked at.",
    ]


def test_a_silence_can_be_set_while_nobody_knows_what_it_hides(world: GatewayWorld) -> None:
    world.queries.down = True
    answer = post(world, body(world))
    assert answer.status_code == 200
    assert answer.json()["warnings"] == ["Whether it hides a critical incident could not be found out."]


def test_an_alert_says_why_nothing_is_said_of_it(read: ReadWorld) -> None:
    read.fire("ServiceDown", service="payments")
    read.fire("ServiceDown", service="catalogue")
    name = set_in(read, minutes=10)["silenceID"]

    def asked(**query: Any) -> dict[str, Any]:
        alerts = read.ask("/api/v1/alerts", **query)["alerts"]
        return {alert["labels"]["service"]: alert["suppressed"] for alert in alerts}

    why = {"reason": "silence", "rule": name}
    assert asked() == {"payments": why, "catalogue": None}
    assert asked(suppressed="true") == {"payments": why}
    assert asked(suppressed="false") == {"catalogue": None}
    assert read.ask("/alerts/active", suppressed=True)["alerts"][0]["suppressed"] == why
    assert read.response("/api/v1/alerts", suppressed="perhaps").status_code == 422
    read.advance(minutes=10)
    assert asked(suppressed="true") == {}


def test_what_expired_five_days_ago_is_removed(read: ReadWorld, store_dsn: str) -> None:
    short, long = (set_in(read, minutes=minutes)["silenceID"] for minutes in (10, 20))
    later = [read.now() + timedelta(days=5, minutes=10)]
    forget = forgetting(read.store, ORG, lambda: later[0])
    pruner = Pruner(Pruning(store_dsn, timedelta(days=90)), Leadership(store_dsn, Seat.PRUNER), read.now, forget=forget)
    assert pruner.step_silences() == 0
    later[0] += timedelta(seconds=1)
    asyncio.run(pruner._round(asyncio.Event()))
    pruner.leadership.release()
    assert [silence["id"] for silence in read.ask(SILENCES)] == [long]
    assert read.response(f"/api/v2/silence/{short}").status_code == 404
    assert "being repaired" not in str(read.store.tail(0, 1000))
