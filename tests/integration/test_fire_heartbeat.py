"""`tocsin fire heartbeat-missed`: a heartbeat is declared, pings once, is missed and pages somebody; how that ends."""

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from compose import people
from compose.cli import main
from compose.client import Client
from projections.database import READ_SCHEMA
from streams.store.heartbeats import GATEWAY, Heartbeat
from streams.store.migrate import migrate
from tests.gateway_world import KEYS, hashed
from tests.integration.test_tocsin_commands import handled
from tests.read_world import ReadWorld, read_world

NAME = "fire-heartbeat-missed"
OBJECT = f"/api/v1/config/heartbeats/{NAME}"


class Site:
    """A world whose gateway says that it lives while a command waits; `before` is done at each look."""

    def __init__(self, world: ReadWorld, life: Heartbeat) -> None:
        self.world = world
        self.life = life
        self.before: Callable[[], None] = lambda: None
        self.deaf_for = 0

    def wait(self, _: float) -> None:
        self.life.beat()
        self.before()
        self.world.advance(seconds=1)

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/ping") and self.deaf_for:
            self.deaf_for -= 1
            return httpx.Response(401, json={"detail": "This is not the name of a heartbeat with a token of its own."})
        self.world.project()
        return handled(self.world._front, request)

    def admin(self, method: str, body: object = None) -> httpx.Response:
        more: dict[str, Any] = {"json": body} if body else {}
        return self.world._front.request(method, OBJECT, KEYS["admin"], **more)

    def state(self) -> str | None:
        found = self.world.ask("/api/v1/heartbeats")["heartbeats"]
        return next((one["state"] for one in found if one["name"] == NAME), None)


@pytest.fixture
def site(store_dsn: str) -> Iterator[Site]:
    migrate(store_dsn, "projections", READ_SCHEMA)
    life = Heartbeat(store_dsn, GATEWAY)
    with read_world(store_dsn) as world:
        life.beat()
        yield Site(world, life)
        world.close()
    life.close()


@pytest.fixture
def tocsin(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `tocsin` against the site's gateway; time passes while it waits."""
    monkeypatch.setattr(people, "Client", lambda access: Client(access, httpx.MockTransport(site.handle)))
    monkeypatch.setattr("compose.firing.time.sleep", site.wait)
    monkeypatch.setattr("compose.firing.time.monotonic", lambda: site.world.now().timestamp())

    def run(*arguments: str, key: str | None = KEYS["admin"]) -> Result:
        access = ["--url", "http://gateway.test", *(["--key", key] if key else [])]
        with capture_logs():
            return CliRunner().invoke(main, [*arguments, *access])

    return run


def fire(tocsin: Callable[..., Result], *more: str) -> Result:
    return tocsin("fire", "heartbeat-missed", *more)


def test_it_is_declared_is_missed_and_pages_somebody(site: Site, tocsin: Callable[..., Result]) -> None:
    fired = fire(tocsin)
    assert fired.exit_code == 0, fired.output
    assert "is declared, pinged at 03:00:00 UTC, and falls silent: it is missed from 03:00:05 UTC on" in fired.stderr
    opened, ping, ends = fired.stdout.splitlines()
    assert opened == "INC-1 is triggered: HeartbeatMissed, critical, team platform; paged: ada by email."
    assert ends.startswith("`tocsin show INC-1` tells all of it; `tocsin fire heartbeat-missed --end` removes")
    site.world.expect_page("ada", "INC-1")
    shown = site.admin("GET").json()
    token = ping.rpartition(" ")[2]
    assert shown == {"interval": "5s", "severity": "critical", "token_hashes": [hashed(token)]}
    words = re.split(r" tocsin ", ping)[1].split()
    assert words[:2] == ["heartbeat", "ping"]
    assert tocsin(*words, key=None).exit_code == 0
    site.world.settle()
    site.world.expect_incident("INC-1", status="resolved")


def test_twice_it_is_missed_already_and_at_its_end_it_is_gone(site: Site, tocsin: Callable[..., Result]) -> None:
    assert fire(tocsin).exit_code == 0
    site.world.expect_page("ada", "INC-1")
    before = site.admin("GET").json()
    again = fire(tocsin)
    assert again.exit_code == 0, again.output
    already, ends = again.stdout.splitlines()
    assert already == "It is missed already, in INC-1."
    assert ends.endswith("`tocsin fire heartbeat-missed --end` removes the heartbeat, which ends it.")
    assert site.admin("GET").json() == before
    assert fire(tocsin, "--end").stdout.splitlines() == [f"Heartbeat {NAME} is removed.", "INC-1 is resolved."]
    assert site.admin("GET").status_code == 404
    assert fire(tocsin, "--end").stdout == f"There is no heartbeat {NAME}: nothing of it fires.\n"
    assert fire(tocsin).stdout.startswith("INC-2 is triggered")
    site.world.expect_page("ada", "INC-2")
    assert fire(tocsin, "--end").exit_code == 0


def test_one_that_was_heard_again_is_missed_again(site: Site, tocsin: Callable[..., Result]) -> None:
    ping = fire(tocsin).stdout.splitlines()[1]
    site.world.expect_page("ada", "INC-1")
    tocsin("heartbeat", "ping", NAME, "--token", ping.rpartition(" ")[2], key=None)
    site.world.settle()
    assert site.state() == "heard"
    assert fire(tocsin).stdout.startswith("INC-2 is triggered")
    site.world.expect_page("ada", "INC-2")
    assert fire(tocsin, "--end").exit_code == 0


def test_of_what_is_kept_quiet_it_says_why(site: Site, tocsin: Callable[..., Result]) -> None:
    silence = site.world.silence(60, 0, alertname="HeartbeatMissed")
    fired = fire(tocsin)
    assert fired.exit_code == 0, fired.output
    assert fired.stdout.startswith(f"It is missed, and nothing is said of it: silence {silence}.\n")
    assert "tocsin show" not in fired.stdout


@pytest.mark.parametrize("role", ["viewer", "responder"])
def test_it_takes_an_admins_key(site: Site, tocsin: Callable[..., Result], role: str) -> None:
    refused = tocsin("fire", "heartbeat-missed", key=KEYS[role])
    assert refused.exit_code == 1
    assert f"is a {role}'s; this takes a" in refused.stderr
    assert site.admin("GET").status_code == 404


@pytest.mark.parametrize("ends", [(), ("--end",)])
def test_another_heartbeat_of_its_name_is_left_alone(
    site: Site, tocsin: Callable[..., Result], ends: tuple[str, ...]
) -> None:
    site.admin("PUT", {"interval": "1h", "token_hashes": [hashed("another")]})
    before = site.admin("GET").json()
    refused = fire(tocsin, *ends)
    assert refused.exit_code == 1
    assert f"Another heartbeat is called {NAME}, and is left alone: give it another name." in refused.stderr
    assert site.admin("GET").json() == before
    assert site.state() == "waiting"


def test_stopped_while_it_waits_it_is_removed_again(site: Site, tocsin: Callable[..., Result]) -> None:
    def stop() -> None:
        assert site.state() == "heard"
        raise KeyboardInterrupt

    site.before = stop
    stopped = fire(tocsin)
    assert stopped.exit_code == 1
    assert f"Heartbeat {NAME} is removed again." in stopped.stderr
    assert site.admin("GET").status_code == 404
    site.world.advance(minutes=1)
    site.world.expect_incidents(0)


def test_a_gateway_that_knows_the_token_a_second_later_is_asked_again(
    site: Site, tocsin: Callable[..., Result]
) -> None:
    site.deaf_for = 2
    assert fire(tocsin).stdout.startswith("INC-1 is triggered")
    site.world.expect_page("ada", "INC-1")
    assert fire(tocsin, "--end").exit_code == 0


def test_what_nobody_notices_is_said_and_can_be_removed(site: Site, tocsin: Callable[..., Result]) -> None:
    blind: Any = SimpleNamespace(step=lambda: 0)
    site.world.heartbeats = blind
    refused = fire(tocsin)
    assert refused.exit_code == 1
    assert "is not missed after 35 s: `tocsin status` says what stands still." in refused.stderr
    assert fire(tocsin, "--end").stdout == f"Heartbeat {NAME} is removed.\n"
