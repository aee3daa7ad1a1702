"""What `tocsin fire` posts: bodies as Alertmanager writes them, which go where the example configuration says."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compose.scenarios import SCENARIOS, webhooks
from domain.alerts import Alert
from domain.config import Config
from schemas.config_files import load_config
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams.looking import Blank, look

NOW = datetime(2026, 3, 2, 3, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[2] / "compose" / "example"
POLICIES = {
    "critical_api_down": {"critical"},
    "security": {"security"},
    "dev": {"development"},
}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("fires", [True, False])
def test_every_body_is_taken_without_a_warning(name: str, fires: bool) -> None:
    samples = SCENARIOS[name].samples
    alerts: list[Alert] = []
    for body in webhooks(samples, fires, NOW):
        parsed = SOURCES["alertmanager"](json.dumps(body).encode(), DEFAULT_LIMITS)
        assert not parsed.warnings and not parsed.rejected
        alerts += parsed.alerts
    assert [alert.status == "firing" for alert in alerts] == [fires] * len(samples)
    assert len({alert.fingerprint for alert in alerts}) == len(samples)


@pytest.mark.parametrize("name", POLICIES)
def test_they_go_where_the_example_sends_them(name: str) -> None:
    config = Config.of(0, load_config([EXAMPLE]))
    for body in webhooks(SCENARIOS[name].samples, True, NOW):
        alerts = SOURCES["alertmanager"](json.dumps(body).encode(), DEFAULT_LIMITS).alerts
        for one in look(Blank(config), "default", "alertmanager", alerts, NOW):
            assert {routed.policy for routed in one.routes} == POLICIES[name]


def test_the_catalogue() -> None:
    assert set(SCENARIOS) == {
        *("critical_api_down", "database", "external_api", "security", "sla", "deployment", "dev", "storm", "flap"),
        *("escalation-test", "heartbeat-missed"),
    }
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())
    assert [name for name, scenario in SCENARIOS.items() if not scenario.samples] == ["heartbeat-missed"]
