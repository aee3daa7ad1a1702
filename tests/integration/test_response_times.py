"""Times to detect, acknowledge and resolve: of one incident, and of many by team, service and severity."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from domain import incidents, pages
from domain.severity import Severity
from projections.database import READ_SCHEMA
from projections.queries import Queries
from streams.store.migrate import migrate
from tests.projecting import ADA, AM, INCIDENT, PAGER, T0, Bench, Happening, log, opened, page, queued
from tests.read_world import ReadWorld, read_world


@pytest.fixture
def bench(store_dsn: str) -> Bench:
    return Bench(store_dsn, READ_SCHEMA)


@pytest.fixture
def queries(bench: Bench, store_dsn: str) -> Iterator[Queries]:
    asked = Queries(store_dsn, pool_size=1)
    yield asked
    asked.close()


@pytest.fixture
def world(store_dsn: str) -> Iterator[ReadWorld]:
    migrate(store_dsn, "projections", READ_SCHEMA)
    with read_world(store_dsn) as made:
        yield made


def times(queries: Queries) -> tuple[float | None, ...]:
    """To detect, acknowledge, acknowledge after the page, resolve; event n is decided n seconds after T0."""
    view = queries.incident("7")
    assert view is not None
    return (
        view.time_to_detect,
        view.time_to_acknowledge,
        view.time_to_acknowledge_after_page,
        view.time_to_resolve,
    )


SENT = (page("a"), pages.Sent("d-1", 1, possible_repeat=False), PAGER)


def test_an_incident_knows_how_long_it_took(bench: Bench, queries: Queries) -> None:
    happened: list[Happening] = [(INCIDENT, opened(), AM), queued("a"), SENT]
    bench.deliver(log(happened), 10)
    assert times(queries) == (300, None, None, None)

    happened += [(INCIDENT, incidents.Acknowledged(), ADA), (INCIDENT, incidents.Resolved("person"), ADA)]
    bench.deliver(log(happened), 10)
    assert times(queries) == (300, 4, 1, 5)


def test_first_times_count_after_it_was_given_back_and_reopened(bench: Bench, queries: Queries) -> None:
    happened: list[Happening] = [
        (INCIDENT, opened(), AM),
        (INCIDENT, incidents.Started(), ADA),
        (INCIDENT, incidents.Unacknowledged(), ADA),
        (INCIDENT, incidents.Acknowledged(), ADA),
        (INCIDENT, incidents.Resolved("person"), ADA),
        (INCIDENT, incidents.Reopened(), ADA),
        (INCIDENT, incidents.Resolved("person"), ADA),
    ]
    bench.deliver(log(happened), 3)
    assert times(queries) == (300, 2, None, 5)


def test_a_clock_that_is_ahead_and_an_acknowledgement_before_the_page_count_as_nothing(
    bench: Bench, queries: Queries
) -> None:
    ahead = opened(started_at=T0 + timedelta(hours=1))
    happened: list[Happening] = [(INCIDENT, ahead, AM), queued("a"), (INCIDENT, incidents.Acknowledged(), ADA), SENT]
    bench.deliver(log(happened), 10)

    assert times(queries) == (0, 3, 0, None)
    found = queries.response("team", T0, T0 + timedelta(seconds=1)).overall
    assert (found.detect.mean, found.acknowledge_after_page.mean) == (0, 0)


def test_many_incidents_by_group(bench: Bench, queries: Queries) -> None:
    """Incident n is opened at T0 + n minutes, acknowledged by event 2n - 1."""
    happened: list[Happening] = []
    for number in range(1, 11):
        stream = f"incident-00000000-0000-0000-0000-{number:012}"
        facts = opened(
            number,
            team="data" if number == 10 else "platform",
            severity=Severity.LOW,
            opened_at=T0 - timedelta(seconds=100 * number),
            started_at=T0 - timedelta(seconds=100 * number + number),
        )
        happened += [(stream, facts, AM), (stream, incidents.Acknowledged(), ADA)]
    bench.deliver(log(happened), 100)

    found = queries.response("team", T0 - timedelta(hours=1), T0)

    assert [(group.name, group.incidents) for group in found.groups] == [("platform", 9), ("data", 1)]
    detect = found.overall.detect
    assert (found.overall.incidents, detect.count, detect.mean, detect.median) == (10, 10, 5.5, 5.5)
    assert detect.p90 == pytest.approx(9.1)
    assert found.groups[1].acknowledge.mean == 1000 + 20
    assert (found.overall.resolve.count, found.overall.resolve.mean) == (0, None)
    assert [group.name for group in queries.response("severity", T0 - timedelta(hours=1), T0).groups] == ["low"]
    assert [group.name for group in queries.response("service", T0 - timedelta(hours=1), T0).groups] == ["payments"]
    part = queries.response("team", T0 - timedelta(seconds=200), T0 - timedelta(seconds=100))
    assert part.overall.incidents == 1, "from is inclusive, to is not"
    nothing = queries.response("team", T0, T0 + timedelta(hours=1))
    assert (nothing.overall.incidents, nothing.groups) == (0, ())


def test_only_what_can_be_grouped_by(queries: Queries) -> None:
    with pytest.raises(ValueError, match="not grouped by title"):
        queries.response("title", T0, T0)  # type: ignore[arg-type]


def metrics(world: ReadWorld, **query: Any) -> Any:
    return world.ask("/api/v1/metrics/response", **query)


def test_metrics_over_http_are_of_the_last_thirty_days(world: ReadWorld) -> None:
    world.fire("ServiceDown", service="payments")
    world.advance(seconds=30)
    world.ack("INC-1")

    found = metrics(world)

    assert (found["by"], found["to"]) == ("team", world.now().isoformat().replace("+00:00", "Z"))
    assert found["from"] == (world.now() - timedelta(days=30)).isoformat().replace("+00:00", "Z")
    assert found["overall"]["acknowledge"] == {"count": 1, "mean": 30, "median": 30, "p90": 30}
    assert [group["name"] for group in found["groups"]] == ["platform"]
    assert metrics(world, by="service", to="2026-03-02T04:00:00+01:00")["groups"] == []
    assert metrics(world, by="service", **{"from": "2026-03-02T04:00:00+01:00"})["groups"][0]["name"] == "payments"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "title"}, "by"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-03-02T03:00:00"}, "from"),
        ({"from": "2026-03-02"}, "from"),
        ({"to": "0001-01-01T00:00:00+14:00"}, "to"),
        ({"to": "2026-03-02T03:00:00 01:00"}, "to"),
        ({"from": "2026-03-02T03:00:00Z", "to": "2026-03-02T03:00:00Z"}, "from"),
        ({"to": "0001-01-01T00:00:00Z"}, "to"),
        ({"from": "9999-12-31T23:59:59-14:00"}, "from"),
    ],
)
def test_a_wrong_question_names_the_field_and_a_remedy(world: ReadWorld, query: dict[str, str], field: str) -> None:
    response = world.response("/api/v1/metrics/response", **query)
    assert response.status_code == 422, response.text
    assert response.json()["field"] == field
    assert response.json()["remedy"]
