"""Silences over HTTP, at Alertmanager's API: set, changed, ended, found, refused."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gateway.examples import SILENCE
from streams import silencing
from streams.store.base import Answered
from tests.asking import problem_of
from tests.gateway_world import KEYS, TOKEN, GatewayWorld
from tests.silencing import SILENCES, body, matcher, post


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def made(world: GatewayWorld, *matchers: Mapping[str, Any], **more: Any) -> str:
    """A silence that was set: its id."""
    answer = post(world, body(world, *matchers, **more))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["silenceID"])


def shown(world: GatewayWorld, name: str) -> Any:
    answer = world.ask(f"/api/v2/silence/{name}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def end(world: GatewayWorld, name: str, role: str = "responder") -> Any:
    return world.request("DELETE", f"/api/v2/silence/{name}", KEYS[role])


def listed(world: GatewayWorld, *filters: str, **query: Any) -> list[str]:
    answer = world.ask(SILENCES, params={"filter": list(filters), **query})
    assert answer.status_code == 200, answer.text
    return [silence["id"] for silence in answer.json()]


def refused(answer: Any, status: int, *words: str) -> None:
    """A refusal as amtool prints it: one JSON string, which has these words."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    sentence = answer.json()
    assert isinstance(sentence, str) and sentence.endswith((".", "?"))
    for word in words:
        assert word in sentence


def test_a_silence_is_shown_as_it_was_set(world: GatewayWorld) -> None:
    four = [
        matcher("a", "1"),
        matcher("b", "2", is_equal=False),
        matcher("c", "3.*", True),
        matcher("d", "4", True, False),
    ]
    name = made(world, *four)
    silence = shown(world, name)
    assert silence == {
        "id": name,
        "matchers": four,
        "startsAt": "2026-03-02T03:00:00Z",
        "endsAt": "2026-03-02T04:00:00Z",
        "updatedAt": "2026-03-02T03:00:00Z",
        "createdBy": "ada",
        "comment": "being repaired",
        "status": {"state": "active"},
    }
    assert world.ask(SILENCES).json() == [silence]
    (operators,) = [[str(m.operator) for m in s.matchers] for s in world.store.config().silences.values()]
    assert operators == ["=", "!=", "=~", "!~"]


def test_is_equal_may_be_left_out_and_what_is_not_known_is_ignored(world: GatewayWorld) -> None:
    plain = {"name": "a", "value": "1", "isRegex": False}
    name = made(world, plain, status={"state": "expired"}, updatedAt="yesterday", annotations={})
    assert shown(world, name)["matchers"] == [{**plain, "isEqual": True}]


def test_a_silence_is_pending_then_active_then_expired(world: GatewayWorld) -> None:
    name = made(world, after=10, minutes=20)
    states = []
    for _ in range(4):
        states.append(shown(world, name)["status"]["state"])
        world.advance(minutes=10)
    assert states == ["pending", "active", "active", "expired"]


def test_who_set_it_is_in_the_event_and_what_they_wrote_is_not(world: GatewayWorld) -> None:
    made(world, createdBy="Grace Example", comment="secret plans")
    (event,) = [e for e in world.store.tail(0, 1000) if e.stream.startswith("config-") and "silence" in str(e.event)]
    assert (event.decision.cause.actor.id, event.decision.cause.origin) == ("ada", "api")
    assert "Grace" not in str(event) and "secret" not in str(event)


def test_an_expired_silence_stays_to_be_seen_and_ending_it_again_changes_nothing(world: GatewayWorld) -> None:
    name = made(world)
    world.advance(minutes=5)
    assert end(world, name).status_code == 200
    assert (shown(world, name)["status"]["state"], shown(world, name)["endsAt"]) == ("expired", "2026-03-02T03:05:00Z")
    head = world.store.head()
    assert end(world, name).status_code == 200
    assert world.store.head() == head


def test_what_can_be_changed_keeps_its_id(world: GatewayWorld) -> None:
    name = made(world, minutes=60)
    sent = {**shown(world, name), "endsAt": "2026-03-02T09:00:00.000Z", "comment": "longer"}
    assert post(world, sent).json()["silenceID"] == name
    assert (shown(world, name)["comment"], shown(world, name)["endsAt"]) == ("longer", "2026-03-02T09:00:00Z")


def test_what_cannot_is_ended_and_set_anew(world: GatewayWorld) -> None:
    name = made(world)
    other = post(world, {**shown(world, name), "matchers": [matcher("service", "catalogue")]}).json()["silenceID"]
    assert other != name
    assert [shown(world, one)["status"]["state"] for one in (name, other)] == ["expired", "active"]
    refused(post(world, {**shown(world, name), "id": "gone"}), 404, "no silence gone")


def test_lists_are_in_alertmanagers_order(world: GatewayWorld) -> None:
    early, late = made(world, minutes=1), made(world, minutes=2)
    world.advance(minutes=3)
    second, first = made(world, minutes=50), made(world, minutes=40)
    later, soon = made(world, after=50), made(world, after=5)
    assert listed(world) == [first, second, soon, later, late, early]


def test_filters_ask_what_the_matchers_say(world: GatewayWorld) -> None:
    one = made(world, matcher("service", "payments"), matcher("pod", "a|b", True))
    two = made(world, matcher("service", "catalogue"), createdBy="Grace Example")
    assert listed(world, 'service="payments"') == listed(world, "{service=payments}") == [one]
    assert listed(world, 'service=~"pay.*|cat.*"') == [one, two]
    assert listed(world, 'service=~"pay.*"', 'pod!=""') == [one]
    assert listed(world, 'pod=""') == listed(world, 'service!="payments"') == [two]
    assert listed(world, 'pod="a|b"') == [one]
    there = made(world, matcher("pod", "", is_equal=False), minutes=61)
    assert listed(world, 'pod!=""') == [one, there]
    assert listed(world, "nothing=there") == []
    assert listed(world, creator="Grace Example") == [two]
    refused(world.ask(SILENCES, params={"filter": 'a=~"("'}), 400, "filter", "does not compile")
    refused(world.ask(SILENCES, params={"filter": "a"}), 400)


def test_a_viewer_reads_and_a_responder_sets(world: GatewayWorld) -> None:
    name = made(world)
    refused(post(world, body(world), role="viewer"), 403, "responder")
    refused(end(world, name, role="viewer"), 403, "responder")
    nobody = world.request("GET", SILENCES)
    refused(nobody, 401, "API key")
    assert nobody.headers["www-authenticate"] == 'Bearer realm="tocsin"'
    refused(world.request("GET", f"/api/v2/silence/{name}", TOKEN), 401, "webhook token")
    refused(world.request("GET", "/api/v2/status"), 401)
    assert post(world, body(world), role="admin").status_code == 200


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"matchers": []}, "matchers"),
    ({"matchers": None}, "matchers"),
    ({"matchers": [matcher("a", "1")] * 101}, "matchers"),
    ({"matchers": [matcher("", "1")]}, "matchers.0.name"),
    ({"matchers": [matcher("a" * 1001, "1")]}, "matchers.0.name"),
    ({"matchers": [matcher("a", "1" * 1001)]}, "matchers.0.value"),
    ({"matchers": [{"name": "a", "value": 1, "isRegex": False}]}, "matchers.0.value"),
    ({"matchers": [{"name": "a", "value": "1"}]}, "matchers.0.isRegex"),
    ({"matchers": [{**matcher("a", "1"), "isRegex": "yes"}]}, "matchers.0.isRegex"),
    ({"matchers": [{**matcher("a", "1"), "isEqual": None}]}, "matchers.0.isEqual"),
    ({"matchers": [matcher("b", "1"), matcher("a", "(", True)]}, "matchers: Number 2: The regular expression"),
    ({"matchers": [matcher("@nothing", "1")]}, "matchers: Number 1: There is no fact"),
    ({"matchers": [matcher("a", "x\0")]}, "matchers: Number 1"),
    ({"matchers": [matcher("a", ".*", True), matcher("b", "")]}, "empty string"),
    ({"startsAt": "tomorrow"}, "startsAt"),
    ({"startsAt": 7}, "startsAt"),
    ({"startsAt": "2026-03-02T03:00:00"}, "startsAt"),
    ({"endsAt": "0001-01-01T00:00:00Z"}, "endsAt"),
    ({"endsAt": "9999-12-31T23:59:59-01:00"}, "endsAt"),
    ({"endsAt": "2026-03-02T02:59:59Z"}, "in the past"),
    ({"startsAt": "2026-03-02T09:00:00Z"}, "before it begins"),
    ({"endsAt": None}, "endsAt"),
    ({"createdBy": None}, "createdBy"),
    ({"createdBy": "a" * 201}, "createdBy"),
    ({"comment": ["a"]}, "comment"),
    ({"comment": "a" * 10_001}, "comment"),
    ({"id": 7}, "id"),
    ({"id": "a" * 101}, "id"),
]


@pytest.mark.parametrize(("change", "word"), WRONG)
def test_everything_wrong_has_a_sentence(world: GatewayWorld, change: dict[str, Any], word: str) -> None:
    refused(post(world, {**body(world), **change}), 400, word)
    assert world.ask(SILENCES).json() == []


@pytest.mark.parametrize("missing", ["matchers", "startsAt", "endsAt", "createdBy", "comment"])
def test_what_is_required_is_required(world: GatewayWorld, missing: str) -> None:
    refused(post(world, {name: value for name, value in body(world).items() if name != missing}), 400, missing)


def test_what_is_no_silence_at_all(world: GatewayWorld) -> None:
    for content in (b"", b"[]", b"null", b"{", b"\xff", b'{"matchers": [{"name": "\\ud800"}]}', b"[" * 5000):
        refused(post(world, None, content=content), 400)
    refused(post(world, None, content=b"{}", headers={"Content-Type": "text/plain"}), 415, "Content-Type")
    refused(post(world, None, content=b" " * (world.parts.settings.max_body_bytes + 1)), 413, "larger")
    for name in ("nothing", "00000000-0000-4000-8000-000000000000", "%00", "a" * 5000):
        refused(world.ask(f"/api/v2/silence/{name}"), 404)
        refused(end(world, name), 404)


def test_the_status_is_what_clients_look_for(world: GatewayWorld) -> None:
    world.advance(minutes=5)
    status = world.ask("/api/v2/status").json()
    assert status["cluster"] == {"status": "disabled"}
    assert status["uptime"] == "2026-03-02T03:00:00Z"
    assert set(status["versionInfo"]) == {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"}
    assert status["config"]["original"].startswith("#")


def test_of_as_many_silences_as_there_may_be_each_can_be_changed(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(world)
    made(world, matcher("service", "catalogue"))
    monkeypatch.setattr(silencing, "MOST", 2)
    longer = post(world, body(world, minutes=90, id=first))
    assert (longer.status_code, longer.json()["silenceID"]) == (200, first)
    mores: tuple[dict[str, Any], ...] = ({}, {"id": first})
    for more in mores:
        another = post(world, body(world, matcher("service", "search"), **more))
        assert (another.status_code, another.headers.get("Retry-After")) == (409, None)
        assert another.json().startswith("There are 2 silences already.")
    ours = world.request("POST", "/api/v1/silences", KEYS["responder"], json=body(world)).json()
    assert (ours["type"], ours["status"]) == ("/problems/too_many", 409)
    told = world.ask("/openapi.json").json()["paths"]
    for path in (SILENCES, "/api/v1/silences"):
        assert "`too_many`" in told[path]["post"]["responses"]["409"]["description"]


def test_the_configuration_files_know_nothing_of_silences(world: GatewayWorld) -> None:
    name = made(world)
    before = world.request("GET", "/api/v1/config", KEYS["admin"])
    assert before.status_code == 200 and name not in before.text
    pruned = {"documents": {"all.yaml": before.text}, "prune": True}
    answer = world.request("POST", "/api/v1/config/apply", KEYS["admin"], json=pruned)
    assert (answer.status_code, answer.json()["changes"]) == (200, [])
    assert shown(world, name)["status"]["state"] == "active"
    history = world.request("GET", "/api/v1/config/history", KEYS["admin"]).json()["changes"]
    assert (history[0]["kind"], history[0]["id"], history[0]["actor"]) == ("silence", name, "user:ada")
    assert "being repaired" not in str(history)


def test_the_example_is_taken(world: GatewayWorld) -> None:
    assert post(world, SILENCE).status_code == 200


# -- once, at our own address ------------------------------------------------------------------------------------------


def post_once(world: GatewayWorld, sent: Any, key: str, role: str = "responder") -> Any:
    return world.request("POST", "/api/v1/silences", KEYS[role], json=sent, headers={"Idempotency-Key": key})


def test_the_same_silence_under_one_key_is_set_once(world: GatewayWorld) -> None:
    sent = body(world)
    first = post_once(world, sent, "k")
    assert first.status_code == 200, first.text
    head = world.store.head()
    world.advance(minutes=5)
    assert post_once(world, sent, "k").json() == first.json()
    assert (world.store.head(), list(world.store.config().silences)) == (head, [first.json()["silenceID"]])
    assert post_once(world, sent, "another").json() != first.json()


def test_another_silence_under_the_same_key_is_refused(world: GatewayWorld) -> None:
    post_once(world, body(world), "k")
    refused = post_once(world, body(world, minutes=90), "k")
    problem_of(refused, 422, "idempotency_key_reused")
    assert len(world.store.config().silences) == 1


def test_who_asks_at_the_same_time_gets_the_same_answer(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other request is saved between this one's look and its save."""
    sent = body(world)
    first = post_once(world, sent, "k").json()
    answered, looks = world.store.answered, iter([True])

    def late(_: object, api_key: str, key: str) -> Answered | None:
        return None if next(looks, False) else answered(api_key, key)

    monkeypatch.setattr(type(world.store), "answered", late)
    assert post_once(world, sent, "k").json() == first
    assert len(world.store.config().silences) == 1


def test_refusals_at_our_own_address_are_problems(world: GatewayWorld) -> None:
    problem_of(post_once(world, body(world, id="nothing"), "k"), 404, "not_found")
    problem_of(post_once(world, body(world, minutes=-1), "k"), 422, "bad_request_fields")
    problem_of(post_once(world, body(world), "k", role="viewer"), 403, "forbidden")
    assert post_once(world, body(world), "k").status_code == 200, "what was refused is not kept"


@pytest.mark.parametrize("kind", ["silence", "silences"])
def test_a_silence_has_a_history_of_its_own(world: GatewayWorld, kind: str) -> None:
    first = post_once(world, body(world), "k").json()["silenceID"]
    post_once(world, body(world, matcher("service", "catalogue")), "another")
    assert world.request("DELETE", f"/api/v2/silence/{first}", KEYS["responder"]).status_code == 200
    query = {"kind": kind, "id": first}
    told = world.request("GET", "/api/v1/config/history", KEYS["admin"], params=query).json()["changes"]
    assert [(one["kind"], one["id"]) for one in told] == [("silence", first)] * 2
