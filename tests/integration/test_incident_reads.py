"""Incidents over HTTP, on real read models: filters, and what every read has in common."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.database import READ_SCHEMA
from streams.store.migrate import migrate
from tests.read_world import ReadWorld, read_world

READS = (
    "/api/v1/incidents",
    "/api/v1/incidents/INC-1",
    "/api/v1/incidents/INC-1/timeline",
    "/api/v1/incidents/INC-1/alerts",
    "/api/v1/incidents/INC-1/pages",
    "/api/v1/incidents/INC-1/deliveries",
    "/api/v1/alerts",
    "/alerts/active",
    "/api/v1/due",
    "/api/v1/metrics/response",
)


@pytest.fixture
def world(store_dsn: str) -> Iterator[ReadWorld]:
    migrate(store_dsn, "projections", READ_SCHEMA)
    with read_world(store_dsn) as made:
        yield made


def names(world: ReadWorld, **query: Any) -> list[str]:
    return [one["name"] for one in world.ask("/api/v1/incidents", **query)["incidents"]]


def test_filters_over_http(world: ReadWorld) -> None:
    began = world.now()
    world.fire("ServiceDown", service="payments")
    world.advance(seconds=30)
    world.fire("SearchSlow", service="catalogue")
    world.advance(seconds=30)
    world.fire("DiskFull")
    world.ack("INC-2", by="edsger")

    assert names(world) == ["INC-3", "INC-2", "INC-1"]
    assert names(world, service="payments,catalogue") == names(world, service=["payments", "catalogue"])
    assert names(world, service=["payments", "catalogue"]) == ["INC-2", "INC-1"]
    assert names(world, team="search", status="open,acknowledged") == ["INC-2"]
    assert names(world, title="service") == ["INC-1"]
    assert names(world, assignee="edsger") == []
    middle = (began + timedelta(seconds=30)).isoformat()
    assert names(world, opened_after=middle) == ["INC-3", "INC-2"]
    assert names(world, opened_before=middle, opened_after=began.isoformat()) == ["INC-1"]


def test_an_incident_says_how_long_it_took(world: ReadWorld) -> None:
    world.fire("ServiceDown", at=world.now() - timedelta(minutes=2), service="payments")
    world.advance(seconds=15)
    world.ack("INC-1")
    world.advance(seconds=15)
    world.resolve("INC-1")
    shown = world.ask("/api/v1/incidents/INC-1")
    found = {name: shown[f"time_to_{name}"] for name in ("detect", "acknowledge", "acknowledge_after_page", "resolve")}
    assert found == {"detect": 120, "acknowledge": 15, "acknowledge_after_page": 15, "resolve": 30}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"assignee": "a\0b"}, "assignee"),
        ({"team": "x" * 201}, "team"),
        ({"team": ",".join(map(str, range(30)))}, "team"),
        ({"title": "x" * 201}, "title"),
        ({"opened_after": "yesterday"}, "opened_after"),
        ({"opened_before": "2026-03-02"}, "opened_before"),
        ({"opened_after": "2026-03-02T03:00:00Z", "opened_before": "2026-03-02T03:00:00Z"}, "opened_before"),
    ],
)
def test_a_wrong_question_names_the_field_and_a_remedy(world: ReadWorld, query: dict[str, str], field: str) -> None:
    response = world.response("/api/v1/incidents", **query)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert response.json()["remedy"]


def test_every_read_waits_for_a_position_and_needs_a_viewer(world: ReadWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.asking.READ_MODEL_WAIT", 0.0)
    world.fire("ServiceDown", service="payments")
    head = world.store.head()
    for path in READS:
        assert world.response(path, min_position=head).status_code == 200, path
        behind = world.response(path, min_position=head + 1)
        assert (behind.status_code, behind.json()["type"]) == (503, "/problems/read_model_behind"), path
        assert world.as_nobody(path).status_code == 401, path


PARAMETERS = (
    "status", "severity", "service", "team", "assignee", "title", "opened_after", "opened_before", "limit", "cursor",
    "integration", "incident", "label", "kind", "by", "from", "to",
)  # fmt: skip
VALUES = st.text(max_size=30) | st.sampled_from(
    ["firing", "INC-1", "a=b", "=", "9" * 20, "2026-03-02T03:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00Z"]
    + [urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in (
        "before 7", "alert 2026-03-02T03:00:00+00:00 6f1f7b0e-0000-5000-8000-000000000005",
        "alert 9999-99-99T03:00:00+00:00 6f1f7b0e-0000-5000-8000-000000000005",
        "due 0001-01-01T00:00:00+14:00 a b", "due 2026-03-02T03:00:00+00:00 a \0", "due 2026-03-02T03:00:00.000 a b",
    )]
)  # fmt: skip


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(READS), query=st.dictionaries(st.sampled_from(PARAMETERS), VALUES, max_size=3))
def test_no_question_is_answered_with_a_500(world: ReadWorld, path: str, query: dict[str, str]) -> None:
    response = world.response(path, **query)
    assert response.status_code in (200, 404, 422), response.text
    if response.status_code == 422:
        assert response.json()["field"] in query
        assert response.json()["remedy"]


def test_an_incident_leads_on_to_its_runbook_and_its_service(world: ReadWorld) -> None:
    links = "{dashboard: 'https://grafana.example.test/d/pay'}"
    route = "    - {matchers: ['alertname=\"Down\"'], runbook: 'https://runbooks.example.test/down'}\n"
    linked = world.config.replace(
        "{team: platform, policy: two-steps}", f"{{team: platform, policy: two-steps, links: {links}}}"
    )
    world.configure(linked.replace("  routes:\n", f"  routes:\n{route}"))
    world.fire("Down", service="payments")
    for shown in (
        world.ask("/api/v1/incidents/INC-1"),
        world.ask("/api/v1/incidents/INC-1/timeline")["incident"],
    ):
        assert shown["runbook"] == "https://runbooks.example.test/down"
        assert shown["links"] == [{"name": "dashboard", "url": "https://grafana.example.test/d/pay"}]


def test_both_histories_of_a_merge_stay_whole(world: ReadWorld) -> None:
    for name in ("Down", "Slow", "Full"):
        world.fire(name, service="payments")
    parts = [f"/api/v1/incidents/INC-3/{part}" for part in ("pages", "deliveries")]
    before = [world.ask(part) for part in parts]
    assert all(before)
    world.merge("INC-3", "INC-2")
    world.merge("INC-2", "INC-1")
    first, second, third = (
        world.ask(f"/api/v1/incidents/INC-{number}", redirect="false")["id"] for number in (1, 2, 3)
    )
    for ref, into in (("INC-3", second), (third, second), (second, first)):
        sent = world.response(f"/api/v1/incidents/{ref}")
        assert (sent.status_code, sent.headers["Location"]) == (307, f"/api/v1/incidents/{into}")
    assert world.ask(f"/api/v1/incidents/{first}")["name"] == "INC-1"
    assert [world.ask(part) for part in parts] == before
    timeline = world.ask("/api/v1/incidents/INC-3/timeline")
    assert (timeline["incident"]["name"], timeline["incident"]["merged_into"]) == ("INC-3", "INC-2")
    types = [entry["type"] for entry in timeline["entries"]]
    assert {"incident.opened.v1", "incident.merged.v1"} <= set(types) and "incident.absorbed.v1" not in types
    world.command("unmerge", "INC-2")
    assert world.ask("/api/v1/incidents/INC-2")["status"] == "triggered"
    world.leftover()
