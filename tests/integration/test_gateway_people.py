"""What people read and do through the gateway, as they meet it."""

from collections.abc import Iterator

import pytest

from streams.store.base import Conflict
from tests.asking import opened, problem_of
from tests.gateway_world import GatewayWorld


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def test_every_verb_is_decided_and_says_whether_it_changed_anything(world: GatewayWorld) -> None:
    name = opened(world)
    steps = [("ack", "acknowledged"), ("unack", "triggered"), ("start", "in_progress"), ("resolve", "resolved")]
    for verb, status in [*steps, ("reopen", "triggered")]:
        first = world.tell(name, verb).json()
        assert (first["status"], first["changed"]) == (status, True)
        assert (world.tell(name, verb).json()["changed"]) is False


def test_a_command_that_the_status_does_not_allow_says_what_to_do(world: GatewayWorld) -> None:
    name = opened(world)
    world.tell(name, "resolve")
    document = problem_of(world.tell(name, "ack"), 409, "incident_resolved")
    assert name in document["detail"]
    assert document["remedy"] == "Reopen it if it is not over; the next alert opens another in any case."


def test_an_incident_is_found_by_name_number_and_id(world: GatewayWorld) -> None:
    name = opened(world)
    identity = world.ask(f"/api/v1/incidents/{name}").json()["id"]
    for ref in (name, name.lower(), name[4:], identity, identity.upper()):
        assert world.ask(f"/api/v1/incidents/{ref}").json()["name"] == name
        assert world.tell(ref, "ack").json()["name"] == name


@pytest.mark.parametrize(
    "ref", ["INC-99", "99", "nonsense", "%00", "6f1f7b0e-5f0d-5a3c-9a55-0c6f1f6f7463", "INC-" + "9" * 40]
)
def test_there_is_no_such_incident(world: GatewayWorld, ref: str) -> None:
    for response in (world.ask(f"/api/v1/incidents/{ref}"), world.tell(ref, "ack")):
        problem_of(response, 404, "not_found")
    for part in ("timeline", "pages"):
        problem_of(world.ask(f"/api/v1/incidents/{ref}/{part}"), 404, "not_found")


def test_a_number_that_the_read_model_does_not_know_yet_is_not_denied(world: GatewayWorld) -> None:
    name = opened(world)
    identity = world.ask(f"/api/v1/incidents/{name}").json()["id"]
    world.queries.behind = world.store.head()
    problem_of(world.tell(name, "ack"), 503, "read_model_behind")
    for part in ("", "/timeline", "/alerts", "/pages", "/deliveries"):
        for ref in (name, identity):
            problem_of(world.ask(f"/api/v1/incidents/{ref}{part}"), 503, "read_model_behind")
    assert world.tell(identity, "ack").json()["status"] == "acknowledged"


def test_a_question_for_a_position_not_reached_yet_is_not_answered_with_the_past(world: GatewayWorld) -> None:
    opened(world)
    head = world.store.head()
    response = world.ask(f"/api/v1/incidents?min_position={head + 1}")
    problem_of(response, 503, "read_model_behind")
    assert response.headers["retry-after"] == "1"
    assert world.ask(f"/api/v1/incidents?min_position={head}").status_code == 200


def test_incidents_are_filtered_by_any_of_their_names_and_paged(world: GatewayWorld) -> None:
    for name in ("One", "Two", "Three"):
        opened(world, name)
    world.tell("INC-2", "ack")

    def names(query: str) -> list[str]:
        return [one["name"] for one in world.ask(f"/api/v1/incidents?{query}").json()["incidents"]]

    assert names("") == ["INC-3", "INC-2", "INC-1"]
    assert names("status=acknowledged") == ["INC-2"]
    assert names("status=open") == names("status=triggered") == ["INC-3", "INC-1"]
    assert names("status=open,ACKNOWLEDGED&severity=critical&team=platform") == ["INC-3", "INC-2", "INC-1"]
    assert names("severity=page") == ["INC-3", "INC-2", "INC-1"]
    assert names("severity=info") == []
    first = world.ask("/api/v1/incidents?limit=2").json()
    assert names(f"limit=2&cursor={first['next_cursor']}") == ["INC-1"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=sleepy", "status"),
        ("severity=awful", "severity"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("cursor=nonsense", "cursor"),
        ("min_position=-1", "min_position"),
        (f"min_position={10**30}", "min_position"),
        ("service=%00", "service"),
    ],
)
def test_a_wrong_question_names_the_field_that_is_wrong(world: GatewayWorld, query: str, field: str) -> None:
    document = problem_of(world.ask(f"/api/v1/incidents?{query}"), 422, "bad_request_fields")
    assert document["field"] == field


def test_a_command_says_which_door_it_came_through(world: GatewayWorld) -> None:
    name = opened(world)
    world.tell(name, "ack", headers={"X-Tocsin-Origin": "cli"})
    entry = world.ask(f"/api/v1/incidents/{name}/timeline").json()["entries"][-1]
    assert (entry["origin"], entry["actor"]) == ("cli", "user:ada")
    world.tell(name, "unack", role="admin")
    entry = world.ask(f"/api/v1/incidents/{name}/timeline").json()["entries"][-1]
    assert (entry["origin"], entry["actor"]) == ("api", "user:root")
    problem_of(world.tell(name, "ack", headers={"X-Tocsin-Origin": "pager"}), 422, "bad_request_fields")


def test_the_database_away_or_contended_is_said_so(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    name = opened(world)
    world.queries.down = True
    response = world.ask("/api/v1/incidents")
    problem_of(response, 503, "unavailable")
    world.queries.down = False

    def contended(save: object) -> int:
        raise Conflict("again")

    monkeypatch.setattr(type(world.store), "save", lambda self, save: contended(save))
    problem_of(world.tell(name, "ack"), 409, "conflict")
