"""From a validated configuration file to the domain's objects."""

from collections.abc import Iterator

from domain.config import (
    ApiKey,
    ConfigObject,
    ContactMethod,
    FieldMapping,
    Integration,
    Link,
    Member,
    Policy,
    RouteTree,
    Service,
    Step,
    Target,
    Team,
    User,
)
from domain.inhibition import InhibitionRule
from domain.matching import Matcher
from domain.routing import Route
from domain.severity import Severity
from schemas.config_correlation import correlation_of
from schemas.config_heartbeats import heartbeat_of
from schemas.config_models import ConfigFile, MappingPart, PolicyPart
from schemas.config_routes import RoutePart
from schemas.intervals import interval_of
from schemas.windows import window_of


def build(parts: ConfigFile) -> Iterator[ConfigObject]:
    """The domain objects of a file, section by section."""
    for name, user in parts.users.items():
        yield User(name, user.name, _contacts(user.email))
    for name, team in parts.teams.items():
        members = tuple(Member(member.user, member.role) for member in team.members)
        yield Team(name, members, contacts=_contacts(team.email))
    for name, service in parts.services.items():
        yield Service(
            name,
            service.team,
            service.policy,
            environment=service.environment,
            tier=service.tier,
            dependencies=tuple(service.dependencies),
            links=tuple(Link(*link) for link in service.links.items()),
            description=service.description,
        )
    for name, policy in parts.escalation_policies.items():
        yield Policy(name, _steps(policy), policy.loops, policy.stale_after)
    if parts.route is not None:
        yield RouteTree(_route(parts.route))
    for name, rule in parts.inhibition_rules.items():
        yield InhibitionRule(name, _all(rule.source_matchers), _all(rule.target_matchers), tuple(rule.equal))
    for name, correlation in parts.correlation_rules.items():
        yield correlation_of(name, correlation)
    for name, spans in parts.time_intervals.items():
        yield interval_of(name, spans)
    for name, window in parts.maintenance_windows.items():
        yield window_of(name, window)
    for name, integration in parts.integrations.items():
        hashes = integration.token_hashes
        tokens = None if hashes is None else tuple(map(_digest, hashes))
        limits = integration.limits
        yield Integration(
            name,
            integration.source,
            tokens,
            integration.shards,
            _mapping(integration.mapping),
            team=integration.team,
            max_alerts=limits.max_alerts,
            max_body_bytes=limits.max_body_bytes,
            expires_after=integration.expires_after,
        )
    for name, heartbeat in parts.heartbeats.items():
        yield heartbeat_of(name, heartbeat)
    for name, key in parts.api_keys.items():
        yield ApiKey(name, key.role, _digest(key.hash), key.user)


def _contacts(email: str | None) -> tuple[ContactMethod, ...]:
    return (ContactMethod("email", email),) if email else ()


def _mapping(part: MappingPart | None) -> FieldMapping | None:
    if part is None:
        return None
    paths = part.model_dump(exclude={"status_values", "severity_values"})
    statuses, severities = sorted(part.status_values.items()), sorted(part.severity_values.items())
    return FieldMapping(**paths, status_values=tuple(statuses), severity_values=tuple(severities))


def _steps(policy: PolicyPart) -> tuple[Step, ...]:
    return tuple(
        Step(tuple(Target(t.user, t.team, t.role) for t in step.targets), step.escalate_after) for step in policy.steps
    )


def _route(part: RoutePart) -> Route:
    return Route(
        matchers=_all(part.matchers),
        service=part.service,
        team=part.team,
        policy=part.policy,
        group_by=None if part.group_by is None else tuple(part.group_by),
        group_wait=part.group_wait,
        continues=part.continues,
        group_interval=part.group_interval,
        repeat_interval=part.repeat_interval,
        mute_time_intervals=tuple(part.mute_time_intervals),
        active_time_intervals=tuple(part.active_time_intervals),
        severity=None if part.severity is None else Severity(part.severity),
        runbook=part.runbook,
        suppress_for=part.suppress_for,
        reopen_within=part.reopen_within,
        flap_threshold=part.flap_threshold,
        flap_window=part.flap_window,
        flap_quiet=part.flap_quiet,
        ack=part.ack,
        routes=tuple(_route(child) for child in part.routes),
    )


def _all(listed: list[tuple[Matcher, ...]]) -> tuple[Matcher, ...]:
    return tuple(matcher for matchers in listed for matcher in matchers)


def _digest(written: str) -> str:
    """The hash as the domain keeps it: lower-case hexadecimal digits alone."""
    return written.removeprefix("sha256:").lower()
