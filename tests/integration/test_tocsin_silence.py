"""`tocsin silence add|list|expire`, from the command line to the silences."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from compose import people, silencing
from compose.cli import main
from compose.client import Client
from tests.gateway_world import KEYS, GatewayWorld
from tests.integration.test_tocsin_commands import handled


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


@pytest.fixture
def tocsin(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `tocsin silence` with these arguments against the world's gateway, at its time."""

    class Now:
        @staticmethod
        def now(_: object) -> object:
            return world.now()

    transport = httpx.MockTransport(lambda request: handled(world, request))
    monkeypatch.setattr(people, "Client", lambda access: Client(access, transport))
    monkeypatch.setattr(silencing, "datetime", Now)
    monkeypatch.setenv("USER", "ada")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, role: str = "responder") -> Result:
        with capture_logs():
            access = ["--url", "http://gateway.test", "--key", KEYS[role]]
            return CliRunner().invoke(main, ["silence", *arguments, *access])

    return run


def test_a_silence_from_its_beginning_to_its_end(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    added = tocsin("add", "service=payments", "pod!=a,env=~dev|test", "--for", "30m", "--comment", "New [red]disks")
    assert added.exit_code == 0, added.output
    name = added.stdout.strip()
    later = tocsin("add", "service=catalogue", "--in", "1h", "--comment", "Later").stdout.strip()
    (silence, other) = world.store.config().silences.values()
    assert (silence.id, silence.author, silence.ends_at - silence.starts_at) == (
        name,
        "ada",
        timedelta(minutes=30),
    )
    assert [str(m) for m in silence.matchers] == ['service="payments"', 'pod!="a"', 'env=~"dev|test"']
    assert (other.id, other.starts_at - world.now()) == (later, timedelta(hours=1))
    shown = tocsin("list").stdout
    for word in (name, "active", 'service="payments", pod!="a", env=~"dev|test"', "03:30:00", "ada", "New [red]disks"):
        assert word in shown
    assert later in shown and "pending" in shown
    assert later not in tocsin("list", "service=payments").stdout
    assert tocsin("expire", name, later).stdout.splitlines() == [f"{name} is expired.", f"{later} is expired."]
    assert tocsin("list").stdout.strip() == "No silences now."
    assert "expired" in tocsin("list", "--all").stdout
    assert [one["id"] for one in json.loads(tocsin("list", "--all", "--json", role="viewer").stdout)] == [name, later]


def test_what_it_would_hide_is_said_on_standard_error(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    world.queries.down = True
    added = tocsin("add", "service=payments", "--comment", "c")
    assert added.stdout.strip() in world.store.config().silences
    assert added.stderr == "Warning: Whether it hides a critical incident could not be found out.\n"


def test_a_refusal_is_a_sentence(tocsin: Callable[..., Result]) -> None:
    refused = tocsin("add", "service=payments", "--comment", "c", role="viewer")
    assert refused.exit_code == 1 and refused.stderr.startswith("Error: The key `reading` is a viewer's; this takes a")
    assert "There is no silence nothing" in tocsin("expire", "nothing").stderr
    assert "comment: String should have at most 10000" in tocsin("add", "a=b", "--comment", "c" * 10_001).stderr
    wrong = tocsin("add", "a=~(", "--comment", "c")
    assert wrong.exit_code == 2 and "does not compile" in wrong.stderr
    wrong = tocsin("add", "a=b", "--for", "3", "--comment", "c")
    assert wrong.exit_code == 2 and "not a duration" in wrong.stderr
