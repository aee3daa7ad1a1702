"""What belongs to an incident, over HTTP: merge, unmerge, split, attach and detach."""

from collections.abc import Iterator
from typing import Any

import pytest

from domain import ids
from tests.asking import create, opened, problem_of
from tests.gateway_world import KEYS, GatewayWorld
from tests.memory_world import ORG
from tests.world import alert, webhook

NOBODY = "5b2f0c9e-0000-5000-8000-000000000001"


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def alert_id(world: GatewayWorld, name: str, **labels: str) -> str:
    return ids.alert_id(ORG, "alertmanager", alert(name, labels, world.now())["fingerprint"])


def group_id(world: GatewayWorld, alert: str) -> str:
    return ids.stream_uuid(world.store.alerts([alert])[alert].group or "")


def both(world: GatewayWorld) -> tuple[str, str]:
    return opened(world, "Down", service="payments"), opened(world, "Slow", service="payments")


def id_of(world: GatewayWorld, name: str) -> str:
    return str(world.ask(f"/api/v1/incidents/{name}").json()["id"])


def told(world: GatewayWorld, name: str, verb: str, **body: Any) -> dict[str, Any]:
    answer = world.tell(name, verb, json=body) if body else world.tell(name, verb)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_merged_incident_names_the_one_that_is_worked_on(world: GatewayWorld) -> None:
    winner, loser = both(world)
    answer = told(world, loser, "merge", into=winner)
    assert (answer["name"], answer["status"], answer["other"], answer["changed"]) == (loser, "merged", winner, True)
    shown = world.ask(f"/api/v1/incidents/{loser}?redirect=false")
    into = id_of(world, winner)
    assert (shown.status_code, shown.json()["name"], shown.json()["status"]) == (200, loser, "merged")
    assert (shown.json()["merged_into"], shown.json()["merged_into_id"]) == (winner, into)
    assert shown.headers["Link"] == f'</api/v1/incidents/{into}>; rel="canonical"'
    assert "Link" not in world.ask(f"/api/v1/incidents/{winner}").headers
    assert told(world, loser, "merge", into=winner)["changed"] is False


def test_who_asks_for_a_merged_incident_is_sent_to_the_one_that_is_worked_on(world: GatewayWorld) -> None:
    winner, loser = both(world)
    identity, into = id_of(world, loser), id_of(world, winner)
    position = told(world, loser, "merge", into=winner)["position"]
    for ref in (loser, identity):
        sent = world.ask(f"/api/v1/incidents/{ref}")
        assert (sent.status_code, sent.headers["Location"]) == (307, f"/api/v1/incidents/{into}")
        assert sent.json() == {"id": identity, "name": loser, "merged_into": winner, "merged_into_id": into}
        assert world.ask(sent.headers["Location"]).json()["name"] == winner
    query = f"note=a%20%26%0D%0Ab&redirect=true&min_position={position}&note="
    sent = world.ask(f"/api/v1/incidents/{loser}?{query}")
    rest = f"note=a+%26%0D%0Ab&min_position={position}&note="
    assert sent.headers["Location"] == f"/api/v1/incidents/{into}?{rest}"
    problem_of(world.ask(f"/api/v1/incidents/{loser}?min_position={position + 99}"), 503, "read_model_behind")


def test_what_was_merged_several_times_leads_to_the_last(world: GatewayWorld) -> None:
    first, second = both(world)
    third = opened(world, "Full", service="payments")
    told(world, third, "merge", into=second)
    told(world, second, "merge", into=first)
    problem_of(world.tell(first, "merge", json={"into": third}), 409, "incident_merged")
    seen, path = [], f"/api/v1/incidents/{third}"
    while (answer := world.ask(path)).status_code == 307:
        seen.append(answer.json()["name"])
        path = answer.headers["Location"]
    assert (seen, answer.status_code, answer.json()["name"]) == ([third, second], 200, first)
    told(world, second, "unmerge")
    assert world.ask(world.ask(f"/api/v1/incidents/{third}").headers["Location"]).json()["name"] == second


def test_whether_to_redirect_is_true_or_false(world: GatewayWorld) -> None:
    name = opened(world)
    document = problem_of(world.ask(f"/api/v1/incidents/{name}?redirect=later"), 422, "bad_request_fields")
    assert document["field"] == "redirect"
    for word in ("true", "false"):
        assert world.ask(f"/api/v1/incidents/{name}?redirect={word}").json()["name"] == name


def test_the_history_of_a_merged_incident_stays_where_it_is(world: GatewayWorld) -> None:
    winner, loser = both(world)
    told(world, loser, "merge", into=winner)
    for part in ("alerts", "pages", "deliveries"):
        assert world.ask(f"/api/v1/incidents/{loser}/{part}").status_code == 200
    timeline = world.ask(f"/api/v1/incidents/{loser}/timeline").json()
    assert (timeline["incident"]["name"], timeline["incident"]["merged_into"]) == (loser, winner)
    assert "incident.merged.v1" in [entry["type"] for entry in timeline["entries"]]


def test_who_takes_a_merged_incident_takes_the_other(world: GatewayWorld) -> None:
    winner, loser = both(world)
    told(world, loser, "merge", into=winner)
    answer = told(world, loser, "ack")
    assert (answer["name"], answer["status"]) == (winner, "acknowledged")


def test_everything_else_is_refused_and_says_where_to_go(world: GatewayWorld) -> None:
    winner, loser = both(world)
    told(world, loser, "merge", into=winner)
    for verb, body in (
        ("resolve", None),
        ("reopen", None),
        ("assign", {"users": ["ada"]}),
        ("severity", {"severity": "low"}),
    ):
        document = problem_of(world.tell(loser, verb, json=body), 409, "incident_merged")
        assert winner in document["detail"] and winner in document["remedy"]
    version = world.ask(f"/api/v1/incidents/{loser}?redirect=false").headers["ETag"]
    problem_of(world.tell(loser, "ack", headers={"If-Match": version}), 409, "incident_merged")
    assert told(world, loser, "comment", text="it was the disk")["status"] == "merged"


def test_a_merge_is_undone(world: GatewayWorld) -> None:
    winner, loser = both(world)
    told(world, loser, "merge", into=winner)
    answer = told(world, loser, "unmerge")
    assert (answer["name"], answer["status"], answer["other"]) == (loser, "triggered", winner)
    shown = world.ask(f"/api/v1/incidents/{loser}")
    assert (shown.status_code, shown.json()["name"], shown.json()["merged_into"]) == (200, loser, None)
    assert told(world, loser, "unmerge")["changed"] is False


def test_a_merge_that_is_asked_twice_is_decided_once(world: GatewayWorld) -> None:
    winner, loser = both(world)
    key = {"Idempotency-Key": "merge-1"}
    first = world.tell(loser, "merge", json={"into": winner}, headers=key).json()
    told(world, loser, "unmerge")
    assert world.tell(loser, "merge", json={"into": winner}, headers=key).json() == first
    assert world.ask(f"/api/v1/incidents/{loser}").json()["status"] == "triggered"


def test_a_merge_is_for_the_incident_as_it_was_seen(world: GatewayWorld) -> None:
    winner, loser = both(world)
    problem_of(
        world.tell(loser, "merge", json={"into": winner}, headers={"If-Match": '"99"'}), 412, "precondition_failed"
    )


def test_an_incident_that_a_person_opened_is_merged_too(world: GatewayWorld) -> None:
    winner = opened(world, "Down", service="payments")
    loser = create(world, title="The example shop is slow", service="payments").json()["name"]
    assert told(world, loser, "merge", into=winner)["status"] == "merged"


def test_what_there_is_not_cannot_be_merged_into(world: GatewayWorld) -> None:
    name = opened(world)
    problem_of(world.tell(name, "merge", json={"into": "INC-99"}), 404, "not_found")
    document = problem_of(world.tell(name, "merge", json={"into": NOBODY}), 422, "bad_request_fields")
    assert document["field"] == "into"
    assert problem_of(world.tell(name, "merge", json={"into": name}), 422, "bad_request_fields")["field"] == "into"


def test_alerts_are_split_off_and_attached_again(world: GatewayWorld) -> None:
    name = opened(world, "Slow", service="payments", instance="a")
    opened(world, "Slow", service="payments", instance="b")
    alert = alert_id(world, "Slow", service="payments", instance="b")
    made = told(world, name, "split", alerts=[alert])["other"]
    assert world.ask(f"/api/v1/incidents/{made}").json()["status"] == "triggered"
    document = problem_of(world.tell(name, "attach", json={"alerts": [alert]}), 409, "nothing_left")
    assert document["remedy"] == f"Merge {made} into {name} instead."
    assert told(world, made, "merge", into=name)["status"] == "merged"


def test_a_group_is_attached_and_detached(world: GatewayWorld) -> None:
    winner, loser = both(world)
    third = opened(world, "Full", service="payments")
    told(world, loser, "merge", into=winner)
    group = group_id(world, alert_id(world, "Slow", service="payments"))
    answer = told(world, third, "attach", group=group)
    assert (answer["name"], answer["other"]) == (third, winner)
    assert told(world, third, "attach", group=group)["changed"] is False
    made = told(world, third, "detach", group=group)["other"]
    assert made not in (winner, loser, third)


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("merge", {}, "into"),
        ("split", {"alerts": []}, "alerts"),
        ("split", {"alerts": ["x"]}, "alerts"),
        ("split", {"alerts": [NOBODY]}, "alerts"),
        ("attach", {"group": NOBODY, "alerts": [NOBODY]}, "alerts"),
        ("attach", {"group": NOBODY}, "group"),
        ("detach", {"group": NOBODY}, "group"),
    ],
)
def test_a_wrong_body_names_the_field(world: GatewayWorld, verb: str, body: dict[str, Any], field: str) -> None:
    document = problem_of(world.tell(opened(world), verb, json=body), 422, "bad_request_fields")
    assert document.get("field", "").split(".")[0].split("[")[0] == field


def test_the_past_knows_where_a_split_off_alert_was(world: GatewayWorld) -> None:
    name = opened(world, "Slow", service="payments", instance="a")
    opened(world, "Slow", service="payments", instance="b")
    labels = {"service": "payments", "instance": "b"}
    times = []
    for verb, body in (("", {}), ("split", {"alerts": [alert_id(world, "Slow", **labels)]}), ("merge", {"into": name})):
        if verb:
            told(world, "INC-2" if verb == "merge" else name, verb, **body)
        times.append(world.now().isoformat())
        world.advance(minutes=1)
    reported = webhook([alert("Slow", labels, world.now())])
    found = []
    for at in times:
        asked = {"alert": reported, "integration": "alertmanager", "at": at}
        said = world.request("POST", "/api/v1/explain", KEYS["viewer"], json=asked).json()
        found.append((said["incident"]["name"], said["incident"]["fate"]))
    assert found == [(name, "is_in"), ("INC-2", "is_in"), (name, "is_in")]
