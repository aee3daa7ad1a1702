"""Development only to its channel: a step that names a team without a role pages the team's address, and no person."""

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from compose.auditing import print_account
from domain import changes, escalations, pages
from domain.config import Target, Team
from domain.decision import Refused
from projections.audit import Account, account
from schemas.config_differences import FieldChange
from streams.channels.base import Rejected
from streams.configuring import apply, objects_of
from tests.auditing import KeepingStore, MemoryLedger, verify
from tests.memory_world import ORG, PERSON, MemoryWorld
from tests.world import CONFIG

CHANNEL = "team:development"
ADDRESS = "development@example.test"
DEVELOPING = (
    CONFIG.replace(
        "teams:\n",
        f"teams:\n  development: {{email: {ADDRESS}, members: [{{user: grace, role: primary}}]}}\n",
    )
    .replace(
        "escalation_policies:\n",
        "escalation_policies:\n"
        "  development: {steps: [{targets: [{team: development}], escalate_after: 30m}]}\n"
        "  channel-then-ada:\n"
        "    steps:\n"
        "      - {targets: [{team: development}], escalate_after: 5m}\n"
        "      - {targets: [{user: ada}], escalate_after: 5m}\n",
    )
    .replace(
        "  routes:\n",
        "  routes:\n"
        "    - {matchers: ['environment=\"development\"'], team: development, policy: development}\n"
        "    - {matchers: ['environment=\"staging\"'], team: development, policy: channel-then-ada}\n",
    )
)


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    store = KeepingStore()
    made = MemoryWorld(store, DEVELOPING)
    store.wall = made.now
    yield made
    verdict = verify(ledger(made))
    assert verdict.findings == []
    assert sum(verdict.rederived.values()) == verdict.events
    made.close()


def ledger(world: MemoryWorld) -> MemoryLedger:
    assert isinstance(world.store, KeepingStore)
    return MemoryLedger.of(world.store).seal()


def told(world: MemoryWorld) -> Account:
    return account(ledger(world), ORG, world._streams()["INC-1"])


def shown(world: MemoryWorld) -> str:
    """What `tocsin audit show INC-1` prints."""
    text = io.StringIO()
    print_account(Console(file=text, width=250), told(world))
    return text.getvalue()


def test_a_development_alert_reaches_the_channel_and_nobodys_own_mailbox(world: MemoryWorld) -> None:
    world.fire("BuildAgentDown", service="payments", environment="development")
    said = world.expect_page(CHANNEL, "INC-1")
    assert "Why you: this is the channel of development; step 1 of 1 of escalation policy development" in said.text
    world.advance(hours=2)
    world.expect_nothing()
    assert [(message.to, message.person_id) for message in world.channel.messages] == [(ADDRESS, CHANNEL)]
    events = [e.event for e in world.store.tail(0, 1000)]
    (queued,) = [event for event in events if isinstance(event, pages.Queued)]
    (step,) = [event for event in events if isinstance(event, escalations.StepNotified)]
    assert (queued.user, queued.method) == (CHANNEL, "email")
    assert [(one.target, one.user) for one in step.notified] == [(CHANNEL, CHANNEL)]


def test_the_account_and_the_timeline_call_it_the_channel(world: MemoryWorld) -> None:
    world.fire("BuildAgentDown", environment="development")
    world.expect_page(CHANNEL, "INC-1")
    (paged,) = told(world).paged
    assert (paged.user, str(paged.rule).partition(":")[0], paged.rule.target) == (CHANNEL, "team", CHANNEL)
    text = shown(world)
    assert "the channel of development  email" in text
    assert "step 1: the channel of development paged by email" in text
    assert "page to the channel of development by email sent" in text


def test_what_could_not_be_said_to_the_channel_is_named(world: MemoryWorld) -> None:
    world.channel.script(Rejected("rcpt: 550"))
    world.fire("BuildAgentDown", environment="staging")
    assert "the channel of development by email, team:development: step 1 of policy channel-then-ada" in shown(world)
    (failed, waits) = told(world).not_paged
    assert (failed.user, failed.reason) == (CHANNEL, "failed in attempt 1: rcpt: 550")
    assert (waits.user, waits.reason) == ("ada", "its step is not due yet")


def test_the_channel_escalates_to_a_person_and_an_acknowledgement_stops_that(world: MemoryWorld) -> None:
    world.fire("BuildAgentDown", environment="staging")
    world.expect_page(CHANNEL, "INC-1")
    world.advance(minutes=6)
    world.expect_page("ada", "INC-1")
    world.fire("OtherAgentDown", environment="staging")
    world.expect_page(CHANNEL, "INC-2")
    world.ack("INC-2", by="grace")
    world.advance(hours=1)
    world.expect_nothing()


def test_incidents_of_one_moment_reach_the_channel_in_one_message(world: MemoryWorld) -> None:
    for name in ("Disk", "Net"):
        world.silence(10, alertname=name)
        world.fire(name, environment="development")
    world.advance(minutes=11)
    world.expect_page(CHANNEL, "INC-1", "INC-2")


def test_a_user_of_the_teams_name_is_somebody_else(world: MemoryWorld) -> None:
    users = "users:\n  development: {name: Dev Eloper, email: dev@example.test}\n"
    world.configure(DEVELOPING.replace("users:\n", users).replace("{user: ada}], esc", "{user: development}], esc"))
    world.fire("BuildAgentDown", environment="staging")
    world.expect_page(CHANNEL, "INC-1")
    world.advance(minutes=6)
    world.expect_page("development", "INC-1")
    assert [message.to for message in world.channel.delivered] == [ADDRESS, "dev@example.test"]


def test_a_channel_that_is_gone_when_its_step_runs_is_nobody(world: MemoryWorld) -> None:
    world.configure(DEVELOPING.replace("policy: development}", "policy: development, group_wait: 2m}"))
    world.fire("BuildAgentDown", environment="development")
    without = DEVELOPING.replace(f"email: {ADDRESS}, ", "").replace("{team: development}", "{user: ada}")
    world.configure(without)
    world.advance(minutes=3)
    (missed,) = told(world).not_paged
    assert missed.reason == "nobody reachable: it stood for no channel with a contact method"
    text = shown(world)
    assert "nobody could be reached in step 1: the channel of development" in text
    assert "the channel of development, team:development: step 1 of policy development" in text


def test_who_is_not_configured_is_reached_by_nothing(world: MemoryWorld) -> None:
    config = world.store.config()
    assert [contact.address for contact in config.contacts(CHANNEL)] == [ADDRESS]
    assert config.people(Target(team="development")) == (CHANNEL,)
    for nobody in (Target(team="platform"), Target(team="nobody"), Target(user="nobody")):
        assert config.people(nobody) == ()
    assert config.contacts("nobody") == config.contacts("team:nobody") == config.contacts("development") == ()


# -- what is configured ------------------------------------------------------------------------------------------------


def test_the_address_stands_in_the_log_and_not_beside_it(world: MemoryWorld) -> None:
    puts = [e.event for e in world.store.tail(0, 1000) if isinstance(e.event, changes.ObjectPut)]
    (put,) = [put for put in puts if isinstance(put.object, Team) and put.object.id == "development"]
    assert put.private is None
    assert [contact.address for contact in put.object.contacts] == [ADDRESS]


def test_a_channel_that_a_policy_pages_cannot_be_taken_away(world: MemoryWorld) -> None:
    objects = objects_of(world.store.config())
    team = objects["team", "development"]
    assert isinstance(team, Team)
    mute = {("team", "development"): replace(team, contacts=())}
    head = world.store.head()
    with pytest.raises(Refused) as refused:
        apply(world.store, ORG, mute, PERSON, world.now(), b"salt")
    assert (refused.value.code, world.store.head()) == ("referenced", head)
    assert str(refused.value.detail) == (
        "The team `development` has to have an `email`, because its channel is paged by policy `channel-then-ada`"
        " (steps[0].targets[0].team), policy `development` (steps[0].targets[0].team)."
    )
    assert "`email`" in refused.value.remedy and "`role`" in refused.value.remedy


def test_a_change_of_the_channel_is_shown(world: MemoryWorld) -> None:
    team = objects_of(world.store.config())["team", "development"]
    assert isinstance(team, Team)
    moved = replace(team, contacts=(replace(team.contacts[0], address="dev-list@example.test"),))
    done = apply(world.store, ORG, {("team", "development"): moved}, PERSON, world.now(), b"salt")
    assert done.fields == ((FieldChange("email", ADDRESS, "dev-list@example.test"),),)
    world.fire("BuildAgentDown", environment="development")
    assert world.expect_page(CHANNEL, "INC-1")
    assert world.channel.messages[0].to == "dev-list@example.test"
