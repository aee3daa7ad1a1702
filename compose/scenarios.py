"""Things that go wrong, as Alertmanager would post them: what `tocsin fire` knows, in the words of compose/example."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schemas.sources.normalise import fnv_fingerprint

NOT_ENDED = "0001-01-01T00:00:00Z"
TOGETHER = 100
"""Alerts in one webhook, at most."""
STORM_SERVICES = (
    "payments",
    "checkout",
    "search",
    "accounts",
    "mail",
    "reports",
    "cart",
    "catalogue",
    "shipping",
    "login",
)
"""Those that no catalogue names go where the root route says."""
STORM_INSTANCES = 50


@dataclass(frozen=True, slots=True)
class Sample:
    """An alert: its labels, and what it says."""

    labels: Mapping[str, str]
    summary: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """`says` is for the list. `times`: so often it fires, and ends in between. `follows`: its escalation is watched.
    `silent`: nothing is posted, a heartbeat is missed (see `missing`).
    """

    name: str
    says: str
    samples: tuple[Sample, ...]
    times: int = 1
    follows: bool = False
    silent: bool = False


def _sample(alertname: str, severity: str, service: str, summary: str, **labels: str) -> Sample:
    return Sample({"alertname": alertname, "severity": severity, "service": service, **labels}, summary)


def _storm() -> Iterator[Sample]:
    for service in STORM_SERVICES:
        for number in range(STORM_INSTANCES):
            instance = f"{service}-{number}:9090"
            severity = "critical" if number < 2 else "warning"
            yield _sample("InstanceDown", severity, service, f"{instance} does not answer", instance=instance)


SCENARIOS: Mapping[str, Scenario] = {
    one.name: one
    for one in (
        Scenario(
            "critical_api_down",
            "A critical service answers nobody.",
            (
                _sample(
                    "ApiDown",
                    "critical",
                    "payments",
                    "No request was answered for two minutes",
                    instance="payments-7:9090",
                ),
            ),
        ),
        Scenario(
            "database",
            "A database has no connections left, lags and is slow: three alerts of one cause.",
            (
                _sample(
                    "PostgresConnectionsExhausted",
                    "high",
                    "payments",
                    "98 of 100 connections are in use",
                    category="database",
                    instance="payments-db-1",
                ),
                _sample(
                    "PostgresReplicationLag",
                    "high",
                    "payments",
                    "The standby is 90 s behind",
                    category="database",
                    instance="payments-db-2",
                ),
                _sample(
                    "PostgresSlowQueries",
                    "warning",
                    "payments",
                    "The slowest query takes 12 s",
                    category="database",
                    instance="payments-db-1",
                ),
            ),
        ),
        Scenario(
            "external_api",
            "What others run for us fails now and then.",
            (
                _sample(
                    "CardProviderErrors",
                    "warning",
                    "payments",
                    "One call of five fails",
                    category="external",
                    provider="cards.example.test",
                ),
            ),
        ),
        Scenario(
            "security",
            "Somebody tries passwords: it cannot be acknowledged away.",
            (_sample("PasswordsTried", "critical", "login", "4,000 sign-ins failed in a minute", category="security"),),
        ),
        Scenario(
            "sla",
            "An error budget burns fourteen times too fast.",
            (
                _sample(
                    "ErrorBudgetBurn",
                    "high",
                    "checkout",
                    "At this pace the month's budget is gone in two days",
                    slo="availability",
                    window="1h",
                ),
            ),
        ),
        Scenario(
            "deployment",
            "A deployment does not come up.",
            (
                _sample(
                    "DeploymentStuck",
                    "warning",
                    "checkout",
                    "1 of 4 replicas is ready after 10 minutes",
                    deployment="checkout",
                ),
                _sample(
                    "PodCrashLooping",
                    "warning",
                    "checkout",
                    "It was restarted 7 times in 10 minutes",
                    pod="checkout-7d9f-x2x",
                ),
            ),
        ),
        Scenario(
            "dev",
            "Something in development, which goes only to the developers' channel.",
            (
                _sample(
                    "BuildAgentDown", "warning", "builds", "No build was started for an hour", environment="development"
                ),
            ),
        ),
        Scenario(
            "storm",
            f"{len(STORM_SERVICES) * STORM_INSTANCES} alerts of {len(STORM_SERVICES)} services at once.",
            tuple(_storm()),
        ),
        Scenario(
            "flap",
            "An alert that comes and goes.",
            (_sample("QueueGrows", "high", "checkout", "10,000 messages wait", queue="orders"),),
            times=5,
        ),
        Scenario(
            "escalation-test",
            "A drill: a critical alert, watched until everybody was told or somebody answers.",
            (_sample("EscalationTest", "critical", "payments", "This is a drill: acknowledge it, or let it escalate"),),
            follows=True,
        ),
        Scenario("heartbeat-missed", "Something pings once and falls silent: a heartbeat is missed.", (), silent=True),
    )
}


def webhooks(samples: Sequence[Sample], fires: bool, now: datetime) -> Iterator[dict[str, Any]]:
    """The alerts as Alertmanager's webhooks of version 4, at most `TOGETHER` in one. They began at `now` (UTC), or end
    then.
    """
    for start in range(0, len(samples), TOGETHER):
        yield _webhook(samples[start : start + TOGETHER], fires, now)


def _webhook(samples: Sequence[Sample], fires: bool, now: datetime) -> dict[str, Any]:
    status = "firing" if fires else "resolved"
    first = samples[0].labels
    common = {name: value for name, value in first.items() if all(s.labels.get(name) == value for s in samples)}
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{first["alertname"]}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "tocsin",
        "groupLabels": {"alertname": first["alertname"]},
        "commonLabels": common,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.test:9093",
        "alerts": [_alert(sample, status, now) for sample in samples],
    }


def _alert(sample: Sample, status: str, now: datetime) -> dict[str, Any]:
    name = sample.labels["alertname"]
    ended = status == "resolved"
    return {
        "status": status,
        "labels": dict(sample.labels),
        "annotations": {"summary": sample.summary, "runbook_url": f"https://runbooks.example.test/{name}"},
        "startsAt": (now - timedelta(minutes=1) if ended else now).isoformat(),
        "endsAt": now.isoformat() if ended else NOT_ENDED,
        "generatorURL": f"http://prometheus.example.test:9090/graph?g0.expr={name}",
        "fingerprint": fnv_fingerprint(sample.labels),
    }
