"""Every route, asked by schemathesis what its own description allows and forbids, and what its examples say.

No 500, nothing that is not described, and everything that is described is seen: every success, and every refusal that a
request can bring about. A request is generated, and then a twist is given to it; each twist is tried a fixed number of
times, so that what is reached does not depend on luck. `tests.fuzzing` has what is asked.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.examples import SILENCE
from schemas.problems import MEDIA_TYPE
from streams import silencing
from tests.fuzzing import (
    ALONE,
    BODY_LIMIT,
    HUB,
    MANY,
    NEVER_BY_INPUT,
    OPERATIONS,
    SAME,
    Target,
    belongs,
    documented,
    examples,
    target,
    token_of,
)
from tests.gateway_world import KEYS, TOKENS

GENERATED, TWISTED = 15, 3
"""Cases of each operation as they are generated, and of each twist; the same in every run."""
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FUZZ = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
BELONGING = frozenset({"merge", "unmerge", "split", "attach", "detach"})
ONLY_IN_A_RACE = {
    ("PUT /api/v1/config/{kind}/{name}", "referenced"),
    ("GET /readyz", "503"),
}
"""What is described and no request brings about: what an object names goes away meanwhile; a role is down."""
HOSTILE = {
    "nested": b"[" * 900 + b"]" * 900,
    "nested objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "a lone surrogate": b'{"title": "\\ud800", "text": "\\ud800", "users": ["\\udfff"], "severity": "\\ud800"}',
    "NUL": b'{"title": "a\\u0000b", "text": "\\u0000", "users": ["\\u0000"], "name": "\\u0000"}',
    "a key twice": b'{"text": "a", "text": "b", "title": "a", "title": "b"}',
    "not a number": b'{"title": NaN, "shards": Infinity}',
    "a number beyond all": b'{"revision": 1e400, "documents": {"a": ""}, "shards": ' + b"9" * 4000 + b"}",
    "a byte order mark": b'\xef\xbb\xbf{"text": "a"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "no UTF-8": b'{"text": "\xff"}',
    "nothing": b"",
    "null": b"null",
    "a name beyond all": b'{"' + b"n" * 9000 + b'": 1}',
}


@dataclass
class Asking:
    """A generated case, and what is changed of it on the way."""

    target: Target
    label: str
    case: Any
    headers: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    most: int = silencing.MOST

    def ask(self) -> Any:
        """Send it. Fails for what is not described, and for a problem that does not say what to do."""
        headers = {"Authorization": f"Bearer {token_of(self.label)}", **self.headers}
        with patch.object(silencing, "MOST", self.most):
            response = self.case.call(session=self.target.client, headers=headers, **self.more)
        assert response.status_code != 500, response.text
        self.case.validate_response(response, checks=CHECKS)
        self.target.count(self.label, response)
        if response.headers["content-type"][0] == MEDIA_TYPE and response.content:
            said = response.json()
            assert said["remedy"] and said["detail"], said
            assert said["status"] == response.status_code
            assert said["request_id"], said
            if said["status"] in (412, 422):
                assert "field" in said or (examples(self.label) and not self.is_object), said
        return response

    def raw(self, body: bytes) -> None:
        """Send these bytes."""
        self.more["data"] = body
        self.headers.setdefault("Content-Type", "application/json")

    def merge(self, ref: str, into: str) -> int:
        """Merge an incident; its version then."""
        answer = self.target.ask("POST", f"/api/v1/incidents/{ref}/merge", json={"into": into})
        assert answer.status_code == 200, answer.text
        version: int = answer.json()["version"]
        return version

    @property
    def verb(self) -> str:
        """The last word of the path."""
        return self.label.rpartition("/")[2]

    @property
    def is_object(self) -> bool:
        """Whether the body is a JSON object, of which a field could be wrong."""
        sent = self.more.get("data", self.case.body)
        with suppress(ValueError):
            sent = json.loads(sent) if isinstance(sent, bytes) else sent
        return isinstance(sent, dict)

    @property
    def path(self) -> dict[str, Any]:
        """The parameters in the path."""
        found: dict[str, Any] = self.case.path_parameters
        return found


# -- twists --------------------------------------------------------------------------------------------------------


def lands(asking: Asking, turn: int = 0) -> None:
    """What is known to exist, the body of an example, and nothing that is optional."""
    target, path = asking.target, asking.path
    asking.case.query, asking.case.headers = {}, {}
    if bodies := examples(asking.label):
        asking.raw(json.dumps(bodies[turn % len(bodies)]).encode())
    if "ref" in path:
        path["ref"] = target.incidents[turn % len(target.incidents)]
        if asking.case.method == "POST":
            _stands(target, HUB, MANY, HUB, path["ref"])  # nothing is taken out of what is resolved
        if asking.verb in BELONGING and bodies:
            path["ref"], body = belongs(target, asking.verb, path["ref"])
            _stands(target, path["ref"])  # if an alert that was to be brought home was all it had, it was merged
            asking.raw(json.dumps(body).encode())
    if "alert" in path:
        path["alert"] = target.alerts["Down"]
        target.ask("POST", "/api/v1/incidents/INC-1/reopen")
    if "receipt" in path:
        path["receipt"] = target.receipts[turn % len(target.receipts)]
    if "integration" in path:
        path["integration"] = ("generic", "checks")[turn % 2]
        asking.headers["Authorization"] = f"Bearer {TOKENS[path['integration']]}"
    if "heartbeat" in path:
        path["heartbeat"] = "backup"
    if "silence_id" in path:
        path["silence_id"] = target.ask("POST", "/api/v2/silences", json=SILENCE).json()["silenceID"]
    if "kind" in path:
        path["kind"] = kinds[turn % len(kinds)] if (kinds := _kinds(asking.label)) else "services"
    if "name" in path:
        path["name"] = f"spare-{turn % 2}"
        if asking.case.method != "PUT" or turn % 2:
            body = _object(path["kind"])
            target.ask("PUT", f"/api/v1/config/{path['kind']}/{path['name']}", json=body)


def _stands(target: Target, *names: str) -> None:
    """These incidents are open."""
    for name in names:
        for verb in ("unmerge", "reopen"):
            target.ask("POST", f"/api/v1/incidents/{name}/{verb}")


def _kinds(label: str) -> list[str]:
    content = OPERATIONS[label].get("requestBody", {}).get("content", {})
    return list(content["application/json"]["examples"]) if content and "{kind}" in label else []


def _object(kind: str) -> Any:
    content = OPERATIONS["PUT /api/v1/config/{kind}/{name}"]["requestBody"]["content"]
    return content["application/json"]["examples"][kind]["value"]


def unknown(asking: Asking, _: int) -> None:
    """Something that is not there."""
    nowhere = {name: str(uuid4()) for name in ("ref", "receipt", "alert", "silence_id")} | {"name": "nothing"}
    if asking.label.endswith("/silences"):
        asking.raw(json.dumps({**SILENCE, "id": str(uuid4())}).encode())
    if "name" not in asking.path or asking.case.method == "PUT":
        nowhere["kind"] = "nothing"
    asking.path.update({name: nowhere[name] for name in asking.path.keys() & nowhere.keys()})


def behind(asking: Asking, _: int) -> None:
    """What the read models do not hold yet."""
    if asking.case.method == "GET":
        asking.case.query["min_position"] = 2**62
    else:
        asking.path["ref"] = "INC-999999"


def stale(asking: Asking, _: int) -> None:
    """The thing as somebody saw it who has not looked for long."""
    asking.headers["If-Match"] = '"999999"'
    if asking.label.endswith("/apply"):
        asking.raw(json.dumps({**examples(asking.label)[0], "revision": 0}).encode())


def twice(asking: Asking, turn: int) -> None:
    """Another request under the same key."""
    asking.headers["Idempotency-Key"] = f"{asking.label.replace(' ', '-')}-{turn}-{uuid4()}"
    assert asking.ask().status_code < 300
    asking.raw(asking.more.get("data", b"") + b" ")


def resolved(asking: Asking, _: int) -> None:
    """What is over; of an alert, its incident."""
    if "alert" in asking.path:
        asking.path["alert"] = asking.target.alerts["Up"]
    over = asking.path.get("ref", "INC-2")
    if asking.verb == "unmerge":
        asking.merge(over, HUB)
        over = HUB
    asking.target.ask("POST", f"/api/v1/incidents/{over}/resolve")


def merged(asking: Asking, _: int) -> None:
    """What is another incident by now, by a request for just this one."""
    ref = asking.path["ref"]
    version = asking.merge(ref, HUB if ref != HUB else MANY)
    match asking.verb:
        case "ack" | "start":
            asking.headers["If-Match"] = f'"{version}"'
        case "merge":
            asking.raw(json.dumps({"into": MANY}).encode())
        case "unmerge":
            asking.merge(HUB, MANY)


def elsewhere(asking: Asking, turn: int) -> None:
    """What is another incident by now, by whoever does not know that."""
    asking.path["ref"] = SAME
    asking.case.query = {"min_position": 0, "redirect": "true"} if turn % 2 else {}


def all_of_it(asking: Asking, _: int) -> None:
    """The only alert that an incident has."""
    alone = asking.target.ask("GET", f"/api/v1/alerts/{asking.target.alerts['Alone']}").json()
    if asking.verb != "attach":
        asking.path["ref"] = ALONE
    body = {"group": alone["group"]} if asking.verb == "detach" else {"alerts": [alone["id"]]}
    asking.raw(json.dumps(body).encode())


def ended(asking: Asking, _: int) -> None:
    """An alert that is over."""
    asking.path["alert"] = asking.target.alerts["Sideways"]
    asking.target.ask("POST", f"/api/v1/alerts/{asking.path['alert']}/resolve")


def quiet(asking: Asking, _: int) -> None:
    """An alert of which nothing is said."""
    asking.path["alert"] = asking.target.alerts["Quiet"]


def not_taken(asking: Asking, _: int) -> None:
    """What nobody may take, nor make a part of what can be taken."""
    if asking.verb == "attach":
        asking.raw(json.dumps({"alerts": [asking.target.alerts["Breach"]]}).encode())
        return
    asking.path.update({"alert": asking.target.alerts["Breach"]} if "alert" in asking.path else {"ref": "INC-4"})


def referenced(asking: Asking, _: int) -> None:
    """What others need."""
    if asking.label.endswith("/apply"):
        asking.raw(b'{"documents": {"empty.yaml": "version: 1"}, "prune": true}')
    else:
        asking.path.update(kind="teams", name="platform")


def weak(asking: Asking, _: int) -> None:
    """Somebody who may not."""
    machine = token_of(asking.label) != KEYS["admin"]
    asking.headers["Authorization"] = f"Bearer {TOKENS['checks'] if machine else KEYS['viewer']}"
    if "integration" in asking.path:
        asking.path["integration"] = "generic"


def strange(asking: Asking, turn: int) -> None:
    """Nobody, as three kinds of nobody."""
    asking.headers["Authorization"] = ("Bearer x", "", "Basic eDp5")[turn % 3]


def wrong(asking: Asking, _: int) -> None:
    """A parameter that cannot be what it says."""
    known = {parameter.name for parameter in (*asking.case.operation.query, *asking.case.operation.headers)}
    if "receipt" in asking.path:
        asking.path["receipt"] = "r" * 101
    elif "if-match" in known:
        asking.headers["If-Match"] = "four"
    elif "filter" in known:
        asking.case.query["filter"] = "no matcher"
    elif asking.case.method == "GET":
        asking.case.query["min_position" if "min_position" in known else "limit"] = -1
    else:
        asking.raw(b"[]")


def full(asking: Asking, _: int) -> None:
    """One more, where there are as many as there may be."""
    asking.most = 0


def text(asking: Asking, turn: int) -> None:
    """What is not JSON by its own word, or packed."""
    sent = {"Content-Encoding": "gzip"} if turn % 2 or not examples(asking.label) else {"Content-Type": "text/plain"}
    asking.headers.update(sent)


TWISTS: Mapping[str, Callable[[Asking, int], None]] = {
    "307": elsewhere,
    "bad_json": lambda asking, turn: asking.raw(json.dumps(examples(asking.label)[0]).encode()[: -1 - turn]),
    "unauthenticated": strange,
    "forbidden": weak,
    "not_found": unknown,
    "incident_resolved": resolved,
    "incident_merged": merged,
    "nothing_left": all_of_it,
    "alert_resolved": ended,
    "alert_suppressed": quiet,
    "ack_not_allowed": not_taken,
    "referenced": referenced,
    "precondition_failed": stale,
    "too_many": full,
    "body_too_large": lambda asking, _: asking.raw(b" " * (BODY_LIMIT + 1)),
    "unsupported_media_type": text,
    "unsupported_payload": lambda asking, turn: asking.raw((b"{}", b"[]", b'{"alert_name": 1}')[turn % 3]),
    "idempotency_key_reused": twice,
    "read_model_behind": behind,
    "bad_request_fields": wrong,
}
"""What brings about each kind of problem, and a redirect, done to a case that would land."""


# -- what is asked -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def front(new_database: Callable[[], str]) -> Iterator[Target]:
    with target(new_database()) as made:
        yield made


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_answers_as_it_is_described_and_all_of_that(front: Target, label: str) -> None:
    generated(front, label, GenerationMode.POSITIVE)
    if any(True for _ in operation_of(front, label).iter_parameters()) or examples(label):
        generated(front, label, GenerationMode.NEGATIVE)
    twisted(front, label, lambda *_: None, 2 * TWISTED)
    for name in TWISTS.keys() & documented(label).keys():
        twisted(front, label, TWISTS[name], TWISTED)
    if examples(label):
        for body in HOSTILE.values():
            twisted(front, label, hostile(body), 1)
    seen = front.seen[label]
    print(f"{label}: {dict(seen)}")
    wanted = {name for name in documented(label) if (label, name) not in ONLY_IN_A_RACE} - NEVER_BY_INPUT
    assert wanted - seen.keys() == set(), f"never seen; seen were {dict(seen)}"


def hostile(body: bytes) -> Callable[[Asking, int], None]:
    return lambda asking, _: asking.raw(body)


def generated(front: Target, label: str, mode: GenerationMode) -> None:
    """Cases as the description allows or forbids them, each part of them sometimes one that lands."""
    operation = operation_of(front, label)

    @settings(FUZZ, max_examples=GENERATED)
    @given(st.data(), st.integers(0, 5), st.sets(st.sampled_from(["path_parameters", "query", "headers", "body"])))
    def ask(data: st.DataObject, turn: int, kept: set[str]) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        asking, given = Asking(front, label, case), {part: getattr(case, part) for part in kept}
        lands(asking, turn)
        for part, value in given.items():
            setattr(case, part, value)
        if "body" in kept:
            asking.more.clear()
            asking.headers.pop("Content-Type", None)
        asking.ask()

    ask()


def twisted(front: Target, label: str, twist: Callable[[Asking, int], None], times: int) -> None:
    """Cases that would land but for `twist`."""
    operation = operation_of(front, label)
    for turn in range(times):
        case = operation.Case(path_parameters=dict.fromkeys(names_in(operation), "x"), query={}, headers={})
        asking = Asking(front, label, case)
        lands(asking, turn)
        twist(asking, turn)
        asking.ask()


def operation_of(front: Target, label: str) -> Any:
    method, _, path = label.partition(" ")
    return front.schema[path][method]


def names_in(operation: Any) -> list[str]:
    return [parameter.name for parameter in operation.path_parameters]
