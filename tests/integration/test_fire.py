"""`tocsin fire`, from the command line to the people who are paged."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from compose import firing, people
from compose.cli import main
from compose.client import Client
from tests.gateway_world import KEYS, TOKEN, GatewayWorld, hashed
from tests.integration.test_tocsin_commands import handled
from tests.stories.test_example_config import EXAMPLE


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def shipped() -> str:
    """The example configuration, with the tokens of these tests."""
    files = (file.read_text(encoding="utf-8") for file in sorted(EXAMPLE.glob("*.yaml")))
    text = "\n".join(["version: 1", *(each.replace("version: 1\n", "") for each in files)])
    kept = "{source: alertmanager, shards: 1"
    assert kept in text
    tokens = text.replace(kept, f'{kept}, token_hashes: ["{hashed(TOKEN)}"]')
    return f'{tokens}\napi_keys: {{reading: {{role: viewer, hash: "{hashed(KEYS["viewer"])}"}}}}\n'


@pytest.fixture
def tocsin(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `tocsin fire` against the world's gateway; while it waits, what was posted arrives and time passes."""

    class Now:
        @staticmethod
        def now(_: object) -> object:
            return world.now()

    def sleep(seconds: float) -> None:
        world.arrive()
        world.advance(seconds=5)

    transport = httpx.MockTransport(lambda request: handled(world, request))
    monkeypatch.setattr(people, "Client", lambda access: Client(access, transport))
    monkeypatch.setattr(firing, "datetime", Now)
    monkeypatch.setattr("compose.firing.time.sleep", sleep)
    monkeypatch.setattr("compose.firing.time.monotonic", lambda: world.now().timestamp())
    monkeypatch.setattr(firing, "PATIENCE", 60.0)

    def run(*arguments: str, token: str | None = TOKEN) -> Result:
        access = ["--url", "http://gateway.test", "--key", KEYS["viewer"], *(["--token", token] if token else [])]
        with capture_logs():
            return CliRunner().invoke(main, ["fire", *arguments, *access])

    return run


def test_a_scenario_fires_and_ends(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    fired = tocsin("critical_api_down")
    assert fired.exit_code == 0, fired.output
    assert "accepted: 1 alert firing; receipt" in fired.stderr
    assert fired.stdout.startswith("INC-1 is triggered: ApiDown (payments), critical, team platform; ")
    world.expect_page("ada", "INC-1")
    assert tocsin("critical_api_down").stdout == "It fires already, in INC-1.\n"
    assert tocsin("critical_api_down", "--end").stdout == "INC-1 is resolved.\n"
    world.expect_incident("INC-1", status="resolved")


def test_of_what_is_kept_quiet_it_says_why(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    silence = world.silence(60, 0, service="payments")
    fired = tocsin("critical_api_down")
    assert fired.exit_code == 0, fired.output
    assert fired.stdout.startswith(f"Nothing is said of it: silence {silence} matches until")
    world.expect_nothing()


def test_what_comes_and_goes(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    fired = tocsin("flap")
    assert fired.exit_code == 0, fired.output
    assert [line.split(";")[0] for line in fired.stderr.splitlines()] == [
        f"accepted: 1 alert {'ended' if turn % 2 else 'firing'}" for turn in range(9)
    ]
    world.expect_incident("INC-5", status="triggered")


def test_what_flaps_is_said_to_with_the_configuration_that_is_shipped(
    world: GatewayWorld, tocsin: Callable[..., Result]
) -> None:
    world.configure(shipped())
    fired = tocsin("flap")
    assert fired.exit_code == 0, fired.output
    resolved, quiet, ends = fired.stdout.splitlines()
    assert resolved.startswith("INC-1 is resolved: QueueGrows (checkout), high, team platform; ")
    assert quiet == "It fires, and nothing is said of it: it flaps, and has to be steady until 2026-03-02 03:10:40 UTC."
    assert ends.endswith("`tocsin fire flap --end` ends it.")
    world.expect_incidents(1)


def test_an_escalation_is_watched_to_its_end(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    fired = tocsin("escalation-test")
    assert fired.exit_code == 0, fired.output
    assert "Watching INC-1: acknowledge it with `tocsin ack INC-1`" in fired.stderr


def test_without_a_token_nothing_is_posted(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    fired = tocsin("dev", token=None)
    assert fired.exit_code == 1
    assert "No webhook token is known" in fired.stderr
    wrong = tocsin("dev", token="nonsense")
    assert wrong.exit_code == 1
    assert "No integration has this token" in wrong.stderr


def test_the_list_names_all_of_them(tocsin: Callable[..., Result]) -> None:
    assert tocsin("--list").stdout == tocsin().stdout
    assert len(tocsin("--list").stdout.splitlines()) == 11
