"""Every route, asked by schemathesis what its own description allows and forbids: no 500, and nothing undocumented."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from structlog.testing import capture_logs

from gateway.app import add_routes
from gateway.openapi import Api
from projections.database import READ_SCHEMA, STORE_SCHEMA
from projections.queries import Queries
from streams.store.migrate import migrate
from tests.gateway_world import KEYS, TOKEN, TOKENS, GatewayWorld
from tests.read_world import ReadWorld

EXAMPLES = 20
"""Cases of each operation, the same in every run."""
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def described() -> dict[str, Any]:
    """The OpenAPI document."""
    app = Api(lifespan=lambda _: nullcontext())
    add_routes(app)
    return app.openapi()


OPERATIONS = {
    f"{method.upper()} {path}": operation["security"][0] if operation.get("security") else {}
    for path, operations in described()["paths"].items()
    for method, operation in operations.items()
}
"""Every operation, and by which credentials it is used."""


@dataclass(frozen=True)
class Target:
    """An app in which something has happened, a client in its process, and its description."""

    schema: Any
    client: Any
    incidents: tuple[str, ...]


@pytest.fixture(scope="module")
def target(new_database: Callable[[], str]) -> Iterator[Target]:
    """On a real database, because that is what refuses what a fake would take."""
    dsn = new_database()
    migrate(dsn, "streams.store", STORE_SCHEMA)
    migrate(dsn, "projections", READ_SCHEMA)
    with capture_logs(), pytest.MonkeyPatch.context() as patch, GatewayWorld() as front:
        reached = Queries.reached
        patch.setattr(Queries, "reached", lambda queries, position, _: reached(queries, position, 0.0))
        front.parts = replace(front.parts, ids=lambda: str(uuid4()))
        world = ReadWorld(dsn, front)
        try:
            incidents = lived_through(world)
            with asgi.get_client(front.app, max_stream_events=1) as client:
                yield Target(schemathesis.openapi.from_asgi("/openapi.json", front.app), client, incidents)
        finally:
            world.let_go()


def lived_through(world: ReadWorld) -> tuple[str, ...]:
    """Let something happen; the names of incidents."""
    for name in ("Down", "Up", "Sideways"):
        world.fire(name, service="payments")
    world.advance(minutes=6)
    world.resolve("INC-2")
    world.project()
    return ("INC-1", "INC-2", "3", world.ask("/api/v1/incidents/INC-1")["id"])


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_answers_as_it_is_described(target: Target, label: str) -> None:
    method, _, path = label.partition(" ")
    source = next((name for name in TOKENS if name in path), "")
    token = TOKENS.get(source, TOKEN) if "webhook_token" in OPERATIONS[label] else KEYS["admin"]

    @FUZZ
    @given(case=target.schema[path][method].as_strategy(), ref=st.none() | st.sampled_from(target.incidents))
    def ask(case: Any, ref: str | None) -> None:
        if ref and "ref" in (case.path_parameters or {}):
            case.path_parameters["ref"] = ref
        if ref and "integration" in (case.path_parameters or {}):
            case.path_parameters["integration"] = "generic"
        response = case.call(session=target.client, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code != 500, response.text
        case.validate_response(response, checks=CHECKS)

    ask()
