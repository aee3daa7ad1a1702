"""Heartbeats, as configuration files have them: read into the domain's objects and written back."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from domain.heartbeating import HEARTBEAT
from domain.heartbeats import Heartbeat
from domain.matching import Matcher
from domain.severity import Severity
from schemas.config_routes import SeverityWord
from schemas.config_types import Delay, Duration, Flag, Hash, Label, Matchers, Part, Said, ServiceRef, TeamRef, wrong
from schemas.durations import format_duration
from schemas.matchers import format_matcher

LONGEST = 31 * 24 * 3600.0
"""Seconds of an interval or a grace: what is known of the times in which nobody could ping goes back thrice as far."""
OURS = ("alertname", "heartbeat", "severity", "service", "team")
"""Labels that the alert has anyway."""

Named = TypeVar("Named")


def _short(value: float) -> float:
    if value > LONGEST:
        wrong("This is longer than 31 days", "Write 31d or less")
    return value


def _free(labels: dict[str, str]) -> dict[str, str]:
    taken = next((name for name in labels if name in OURS), None)
    if taken:
        wrong(f"The alert has a label `{taken}` anyway", "Remove it; service, team and severity have keys of their own")
    fact = next((name for name in labels if name.startswith("@")), None)
    if fact:
        wrong(f"`{fact}` would be a fact, and no label", "Write a name that does not begin with @")
    return labels


def _choosing(matchers: list[tuple[Matcher, ...]]) -> list[tuple[Matcher, ...]]:
    """Refuses what an alert without any label meets, as `alertmanager_api.read_silence` does: it would take all."""
    if all(matcher.matches({}) for together in matchers for matcher in together):
        wrong(
            "Every matcher matches the empty string, so alerts without these labels feed it as well",
            "Add one that wants a label to be there",
        )
    return matchers


def not_ours(named: dict[str, Named]) -> dict[str, Named]:
    """Integrations by name. Refuses one that is called like the integration of missed heartbeats."""
    if HEARTBEAT in named:
        wrong(f"`{HEARTBEAT}` is what missed heartbeats are reported by", "Give this integration another name")
    return named


class FeedPart(Part):
    """Alerts that ping a heartbeat and are nothing else, such as Alertmanager's Watchdog."""

    matchers: Annotated[list[Matchers], AfterValidator(_choosing)] = Field(
        min_length=1, description="all have to match, and one an alert's label; Alertmanager's syntax"
    )


class HeartbeatPart(Part):
    """Something that has to ping again and again; when it does not, an alert `HeartbeatMissed` fires until it does."""

    interval: Annotated[Delay, AfterValidator(_short)] = Field(description="within which a ping has to come")
    grace: Annotated[Duration, AfterValidator(_short)] = Field(0.0, description="how much later it may come")
    service: ServiceRef | None = Field(None, description="the service that the alert is about: its team is paged")
    team: TeamRef | None = Field(None, description="the label `team` of the alert, for routes that match it")
    severity: SeverityWord = Field("high", description="of the alert")
    labels: Annotated[dict[Label, Said], Field(max_length=20), AfterValidator(_free)] = Field(
        default_factory=dict, description="more labels of the alert"
    )
    token_hashes: list[Hash] | None = Field(
        None, max_length=10, description="of the tokens it may ping with, see `tocsin token`; absent: those it has stay"
    )
    armed: Flag = Field(False, description="whether it is expected before its first ping")
    fed_by: FeedPart | None = Field(None, description="alerts that ping it and open no incident")


def heartbeat_of(name: str, part: HeartbeatPart) -> Heartbeat:
    """The domain's object."""
    hashes, feed = part.token_hashes, part.fed_by
    return Heartbeat(
        id=name,
        interval=part.interval,
        grace=part.grace,
        service=part.service,
        team=part.team,
        severity=Severity(part.severity),
        labels=tuple(sorted(part.labels.items())),
        token_hashes=None if hashes is None else tuple(each.removeprefix("sha256:").lower() for each in hashes),
        armed=part.armed,
        fed_by=tuple(matcher for matchers in (feed.matchers if feed else ()) for matcher in matchers),
    )


def written_heartbeat(heartbeat: Heartbeat) -> dict[str, Any]:
    """What stands in a file."""
    hashes = heartbeat.token_hashes
    written = {
        "interval": format_duration(heartbeat.interval),
        "grace": format_duration(heartbeat.grace) if heartbeat.grace else None,
        "service": heartbeat.service,
        "team": heartbeat.team,
        "severity": heartbeat.severity.value,
        "labels": dict(heartbeat.labels) or None,
        "token_hashes": None if hashes is None else [f"sha256:{digest}" for digest in hashes],
        "armed": heartbeat.armed or None,
        "fed_by": {"matchers": [format_matcher(each) for each in heartbeat.fed_by]} if heartbeat.fed_by else None,
    }
    return {name: value for name, value in written.items() if value is not None}
