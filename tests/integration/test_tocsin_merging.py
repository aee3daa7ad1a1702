"""`tocsin merge|unmerge|split|attach|detach`, from the command line to the events."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import httpx
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from compose import people
from compose.cli import main
from compose.client import Client
from domain import ids
from tests.asking import opened
from tests.gateway_world import KEYS, GatewayWorld
from tests.integration.test_tocsin_commands import handled, said
from tests.memory_world import ORG
from tests.world import alert


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


@pytest.fixture
def tocsin(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `tocsin` with these arguments against the world's gateway."""
    transport = httpx.MockTransport(lambda request: handled(world, request))
    monkeypatch.setattr(people, "Client", lambda access: Client(access, transport))

    def run(*arguments: str) -> Result:
        with capture_logs():
            return CliRunner().invoke(main, [*arguments, "--url", "http://gateway.test", "--key", KEYS["responder"]])

    return run


@pytest.fixture
def alerts(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """INC-1 has two alerts of one group, INC-2 has one of another; their ids."""
    found = []
    for name, instance in (("Slow", "a"), ("Slow", "b"), ("Down", "a")):
        labels = {"service": "payments", "instance": instance}
        opened(world, name, **labels)
        found.append(ids.alert_id(ORG, "alertmanager", alert(name, labels, world.now())["fingerprint"]))

    def shown(_: Client, alert: str) -> SimpleNamespace:
        return SimpleNamespace(id=alert, group=ids.stream_uuid(world.store.alerts([alert])[alert].group or ""))

    monkeypatch.setattr(Client, "alert", shown)
    return found


def test_incidents_are_merged_and_taken_apart(tocsin: Callable[..., Result], alerts: list[str]) -> None:
    said(tocsin("merge", "INC-2", "--into", "INC-1"), "INC-2 is merged into INC-1.")
    said(tocsin("merge", "INC-2", "--into", "INC-1"), "INC-2 is merged into INC-1 already.")
    said(tocsin("unmerge", "INC-2"), "INC-2 is triggered again, and no part of INC-1.")
    said(tocsin("unmerge", "INC-2"), "INC-2 is triggered: it is not merged.")


def test_a_refusal_says_where_to_go(tocsin: Callable[..., Result], alerts: list[str]) -> None:
    tocsin("merge", "INC-2", "--into", "INC-1")
    refused = tocsin("resolve", "INC-2")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: INC-2 is merged into INC-1. Do it to INC-1; unmerge INC-2 first if")
    said(tocsin("ack", "INC-2"), "INC-1 is acknowledged.")


def test_alerts_are_split_off_and_attached(tocsin: Callable[..., Result], alerts: list[str]) -> None:
    said(tocsin("split", "INC-1", alerts[1]), "INC-3 is about that alert of INC-1 now.")
    said(tocsin("merge", "INC-3", "--into", "INC-1"), "INC-3 is merged into INC-1.")
    said(tocsin("attach", "INC-2", alerts[1]), "INC-2 has that alert of INC-1.")
    said(tocsin("attach", "INC-2", alerts[1]), "INC-2 has that alert already.")


def test_a_group_is_attached_and_detached(tocsin: Callable[..., Result], alerts: list[str]) -> None:
    tocsin("split", "INC-1", alerts[1])
    tocsin("merge", "INC-3", "--into", "INC-1")
    said(tocsin("attach", "INC-2", "--group", alerts[1]), "INC-2 has that alert group of INC-1.")
    said(tocsin("attach", "INC-2", "--group", alerts[1]), "INC-2 has that alert group already.")
    said(tocsin("detach", "INC-2", alerts[1]), "INC-4 is about that alert group of INC-2 now.")
    assert tocsin("attach", "INC-2", "--group", *alerts[:2]).exit_code == 2


def test_a_merged_incident_is_shown_as_such(tocsin: Callable[..., Result], alerts: list[str]) -> None:
    tocsin("merge", "INC-2", "--into", "INC-1")
    shown = tocsin("show", "INC-2").output
    assert "merged into INC-1" in shown
    assert "INC-1 is worked on instead: `tocsin show INC-1`." in shown.splitlines()
    assert "incident.merged.v1" in shown
    assert "instead" not in tocsin("show", "INC-1").output
    assert json.loads(tocsin("show", "INC-2", "--json").output)["incident"]["merged_into"] == "INC-1"
    assert "INC-2" not in tocsin("list").output
    assert "INC-2" in tocsin("list", "--status", "merged").output


def test_what_was_merged_several_times_names_the_last(tocsin: Callable[..., Result], alerts: list[str]) -> None:
    tocsin("split", "INC-1", alerts[1])
    tocsin("merge", "INC-3", "--into", "INC-2")
    tocsin("merge", "INC-2", "--into", "INC-1")
    shown = tocsin("show", "INC-3").output
    assert "merged into INC-2" in shown
    assert "INC-1 is worked on instead: `tocsin show INC-1`." in shown.splitlines()
    tocsin("unmerge", "INC-2")
    assert "INC-2 is worked on instead: `tocsin show INC-2`." in tocsin("show", "INC-3").output.splitlines()


def test_the_last_of_what_happened_is_shown_and_that_there_is_more(
    tocsin: Callable[..., Result], alerts: list[str]
) -> None:
    tocsin("merge", "INC-2", "--into", "INC-1")
    tocsin("unmerge", "INC-2")
    last = tocsin("show", "INC-2", "--last", "2").output
    assert "incident.opened.v1" not in last
    assert last.index("incident.unmerged.v1") < last.index("incident.reannounced.v1")
    assert "These are the last 2: more happened. --last takes up to 1,000." in last
    assert "more happened" not in tocsin("show", "INC-2").output
    assert len(json.loads(tocsin("show", "INC-2", "--json", "--last", "2").output)["entries"]) == 2
