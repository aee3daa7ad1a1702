"""The objects of the configuration over HTTP: whole and referenced, with versions, authors and a history."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest

from tests.asking import opened, problem_of
from tests.gateway_world import KEYS, TOKEN, GatewayWorld


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def get(world: GatewayWorld, path: str, **more: Any) -> Any:
    return world.request("GET", f"/api/v1/config/{path}", KEYS["admin"], **more)


def put(world: GatewayWorld, path: str, body: Any, **headers: str) -> Any:
    return world.request("PUT", f"/api/v1/config/{path}", KEYS["admin"], json=body, headers=headers)


def delete(world: GatewayWorld, path: str, **headers: str) -> Any:
    return world.request("DELETE", f"/api/v1/config/{path}", KEYS["admin"], headers=headers)


SECTIONS = {
    "users": "ada",
    "teams": "platform",
    "services": "payments",
    "escalation_policies": "two-steps",
    "integrations": "alertmanager",
    "api_keys": "adas",
    "route": "default",
}


@pytest.mark.parametrize(("section", "name"), SECTIONS.items())
def test_what_is_read_can_be_put_back(world: GatewayWorld, section: str, name: str) -> None:
    shown = get(world, f"{section}/{name}")
    assert (shown.status_code, shown.headers["etag"]) == (200, '"1"')
    assert get(world, section).json()[name] == shown.json()
    done = put(world, f"{section}/{name}", shown.json(), **{"If-Match": shown.headers["etag"]})
    assert (done.status_code, done.json()["changes"], done.headers["etag"]) == (200, [], '"1"')
    assert not any(secret in shown.text for secret in (TOKEN, *KEYS.values()))


def test_an_object_is_created_changed_and_removed_with_an_author(world: GatewayWorld) -> None:
    created = put(world, "teams/search-b", {"members": [{"user": "ada", "role": "primary"}]})
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    changed = put(world, "teams/search-b", {"members": [{"user": "grace", "role": "primary"}]})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["changes"] == [
        {
            "kind": "team",
            "id": "search-b",
            "change": "update",
            "fields": [{"field": "members[0].user", "before": "ada", "after": "grace"}],
        }
    ]
    removed = delete(world, "teams/search-b")
    assert removed.json()["changes"][0]["change"] == "remove"
    assert removed.json()["revision"] == world.store.head()
    problem_of(get(world, "teams/search-b"), 404, "not_found")
    problem_of(delete(world, "teams/search-b"), 404, "not_found")
    assert {e.decision.cause.actor.id for e in world.store.tail(world.store.head() - 3, 3)} == {"root"}


def test_a_change_of_something_that_moved_is_refused(world: GatewayWorld) -> None:
    seen = get(world, "users/ada").headers["etag"]
    assert put(world, "users/ada", {"name": "Ada Other"}).status_code == 200
    document = problem_of(put(world, "users/ada", {"name": "Mine"}, **{"If-Match": seen}), 412, "precondition_failed")
    assert (document["detail"], document["field"]) == ("The user `ada` is at version 2.", "If-Match")
    problem_of(delete(world, "users/grace", **{"If-Match": '"7"'}), 412, "precondition_failed")
    assert put(world, "users/ada", {"name": "Mine"}, **{"If-Match": '"2"'}).headers["etag"] == '"3"'


@pytest.mark.parametrize(
    ("path", "by"),
    [
        ("users/edsger", "team `search` (members[0].user)"),
        ("teams/search", "policy `search-only` (steps[0].targets[0].team), service `catalogue` (team)"),
        ("escalation_policies/two-steps", "route_tree `default` (policy), service `payments` (policy)"),
    ],
)
def test_what_is_needed_is_not_removed(world: GatewayWorld, path: str, by: str) -> None:
    head = world.store.head()
    document = problem_of(delete(world, path), 409, "referenced")
    assert document["detail"].endswith(f"it is named by {by}.")
    assert world.store.head() == head


def test_the_channel_of_a_team_is_needed_by_the_policies_that_page_it(world: GatewayWorld) -> None:
    channel = {"steps": [{"targets": [{"team": "search"}], "escalate_after": "5m"}]}
    path = "escalation_policies/channel"
    document = problem_of(put(world, path, channel), 422, "bad_request_fields")
    assert (document["field"], "has no `email`" in document["detail"]) == ("steps[0].targets[0]", True)
    assert document["remedy"] == "Give the team an `email`, or write {team: search, role: primary}"
    team = {"email": "search@example.test", "members": [{"user": "edsger", "role": "primary"}]}
    changed = put(world, "teams/search", team).json()["changes"][0]["fields"]
    assert changed == [{"field": "email", "before": None, "after": "search@example.test"}]
    assert put(world, path, channel).status_code == 201
    assert (get(world, "teams/search").json(), get(world, path).json()["steps"]) == (team, channel["steps"])
    document = problem_of(put(world, "teams/search", {"members": []}), 409, "referenced")
    assert "its channel is paged by policy `channel` (steps[0].targets[0].team)" in document["detail"]
    told = changes(world, "kind=teams&id=search")[0]
    assert told["fields"] == changed


def test_the_route_and_the_asking_key_stay(world: GatewayWorld) -> None:
    problem_of(delete(world, "route/default"), 409, "referenced")
    problem_of(delete(world, "api_keys/root"), 409, "referenced")
    assert delete(world, "api_keys/adas").status_code == 200
    assert world.tell("INC-1", "ack").status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("services/shop", {"team": "nobody", "policy": "two-steps"}, "team"),
        ("services/shop", {"team": "platform"}, "policy"),
        ("services/shop", {"team": "platform", "policy": "two-steps", "more": 1}, "more"),
        ("teams/t", {"members": [{"user": "nobody", "role": "x"}]}, "members[0].user"),
        ("escalation_policies/p", {"steps": []}, "steps"),
        ("escalation_policies/p", {"steps": [{"targets": [{"user": "ada"}], "escalate_after": 5}]}, None),
        ("users/ada", {"email": "nonsense"}, "email"),
        ("users/Bad%20Name", {}, None),
        ("route/default", {"team": "platform", "policy": "nothing"}, "policy"),
        ("integrations/i", {"source": "smoke"}, "source"),
        ("api_keys/k", {"role": "king", "hash": "sha256:" + "0" * 64}, "role"),
        ("api_keys/k", {"role": "viewer", "hash": f"sha256:{sha256(KEYS['admin'].encode()).hexdigest()}"}, "hash"),
        ("teams/t", [], None),
        ("teams/t", "text", None),
        ("users/u", {"name": "\x00"}, None),
        ("users/u", {"name": "\x7f"}, "name"),
        ("users/u", {"name": "\x9d"}, "name"),
        ("users/u", {"name": "a\u0085b"}, "name"),
        ("users/u", {"n" * 2000: "a"}, "body"),
    ],
)
def test_what_does_not_fit_names_the_field_and_the_remedy(
    world: GatewayWorld, path: str, body: Any, field: str | None
) -> None:
    head = world.store.head()
    document = problem_of(put(world, path, body), 422, "bad_request_fields")
    assert field is None or document["field"] == field
    assert KEYS["admin"] not in json.dumps(document)
    assert world.store.head() == head


def test_what_is_no_json_or_no_kind_is_said_so(world: GatewayWorld) -> None:
    for body in (b"", b"no", b'{"a": NaN}', b"[" * 100_000, b'"\\ud800"'):
        response = world.request("PUT", "/api/v1/config/users/u", KEYS["admin"], content=body)
        problem_of(response, 400, "bad_json")
    for path in ("nothing", "nothing/x", "route/other", "users/nobody"):
        problem_of(get(world, path), 404, "not_found")


def test_texts_of_any_kind_are_put_and_read_back(world: GatewayWorld) -> None:
    for name in ("Ada \N{GRINNING FACE} Example", "no", "1", "'\"{}:#", "\u2028", "é"):
        done = put(world, "users/u", {"name": name})
        assert done.status_code in (200, 201), done.text
        assert get(world, "users/u").json() == {"name": name}


def test_an_integration_has_a_team_and_limits_and_keeps_its_tokens(world: GatewayWorld) -> None:
    body = {"source": "alertmanager", "team": "search", "limits": {"max_alerts": 5, "max_body_bytes": 1000}}
    before = get(world, "integrations/alertmanager").json()
    assert put(world, "integrations/alertmanager", body).status_code == 200
    after = get(world, "integrations/alertmanager").json()
    assert after == {**body, "token_hashes": before["token_hashes"], "shards": 1}
    document = problem_of(delete(world, "teams/search"), 409, "referenced")
    assert "integration `alertmanager` (team)" in document["detail"]


WINDOW = {"services": ["payments"], "start": "2026-12-01T02:00:00Z", "duration": "2h", "comment": "a new disk"}


def test_a_maintenance_window_is_put_changed_and_removed_at_the_version_that_was_seen(world: GatewayWorld) -> None:
    path = "maintenance_windows/payments-disk"
    created = put(world, path, WINDOW)
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    shown = get(world, path)
    assert (shown.json(), shown.headers["etag"]) == (WINDOW, '"1"')
    longer = {**WINDOW, "duration": "4h"}
    changed = put(world, path, longer, **{"If-Match": shown.headers["etag"]})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["changes"][0]["fields"] == [{"field": "duration", "before": "2h", "after": "4h"}]
    for refused in (put(world, path, WINDOW, **{"If-Match": '"1"'}), delete(world, path, **{"If-Match": '"1"'})):
        problem_of(refused, 412, "precondition_failed")
    assert get(world, "maintenance_windows").json() == {"payments-disk": longer}
    document = problem_of(put(world, path, {**WINDOW, "rrule": "FREQ=HOURLY"}), 422, "bad_request_fields")
    assert (document["field"], "FREQ=DAILY" in document["remedy"]) == ("rrule", True)
    problem_of(put(world, path, {**WINDOW, "services": ["paymnts"]}), 422, "bad_request_fields")
    document = problem_of(delete(world, "services/payments"), 409, "referenced")
    assert "window `payments-disk`" in document["detail"]
    assert delete(world, path, **{"If-Match": '"2"'}).status_code == 200
    problem_of(get(world, path), 404, "not_found")
    told = changes(world, "kind=maintenance_windows&id=payments-disk")
    assert [(one["change"], one["actor"]) for one in told] == [
        *(("remove", "user:root"), ("update", "user:root"), ("create", "user:root"))
    ]


# -- apply ---------------------------------------------------------------------------------------------------------


def apply(world: GatewayWorld, text: str, **more: Any) -> Any:
    body = {"documents": {"all.yaml": text}, **more}
    return world.request("POST", "/api/v1/config/apply", KEYS["admin"], json=body)


def test_pruning_removes_what_is_not_named_and_says_so_first(world: GatewayWorld) -> None:
    text = world.ask("/api/v1/config", "admin").text
    assert apply(world, text, prune=True).json()["changes"] == []
    assert apply(world, "version: 1\nteams: {spare: {}}\n").json()["changes"][0]["change"] == "create"
    planned = apply(world, text, prune=True, dry_run=True).json()
    assert [(c["id"], c["change"]) for c in planned["changes"]] == [("spare", "remove")]
    assert "spare" in get(world, "teams").json()
    assert apply(world, text, prune=True).json()["changes"] == planned["changes"]
    assert "spare" not in get(world, "teams").json()


def test_pruning_the_asking_key_or_the_route_away_is_refused(world: GatewayWorld) -> None:
    head = world.store.head()
    problem_of(apply(world, "version: 1\n", prune=True), 409, "referenced")
    keys = (
        f'version: 1\napi_keys:\n  root: {{role: admin, hash: "sha256:{sha256(KEYS["admin"].encode()).hexdigest()}"}}'
    )
    problem_of(apply(world, keys, prune=True), 409, "referenced")
    assert world.store.head() == head


def test_an_apply_for_another_revision_is_refused(world: GatewayWorld) -> None:
    revision = world.store.config().revision
    assert apply(world, "version: 1\nteams: {one: {}}\n", revision=revision).status_code == 200
    refused = apply(world, "version: 1\nteams: {two: {}}\n", revision=revision)
    assert "is at revision" in problem_of(refused, 412, "precondition_failed")["detail"]


def test_a_diff_shows_secrets_as_hashes_only(world: GatewayWorld) -> None:
    digest = sha256(b"fresh").hexdigest()
    text = f"version: 1\napi_keys:\n  adas: {{role: viewer, hash: 'sha256:{digest}', user: ada}}\n"
    [change] = apply(world, text, dry_run=True).json()["changes"]
    fields = {one["field"]: (one["before"], one["after"]) for one in change["fields"]}
    old = sha256(KEYS["responder"].encode()).hexdigest()
    assert fields == {"role": ("responder", "viewer"), "hash": (f"sha256:{old}", f"sha256:{digest}")}


# -- history -------------------------------------------------------------------------------------------------------


def changes(world: GatewayWorld, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(world, f"history?{query}").json()["changes"]
    return found


def test_the_history_says_who_changed_what_and_when(world: GatewayWorld) -> None:
    put(world, "teams/spare", {"members": [{"user": "ada", "role": "lead"}]}, **{"X-Request-Id": "r-1"})
    opened(world)
    world.advance(minutes=1)
    put(world, "teams/spare", {"members": [{"user": "grace", "role": "lead"}]}, **{"X-Tocsin-Origin": "cli"})
    delete(world, "teams/spare")
    for found in (changes(world, "kind=teams&id=spare"), changes(world, "kind=team&id=spare"), changes(world)[:3]):
        assert [(c["change"], c["kind"], c["id"], c["actor"], c["origin"], c["version"]) for c in found] == [
            ("remove", "team", "spare", "user:root", "api", 3),
            ("update", "team", "spare", "user:root", "cli", 2),
            ("create", "team", "spare", "user:root", "api", 1),
        ]
        assert found[1]["fields"] == [{"field": "members[0].user", "before": "ada", "after": "grace"}]
        assert (found[2]["correlation_id"], found[2]["at"]) == ("r-1", "2026-03-02T03:00:00Z")
    world.expect_page("ada", "INC-1")


def test_the_history_is_complete_whatever_happened_between(world: GatewayWorld) -> None:
    for n in range(3):
        many = "\n".join(f"  t{k}: {{members: [{{user: ada, role: r{n}}}]}}" for k in range(30))
        assert apply(world, f"version: 1\nteams:\n{many}\n").status_code == 200
        opened(world, f"Down{n}")
        put(world, "users/spare", {"name": f"Spare {n}"})
    expected = [e.position for e in world.store.tail(0, 10_000) if e.stream.startswith("config-")]
    found = [change["position"] for change in changes(world, "limit=200")]
    assert found == expected[::-1][:200]
    assert len(changes(world, "limit=7")) == 7


def test_the_history_names_no_personal_data(world: GatewayWorld) -> None:
    put(world, "users/ada", {"name": "Ada Secret", "email": "secret@example.test"})
    [change, _] = changes(world, "kind=users&id=ada")
    assert change["fields"] == [{"field": "personal data", "before": None, "after": None}]


def test_a_wrong_question_about_the_history(world: GatewayWorld) -> None:
    for query, field in (("kind=teams", "id"), ("id=x", "kind"), ("kind=x&id=y", "kind"), ("limit=0", "limit")):
        assert problem_of(get(world, f"history?{query}"), 422, "bad_request_fields")["field"] == field
    assert changes(world, "kind=teams&id=never") == []
