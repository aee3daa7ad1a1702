"""The example configuration, as it is shipped: every rule of it, on what `tocsin fire` posts and on more."""

from pathlib import Path

import pytest

from compose.scenarios import SCENARIOS, webhooks
from domain.decision import Refused
from domain.groups import AlertFlapping, AlertSuppressed
from tests.memory_world import MemoryWorld

EXAMPLE = Path(__file__).parents[2] / "compose" / "example"


def shipped() -> str:
    """All files as one."""
    files = [file.read_text(encoding="utf-8") for file in sorted(EXAMPLE.glob("*.yaml"))]
    return "version: 1\n" + "\n".join(text.replace("version: 1\n", "") for text in files)


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld(config=shipped())


def play(world: MemoryWorld, name: str, seconds: float) -> None:
    """A scenario as `tocsin fire` plays it, a turn every so many seconds."""
    scenario = SCENARIOS[name]
    for turn in range(2 * scenario.times - 1):
        for body in webhooks(scenario.samples, turn % 2 == 0, world.now()):
            world.post(body)
        world.advance(seconds=seconds)


def told(world: MemoryWorld) -> list[tuple[str, ...]]:
    """Who was told of what since this was last asked: a person and incidents each."""
    said = [(said.user, *said.incidents) for said in world.leftover()]
    for user, *_ in said:
        world.next_message(user)
    return said


def happened(world: MemoryWorld, *kinds: type) -> int:
    """How many events of these kinds there are."""
    return sum(isinstance(e.event, kinds) for e in world.store.tail(0, 10_000))


@pytest.mark.parametrize(("seconds", "people"), [(2, ["ada"]), (20, ["ada", "grace", "ada"])])
def test_what_comes_and_goes_is_one_incident_and_told_of_once(
    world: MemoryWorld, seconds: float, people: list[str]
) -> None:
    play(world, "flap", seconds)
    for person in people:
        assert "an alert of it changed 7 times in 10 min" in world.expect_page(person, "INC-1").text
    world.expect_nothing()
    world.expect_incidents(1)
    assert happened(world, AlertFlapping) == 1
    world.expect_incident("INC-1", status="resolved")


def test_what_still_fires_when_it_has_been_steady_is_announced(world: MemoryWorld) -> None:
    play(world, "flap", 2)
    world.expect_page("ada", "INC-1")
    world.advance(minutes=9)
    world.expect_nothing()
    world.advance(minutes=2)
    assert {said.incidents for said in world.leftover()} == {("INC-2",)}


def test_what_flaps_and_lasts_longer_each_time_is_told_of_though_its_group_waits(world: MemoryWorld) -> None:
    for lasts in (50, 50, 50, 50, 50, 50, 240, 240):
        world.fire("QueueGrows", service="checkout", severity="high")
        world.advance(seconds=lasts)
        world.end("QueueGrows", service="checkout", severity="high")
        world.advance(seconds=10)
    assert told(world)[0] == ("ada", "INC-1")
    assert happened(world, AlertFlapping) == 1


def test_what_is_critical_pages_at_once_and_again_in_the_same_incident(world: MemoryWorld) -> None:
    play(world, "critical_api_down", 60)
    told = world.leftover()
    assert told
    scenario = SCENARIOS["critical_api_down"]
    for fires in (False, True):
        for body in webhooks(scenario.samples, fires, world.now()):
            world.post(body)
    again = world.leftover()[len(told) :]
    assert {said.incidents for said in (*told, *again)} == {("INC-1",)} and again
    world.expect_incidents(1)


ROUND = [("ada", "INC-1"), ("grace", "INC-1"), ("ada", "INC-1"), ("grace", "INC-1")]
"""Whom the policy `platform-default` tells within 30 seconds, while nobody answers."""
AT_ONCE = [("ada", "INC-1"), ("team:platform", "INC-1")]
LOUD = [*AT_ONCE, ("grace", "INC-1"), *AT_ONCE, ("grace", "INC-1")]
"""The same of the policy `critical`."""


@pytest.mark.parametrize("service", ["payments", "search", "nobody-knows"])
def test_what_is_critical_is_mailed_at_once_to_whoever_is_first_and_to_the_channel(
    world: MemoryWorld, service: str
) -> None:
    began = world.now()
    world.fire("ApiDown", service=service, severity="critical")
    assert (told(world), world.now()) == (AT_ONCE, began)
    assert [message.to for message in world.channel.delivered] == ["ada@example.test", "platform@example.test"]
    world.advance(seconds=5)
    world.expect_nothing()
    world.advance(seconds=5)
    assert told(world) == [("grace", "INC-1")]
    world.ack("INC-1", by="grace")
    world.advance(hours=5)
    world.expect_nothing()
    world.expect_incident("INC-1", severity="critical", team="platform")


def test_what_is_critical_waits_for_nothing_though_the_rest_may() -> None:
    root = "\n  group_wait: 0s\n"
    assert root in shipped()
    world = MemoryWorld(config=shipped().replace(root, "\n  group_wait: 5m\n"))
    world.fire("QueueGrows", service="payments", severity="warning")
    world.expect_nothing()
    world.fire("ApiDown", service="payments", severity="critical")
    assert told(world) == [("ada", "INC-2"), ("team:platform", "INC-2")]


@pytest.mark.parametrize("word", ["critical", "Critical", "page", "fatal", "P0"])
def test_what_is_critical_is_told_again_after_two_hours_without_an_answer(world: MemoryWorld, word: str) -> None:
    world.fire("ApiDown", service="payments", severity=word)
    assert told(world) == AT_ONCE
    world.advance(minutes=1)
    assert told(world) == LOUD[2:]
    world.advance(hours=1, minutes=59, seconds=35)
    world.expect_nothing()
    world.advance(seconds=5)
    assert told(world) == AT_ONCE
    assert [message.to for message in world.channel.delivered[-2:]] == ["ada@example.test", "platform@example.test"]
    world.ack("INC-1")
    world.advance(hours=5)
    world.expect_nothing()
    world.expect_incident("INC-1", status="acknowledged", severity="critical", team="platform")


def test_what_is_critical_never_flaps_away(world: MemoryWorld) -> None:
    for _ in range(8):
        world.fire("ApiDown", service="payments", severity="critical")
        assert told(world) == AT_ONCE
        world.end("ApiDown", service="payments", severity="critical")
        world.advance(seconds=5)
    assert not happened(world, AlertFlapping, AlertSuppressed)
    world.expect_incidents(1)


def test_security_tells_everybody_at_once_and_until_it_is_over(world: MemoryWorld) -> None:
    world.fire("PasswordsTried", service="login", category="security")
    assert told(world) == [("ada", "INC-1"), ("grace", "INC-1")]
    with pytest.raises(Refused) as why:
        world.command("ack", "INC-1")
    assert why.value.code == "ack_not_allowed"
    assert world.command("assign", "INC-1") == world.command("comment", "INC-1") == "triggered"
    for _ in range(4 * 12):
        world.advance(minutes=5)
    assert len(told(world)) > 4 * 10
    world.resolve("INC-1")
    world.advance(hours=5)
    world.expect_nothing()


def test_security_never_flaps_away(world: MemoryWorld) -> None:
    for _ in range(8):
        world.fire("PasswordsTried", service="login", severity="warning", category="security")
        assert told(world) == [("ada", "INC-1"), ("grace", "INC-1")]
        world.end("PasswordsTried", service="login", severity="warning", category="security")
        world.advance(seconds=5)
    assert not happened(world, AlertFlapping, AlertSuppressed)


def test_what_is_critical_mutes_the_same_of_a_lesser_severity_but_not_what_is_about_security(
    world: MemoryWorld,
) -> None:
    world.fire("PasswordsTried", service="login", severity="critical")
    world.ack("INC-1")
    told(world)
    world.fire("PasswordsTried", service="login", severity="warning")
    world.advance(minutes=10)
    assert told(world) == []
    assert happened(world, AlertSuppressed) == 1
    world.fire("PasswordsTried", service="login", severity="warning", category="security")
    assert told(world) == [("ada", "INC-2"), ("grace", "INC-2")]
    assert happened(world, AlertSuppressed) == 1


def test_what_is_high_waits_a_minute_for_the_rest_of_it_and_is_told_again_after_four_hours(world: MemoryWorld) -> None:
    world.fire("IndexStale", service="search", severity="high", instance="1")
    world.advance(seconds=30)
    world.fire("IndexStale", service="search", severity="high", instance="2")
    world.advance(seconds=25)
    world.expect_nothing()
    world.advance(seconds=5)
    assert told(world) == [("grace", "INC-1")]
    world.advance(hours=4, seconds=25)
    world.expect_nothing()
    world.advance(seconds=5)
    assert told(world) == [("grace", "INC-1")]
    world.expect_incidents(1)


def test_whatever_is_wrong_with_a_database_is_one_incident(world: MemoryWorld) -> None:
    play(world, "database", 25)
    world.expect_nothing()
    world.advance(seconds=5)
    assert told(world) == ROUND[:1]
    world.expect_incidents(1)
    world.fire("PostgresDiskFull", service="search", severity="high", category="database")
    world.expect_incidents(2)


def test_what_others_run_has_five_minutes_and_is_told_again_after_twelve_hours(world: MemoryWorld) -> None:
    play(world, "external_api", 295)
    world.expect_nothing()
    world.advance(seconds=5)
    assert told(world) == ROUND[:1]
    world.advance(hours=12, seconds=35)
    assert told(world) == ROUND[1:]
    world.advance(seconds=5)
    assert told(world) == ROUND[:1]


@pytest.mark.parametrize("severity", ["critical", "high", "warning", "info"])
def test_development_goes_only_to_its_channel(world: MemoryWorld, severity: str) -> None:
    world.fire("ApiDown", service="payments", severity=severity, environment="development")
    world.advance(minutes=4, seconds=55)
    world.expect_nothing()
    world.advance(hours=13)
    assert told(world) == [("team:development", "INC-1")]
    assert {message.to for message in world.channel.delivered} == {"development@example.test"}
    world.expect_incident("INC-1", team="development")
