"""Alerts over HTTP: the write side's rows, with the texts that were not erased."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from domain import ids
from projections.database import READ_SCHEMA
from streams.store.migrate import migrate
from tests.memory_world import ORG
from tests.read_world import ReadWorld, read_world
from tests.world import alert

ODD = 'he said "no", C:\\temp, ü 😀'


@pytest.fixture
def world(store_dsn: str) -> Iterator[ReadWorld]:
    migrate(store_dsn, "projections", READ_SCHEMA)
    with read_world(store_dsn) as made:
        yield made


def names(listed: dict[str, list[dict[str, str]]]) -> list[str]:
    return [alert["name"] for alert in listed["alerts"]]


def test_an_alert_is_shown_as_its_source_last_reported_it(world: ReadWorld) -> None:
    began = world.now()
    world.fire("ServiceDown", service="payments", pod="a")
    world.advance(seconds=10)
    world.fire("ServiceDown", service="payments", pod="a")

    (alert,) = world.ask("/api/v1/alerts")["alerts"]

    assert (alert["status"], alert["severity"], alert["integration"]) == ("firing", "critical", "alertmanager")
    assert alert["labels"] == {"alertname": "ServiceDown", "service": "payments", "pod": "a", "severity": "critical"}
    assert (alert["name"], alert["summary"], alert["erased"]) == ("ServiceDown", "ServiceDown is wrong", False)
    assert (alert["incident"], alert["reports"]) == ("INC-1", 2)
    assert alert["first_seen"] == alert["source_time"] == began.isoformat().replace("+00:00", "Z")
    assert alert["last_seen"] == world.now().isoformat().replace("+00:00", "Z")


def test_the_active_ones_are_those_that_fire(world: ReadWorld) -> None:
    world.fire("ServiceDown", service="payments")
    world.fire("DiskFull", service="catalogue")
    world.end("ServiceDown", service="payments")

    assert names(world.ask("/alerts/active")) == names(world.ask("/api/v1/alerts", status="active")) == ["DiskFull"]
    assert names(world.ask("/api/v1/alerts", status="resolved")) == ["ServiceDown"]
    assert sorted(names(world.ask("/api/v1/alerts", status="firing,resolved"))) == ["DiskFull", "ServiceDown"]


def test_filters_alone_and_together(world: ReadWorld) -> None:
    world.fire("One", pod="a", note=ODD)
    world.advance(seconds=5)
    world.fire("Two", pod="b", nul="a\0b")
    world.advance(seconds=5)
    world.fire("Three", pod="a", service="catalogue")

    def asked(**query: object) -> list[str]:
        return names(world.ask("/api/v1/alerts", **query))

    assert asked() == ["Three", "Two", "One"]
    assert asked(label="pod=a") == ["Three", "One"]
    assert asked(label=["pod=a", "service=catalogue"]) == ["Three"]
    assert asked(label=f"note={ODD}") == ["One"]
    assert asked(label="nul=a\0b") == ["Two"]
    assert asked(label="summary=One is wrong") == [], "an annotation is no label"
    assert asked(label="a=pod") == []
    assert asked(label="service=") == ["Two", "One"]
    assert asked(incident="INC-2", severity="page", integration="alertmanager") == ["Two"]
    assert asked(integration="nobody") == asked(severity="info") == asked(incident="INC-99") == []


def test_pages_follow_each_other_without_gap_or_repeat(world: ReadWorld) -> None:
    for number in range(7):
        world.fire(f"Alert{number}", pod="ab"[number % 2])
        if number % 3:
            world.advance(seconds=5)

    def pages(**query: object) -> list[list[str]]:
        found: list[list[str]] = []
        cursor: dict[str, Any] = {}
        while True:
            listed = world.ask("/api/v1/alerts", **query, **cursor)
            found.append(names(listed))
            if listed["next_cursor"] is None:
                return found
            cursor = {"cursor": listed["next_cursor"]}

    assert sorted(name for page in pages(limit=2) for name in page) == [f"Alert{number}" for number in range(7)]
    assert [len(page) for page in pages(limit=3)] == [3, 3, 1]
    assert [len(page) for page in pages(limit=7)] == [7]
    assert pages(limit=2, label="pod=a") == [["Alert6", "Alert4"], ["Alert2", "Alert0"]]


def test_a_search_that_finds_little_ends_and_can_go_on(world: ReadWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every alert has both texts in its bytes, so each is looked at; one has the label."""
    monkeypatch.setattr("projections.alert_queries.LOOKS", 1)
    world.fire("Wanted", a="b")
    for number in range(4):
        world.advance(seconds=5)
        world.fire(f"Other{number}", a="c", d="a", e="b")

    first = world.ask("/api/v1/alerts", label="a=b", limit=2)
    assert names(first) == []
    second = world.ask("/api/v1/alerts", label="a=b", limit=2, cursor=first["next_cursor"])
    assert (names(second), second["next_cursor"]) == (["Wanted"], None)


def test_alerts_of_an_incident_stay_with_it_when_they_fire_again(world: ReadWorld) -> None:
    world.fire("ServiceDown", service="payments", pod="a")
    world.fire("ServiceDown", service="payments", pod="b")
    world.end("ServiceDown", service="payments", pod="a")
    world.end("ServiceDown", service="payments", pod="b")
    world.advance(seconds=65)
    world.fire("ServiceDown", service="payments", pod="b")

    first, second = (world.ask(f"/api/v1/incidents/INC-{number}/alerts")["alerts"] for number in (1, 2))

    assert {(alert["labels"]["pod"], alert["status"], alert["incident"]) for alert in first} == {
        ("a", "resolved", "INC-1"),
        ("b", "firing", "INC-2"),
    }
    assert [alert["labels"]["pod"] for alert in second] == ["b"]
    assert len(world.ask("/api/v1/incidents/INC-1/alerts", limit=1)["alerts"]) == 1
    assert world.response("/api/v1/incidents/INC-9/alerts").status_code == 404


def test_an_erased_alert_is_blank_and_still_there(world: ReadWorld, store_dsn: str) -> None:
    world.fire("ServiceDown", service="payments", pod="secret")
    with psycopg.connect(store_dsn) as connection:
        connection.execute("update tocsin.payloads set body = null, salt = null")

    (alert,) = world.ask("/alerts/active")["alerts"]

    assert (alert["labels"], alert["name"], alert["summary"], alert["erased"]) == ({}, "", "", True)
    assert world.ask("/alerts/active", label="pod=secret")["alerts"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "sleepy"}, "status"),
        ({"severity": "awful"}, "severity"),
        ({"label": "pod"}, "label"),
        ({"label": "=a"}, "label"),
        ({"incident": "nonsense"}, "incident"),
        ({"cursor": "YmVmb3JlIDc"}, "cursor"),
        ({"limit": "0"}, "limit"),
    ],
)
def test_a_wrong_question_names_the_field_and_a_remedy(world: ReadWorld, query: dict[str, str], field: str) -> None:
    response = world.response("/api/v1/alerts", **query)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert response.json()["remedy"]


# -- one alert ---------------------------------------------------------------------------------------------------------


def told(world: ReadWorld, name: str, **labels: str) -> dict[str, Any]:
    """One alert, by its whole id."""
    found: dict[str, Any] = world.ask(f"/api/v1/alerts/{id_of(world, name, **labels)}")
    return found


def id_of(world: ReadWorld, name: str, **labels: str) -> str:
    return ids.alert_id(ORG, "alertmanager", alert(name, labels, world.now())["fingerprint"])


def test_one_alert_with_its_texts_and_its_place(world: ReadWorld) -> None:
    world.fire("ServiceDown", service="payments", environment="production")
    world.fire("ServiceDown", service="payments")

    shown = told(world, "ServiceDown", service="payments", environment="production")

    assert shown["annotations"]["summary"] == shown["summary"] == "ServiceDown is wrong"
    assert shown["facts"] == {
        "@severity": "critical",
        "@source": "alertmanager",
        "@integration": "alertmanager",
        "@service": "payments",
        "@environment": "production",
        "@team": "platform",
    }
    assert {"name": "source", "url": "http://prometheus.example.test/graph"} in shown["links"]
    assert (shown["incident"], shown["episode"], shown["group_firing"]) == ("INC-1", 1, 2)
    assert "ServiceDown" in shown["group_key"] and len(shown["flips"]) == 1
    etag = world.response(f"/api/v1/alerts/{shown['id']}").headers["etag"]
    assert etag == f'"{shown["version"]}"'


def test_its_history_says_who_did_what(world: ReadWorld) -> None:
    world.fire("ServiceDown", service="payments")
    world.command_alert("ack", "ServiceDown", service="payments")
    assert told(world, "ServiceDown", service="payments")["acknowledged_by"] == "user:ada"
    assert world.ask("/api/v1/alerts", acknowledged=True)["alerts"][0]["acknowledged_by"] == "user:ada"
    world.command_alert("resolve", "ServiceDown", by="grace", service="payments")

    shown = told(world, "ServiceDown", service="payments")

    assert (shown["status"], shown["closed"], shown["acknowledged_by"]) == ("resolved", True, None)
    assert [(entry["type"], entry["actor"], entry["incident"]) for entry in shown["history"]] == [
        ("group.alert_fired.v1", "integration:alertmanager", "INC-1"),
        ("group.alert_acknowledged.v1", "user:ada", "INC-1"),
        ("group.alert_closed.v1", "user:grace", "INC-1"),
    ]
    types = [entry["type"] for entry in world.ask("/api/v1/incidents/INC-1/timeline")["entries"]]
    assert "group.alert_closed.v1" in types and "incident.resolved.v1" in types
    world.end("ServiceDown", service="payments")
    assert told(world, "ServiceDown", service="payments")["closed"] is False


def test_an_alert_that_waits_has_a_history_and_no_incident(world: ReadWorld) -> None:
    silence = world.silence(minutes=30, service="payments")
    revision = world.store.config().revision
    world.fire("ServiceDown", service="payments")

    shown = told(world, "ServiceDown", service="payments")

    assert (shown["incident"], shown["episode"]) == (None, 0)
    ends = (world.now() + timedelta(minutes=30)).isoformat().replace("+00:00", "Z")
    why = {"reason": "silence", "rule": silence, "until": ends, "by": None, "revision": revision}
    assert shown["suppressed"] == why
    happened = [(entry["type"], entry["incident"]) for entry in shown["history"]]
    assert happened == [("group.alert_fired.v1", None), ("group.alert_suppressed.v1", None)]


def test_the_version_of_the_rule_is_that_of_the_decision(world: ReadWorld) -> None:
    world.silence(minutes=30, service="payments")
    first = world.store.config().revision
    world.fire("ServiceDown", service="payments")
    world.silence(minutes=10, service="catalogue")
    assert world.store.config().revision > first
    assert told(world, "ServiceDown", service="payments")["suppressed"]["revision"] == first
    longer = world.silence(minutes=60, service="payments")
    second = world.store.config().revision
    url = f"/api/v1/alerts/{id_of(world, 'ServiceDown', service='payments')}"
    behind = world._front.ask(url).json()["suppressed"]
    assert (behind["rule"], behind["revision"]) == (longer, None), "not that of the decision before"
    now = world.ask(url)["suppressed"]
    assert (now["rule"], now["revision"]) == (longer, second)


def test_an_alert_is_found_by_how_its_id_begins(world: ReadWorld) -> None:
    world.fire("ServiceDown", service="payments")
    world.fire("DiskFull", service="payments")
    whole = id_of(world, "DiskFull", service="payments")
    for begins in (whole[:4], whole[:8].upper(), whole[:13], whole):
        assert names(world.ask("/api/v1/alerts", id=begins)) == ["DiskFull"]
    assert world.response("/api/v1/alerts", id="nothing").status_code == 422


def test_what_is_no_alert_is_not_found(world: ReadWorld) -> None:
    for ref in ("nobody", "INC-1", "6f0c2d3e-8d0f-4c39-9f52-2f2d3a1b5c11"):
        assert world.response(f"/api/v1/alerts/{ref}").status_code == 404
    assert world.as_nobody("/api/v1/alerts/nobody").status_code == 401
