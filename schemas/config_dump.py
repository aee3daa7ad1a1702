"""Configuration objects written as YAML that `config_files.parse_config` reads back to the same objects."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import yaml

from domain.config import (
    ApiKey,
    ConfigObject,
    FieldMapping,
    Integration,
    Policy,
    RouteTree,
    Service,
    Target,
    Team,
    User,
)
from domain.correlating import CorrelationRule
from domain.heartbeats import Heartbeat
from domain.inhibition import InhibitionRule
from domain.intervals import Interval
from domain.routing import Route
from domain.windows import Window
from schemas.config_correlation import written_correlation
from schemas.config_heartbeats import written_heartbeat
from schemas.config_models import ConfigFile
from schemas.durations import format_duration
from schemas.intervals import written_interval
from schemas.matchers import format_matcher
from schemas.windows import written_window


class _Dumper(yaml.SafeDumper):
    """Quotes whatever is not printable: YAML counts more characters as line breaks than Python does."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text)


def dump_config(objects: Iterable[ConfigObject]) -> str:
    """One document with all `objects`, sections in the order of the format, each sorted by name.

    Raises ValueError for what the format cannot say: another contact than one mail address.
    """
    sections: dict[str, dict[str, Any]] = {}
    for thing in sorted(objects, key=lambda o: o.id):
        section, written = written_of(thing)
        sections.setdefault(section, {}).update(written if section == "route" else {thing.id: written})
    document = {"version": 1, **{name: sections[name] for name in ConfigFile.model_fields if name in sections}}
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def written_of(thing: ConfigObject) -> tuple[str, Any]:
    """The section that an object belongs to, and what stands there. Raises ValueError, see `dump_config`."""
    match thing:
        case User():
            return "users", _said(name=thing.name or None, email=_email(thing))
        case Team():
            members = [{"user": m.user, "role": m.role} for m in thing.members]
            return "teams", _said(email=_email(thing), members=members)
        case Service():
            return "services", _service(thing)
        case Policy():
            stale_after = format_duration(thing.stale_after)
            return "escalation_policies", {"loops": thing.loops, "stale_after": stale_after, "steps": _steps(thing)}
        case Integration():
            hashes = None if thing.token_hashes is None else [f"sha256:{token}" for token in thing.token_hashes]
            limits = _said(max_alerts=thing.max_alerts, max_body_bytes=thing.max_body_bytes)
            mapping = _mapping(thing.mapping) if thing.mapping else None
            said = _said(source=thing.source, token_hashes=hashes, shards=thing.shards, team=thing.team)
            expires_after = None if thing.expires_after is None else format_duration(thing.expires_after)
            more = _said(limits=limits or None, expires_after=expires_after, mapping=mapping)
            return "integrations", {**said, **more}
        case Heartbeat():
            return "heartbeats", written_heartbeat(thing)
        case ApiKey():
            return "api_keys", _said(role=thing.role, hash=f"sha256:{thing.hash}", user=thing.user)
        case InhibitionRule():
            return "inhibition_rules", {
                "source_matchers": [format_matcher(matcher) for matcher in thing.source],
                "target_matchers": [format_matcher(matcher) for matcher in thing.target],
                **_said(equal=list(thing.equal) or None),
            }
        case CorrelationRule():
            return "correlation_rules", written_correlation(thing)
        case Interval():
            return "time_intervals", written_interval(thing)
        case Window():
            return "maintenance_windows", written_window(thing)
        case RouteTree():
            return "route", _route(thing.root)


def _service(service: Service) -> dict[str, Any]:
    return _said(
        description=service.description,
        team=service.team,
        policy=service.policy,
        environment=service.environment,
        tier=service.tier,
        dependencies=list(service.dependencies) or None,
        links={link.name: link.url for link in service.links} or None,
    )


def _mapping(mapping: FieldMapping) -> dict[str, Any]:
    written = asdict(mapping)
    maps = {name: dict(written.pop(name)) or None for name in ("status_values", "severity_values")}
    return _said(**written, **maps)


def _email(thing: User | Team) -> str | None:
    if not thing.contacts:
        return None
    if len(thing.contacts) > 1 or thing.contacts[0].channel != "email":
        raise ValueError(f"{thing.kind} `{thing.id}` has contacts that the format cannot say")
    return thing.contacts[0].address


def _steps(policy: Policy) -> list[dict[str, Any]]:
    return [
        {
            "targets": [_target(target) for target in step.targets],
            "escalate_after": format_duration(step.escalate_after),
        }
        for step in policy.steps
    ]


def _target(target: Target) -> dict[str, Any]:
    return _said(user=target.user, team=target.team, role=target.role)


def _route(route: Route) -> dict[str, Any]:
    return _said(
        matchers=[format_matcher(matcher) for matcher in route.matchers] or None,
        **{"continue": route.continues or None},
        service=route.service,
        team=route.team,
        policy=route.policy,
        group_by=None if route.group_by is None else list(route.group_by),
        group_wait=_duration(route.group_wait),
        group_interval=_duration(route.group_interval),
        repeat_interval=_duration(route.repeat_interval),
        mute_time_intervals=list(route.mute_time_intervals) or None,
        active_time_intervals=list(route.active_time_intervals) or None,
        severity=None if route.severity is None else route.severity.value,
        runbook=route.runbook,
        ack=route.ack,
        suppress_for=_duration(route.suppress_for),
        reopen_within=_duration(route.reopen_within),
        flap_threshold=route.flap_threshold,
        flap_window=_duration(route.flap_window),
        flap_quiet=_duration(route.flap_quiet),
        routes=[_route(child) for child in route.routes] or None,
    )


def _duration(seconds: float | None) -> str | None:
    return None if seconds is None else format_duration(seconds)


def _said(**values: Any) -> dict[str, Any]:
    """The values that say something."""
    return {name: value for name, value in values.items() if value is not None}
