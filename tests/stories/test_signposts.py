"""Where a message leads on to: the runbook of the route, the service's pages, the incident's own page."""

from typing import Any

from tests.memory_world import MemoryWorld
from tests.world import CONFIG

LINKED = CONFIG.replace(
    "payments: {team: platform, policy: two-steps}",
    "payments: {team: platform, policy: two-steps, links: {dashboard: 'https://grafana.example.test/d/pay',"
    " logs: 'https://logs.example.test/pay'}}",
).replace(
    "  routes:\n",
    "  routes:\n    - {matchers: ['alertname=\"ServiceDown\"'], runbook: 'https://runbooks.example.test/down'}\n"
    "    - {matchers: ['alertname=\"Same\"'], runbook: 'https://runbooks.example.test/Same'}\n",
)


def said(world: MemoryWorld, name: str = "ServiceDown", **labels: Any) -> str:
    world.fire(name, **labels)
    text = world.expect_page("ada", "INC-1").text
    world.ack("INC-1")
    world.close()
    return text


def test_what_the_route_and_the_service_name_is_in_the_message() -> None:
    text = said(MemoryWorld(config=LINKED), service="payments")
    links = text.partition("Links:\n")[2].partition("\n\n")[0].splitlines()
    assert links == [
        "  runbook of the route: https://runbooks.example.test/down",
        "  runbook: https://runbooks.example.test/ServiceDown",
        "  dashboard of payments: https://grafana.example.test/d/pay",
        "  logs of payments: https://logs.example.test/pay",
        "  source: http://prometheus.example.test/graph",
    ]


def test_an_address_that_two_name_is_there_once() -> None:
    text = said(MemoryWorld(config=LINKED), "Same")
    assert text.count("https://runbooks.example.test/Same") == 1


def test_without_a_public_address_there_is_no_link_to_the_incident() -> None:
    world = MemoryWorld(config=LINKED)
    world.fire("ServiceDown", service="payments")
    (message,) = world.channel.delivered
    assert [line.public_url for line in message.lines] == [None]


def test_with_one_the_message_leads_to_the_incident() -> None:
    world = MemoryWorld(config=LINKED)
    world.pager.public_url = "https://tocsin.example.test/on-call"
    text = said(world, service="payments")
    assert "https://tocsin.example.test/on-call/incidents/INC-1\n" in text
