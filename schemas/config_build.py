"""From a validated configuration file to the domain's objects."""

from collections.abc import Iterator

from domain.config import (
    ApiKey,
    ConfigObject,
    ContactMethod,
    FieldMapping,
    Integration,
    Member,
    Policy,
    RouteTree,
    Service,
    Step,
    Target,
    Team,
    User,
)
from domain.routing import Route
from schemas.config_models import ConfigFile, MappingPart, PolicyPart, RoutePart


def build(parts: ConfigFile) -> Iterator[ConfigObject]:
    """The domain objects of a file, section by section."""
    for name, user in parts.users.items():
        contacts = (ContactMethod("email", user.email),) if user.email else ()
        yield User(name, user.name, contacts)
    for name, team in parts.teams.items():
        yield Team(name, tuple(Member(member.user, member.role) for member in team.members))
    for name, service in parts.services.items():
        yield Service(name, service.team, service.policy)
    for name, policy in parts.escalation_policies.items():
        yield Policy(name, _steps(policy), policy.loops, policy.stale_after)
    if parts.route is not None:
        yield RouteTree(_route(parts.route))
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
    for name, key in parts.api_keys.items():
        yield ApiKey(name, key.role, _digest(key.hash), key.user)


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
        matchers=tuple(matcher for matchers in part.matchers for matcher in matchers),
        service=part.service,
        team=part.team,
        policy=part.policy,
        group_by=None if part.group_by is None else tuple(part.group_by),
        group_wait=part.group_wait,
        routes=tuple(_route(child) for child in part.routes),
    )


def _digest(written: str) -> str:
    """The hash as the domain keeps it: lower-case hexadecimal digits alone."""
    return written.removeprefix("sha256:").lower()
