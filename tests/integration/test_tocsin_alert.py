"""`tocsin alert list|show|ack|unack|resolve`, from the command line to what people see."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from compose import people
from compose.cli import main
from compose.client import Client
from domain import ids
from projections.database import READ_SCHEMA
from streams.store.migrate import migrate
from tests.gateway_world import KEYS, ORG
from tests.integration.test_tocsin_commands import handled
from tests.read_world import ReadWorld, read_world
from tests.world import alert


@pytest.fixture
def world(store_dsn: str) -> Iterator[ReadWorld]:
    migrate(store_dsn, "projections", READ_SCHEMA)
    with read_world(store_dsn) as made:
        yield made


@pytest.fixture
def tocsin(world: ReadWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `tocsin alert` with these arguments against the world's gateway."""

    def answer(request: httpx.Request) -> httpx.Response:
        world.project()
        return handled(world._front, request)

    monkeypatch.setattr(people, "Client", lambda access: Client(access, httpx.MockTransport(answer)))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, role: str = "responder") -> Result:
        with capture_logs():
            access = ["--url", "http://gateway.test", "--key", KEYS[role]]
            return CliRunner().invoke(main, ["alert", *arguments, *access])

    return run


def id_of(world: ReadWorld, name: str, **labels: str) -> str:
    return ids.alert_id(ORG, "alertmanager", alert(name, labels, world.now())["fingerprint"])


def test_an_alert_from_the_list_to_its_end(world: ReadWorld, tocsin: Callable[..., Result]) -> None:
    assert tocsin("list", role="viewer").stdout.strip() == "Nothing fires."
    world.fire("ServiceDown", service="payments", note="[red]odd\u202etext")
    whole = id_of(world, "ServiceDown", service="payments", note="[red]odd\u202etext")
    listed = tocsin("list", role="viewer").stdout
    for word in (whole[:8], "firing", "critical", "ServiceDown", "payments", "INC-1"):
        assert word in listed
    assert tocsin("ack", whole[:8]).stdout == f"{whole[:8]} is acknowledged; INC-1 is acknowledged.\n"
    assert tocsin("ack", whole).stdout == f"{whole[:8]} is acknowledged already; INC-1 is acknowledged.\n"
    assert "acknowledged by user:ada" in tocsin("list").stdout
    assert tocsin("unack", whole[:8]).stdout == f"{whole[:8]} is not acknowledged; INC-1 is triggered.\n"
    assert tocsin("resolve", whole[:8]).stdout == f"{whole[:8]} is resolved; INC-1 is resolved.\n"
    assert tocsin("list").stdout.strip() == "Nothing fires."
    shown = tocsin("show", whole[:8], role="viewer").stdout
    for word in (
        *(whole, "ServiceDown is wrong", "a person said that it is over", "[red]odd text", "@team", "platform"),
        *("http://prometheus.example.test/graph", "ada acknowledged alert", "ada resolved alert", "(INC-1)"),
    ):
        assert word in shown, shown
    (one,) = json.loads(tocsin("list", "--all", "--json", "--incident", "INC-1").stdout)["alerts"]
    assert (one["id"], one["closed"]) == (whole, True)
    assert json.loads(tocsin("show", "--json", whole).stdout)["history"][-1]["actor"] == "user:ada"


def test_what_is_said_of_a_silenced_alert(world: ReadWorld, tocsin: Callable[..., Result]) -> None:
    name = world.silence(minutes=30, service="payments")
    world.fire("ServiceDown", service="payments")
    whole = id_of(world, "ServiceDown", service="payments")
    assert (
        f"not spoken of: silence {name} until 2026-03-02 03:30:00 UTC (configuration {world.store.config().revision})"
        in tocsin("show", whole).stdout
    )
    refused = tocsin("ack", whole)
    assert refused.exit_code == 1 and f"because of silence/{name}" in refused.stderr


def test_a_name_that_says_too_little_or_nothing(world: ReadWorld, tocsin: Callable[..., Result]) -> None:
    for number in range(40):
        world.fire("Many", service="payments", instance=str(number))
    world.project()
    digits = [one["id"][:4] for one in world.ask("/api/v1/alerts", limit=200)["alerts"]]
    assert len(set(digits)) > 30
    refused = tocsin("show", "0" * 12)
    assert refused.exit_code == 1 and "There is no alert 000000000000" in refused.stderr
    assert "`xyz` names no alert: give its id, or at least the first four" in tocsin("show", "xyz").stderr
    assert "These are the first 3: there are more." in tocsin("list", "--limit", "3").stderr
    assert tocsin("list").stderr == ""
    assert "There is no alert 6f0c2d3e" in tocsin("ack", "6f0c2d3e-8d0f-4c39-9f52-2f2d3a1b5c11").stderr
    assert "this takes a responder" in tocsin("ack", digits[0], role="viewer").stderr
