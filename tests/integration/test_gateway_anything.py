"""Whatever is posted or asked, the gateway has an answer that is none of its own failures."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.problems import MEDIA_TYPE
from tests.gateway_world import KEYS, TOKEN, GatewayWorld


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        key: JSON | st.sampled_from(["firing", "resolved", "2026-03-02T03:00:00Z", ""])
        for key in ("status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint")
    },
)
WEBHOOKS = st.fixed_dictionaries({"version": st.just("4"), "alerts": st.lists(MEMBERS | JSON, max_size=4)})
BODIES = st.binary(max_size=200) | (JSON | WEBHOOKS).map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "Content-Length", "X-Request-Id", "X-Tocsin-Origin"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    max_size=2,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(body=BODIES, headers=HEADERS)
def test_no_body_is_answered_with_a_500(shared: GatewayWorld, body: bytes, headers: dict[str, str]) -> None:
    for path, token in (("/alerts/webhook", TOKEN), ("/api/v1/config/apply", KEYS["admin"])):
        response = shared.request("POST", path, token, content=body, headers=headers)
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            assert response.headers["content-type"] == MEDIA_TYPE


@FUZZ
@given(
    ref=st.text(max_size=30), query=st.dictionaries(st.sampled_from(["status", "limit", "cursor", "team"]), st.text())
)
def test_no_question_is_answered_with_a_500(shared: GatewayWorld, ref: str, query: dict[str, str]) -> None:
    for path in ("/api/v1/incidents", f"/api/v1/incidents/{quote(ref, safe='', errors='replace')}"):
        assert shared.ask(path, params=query).status_code < 500
