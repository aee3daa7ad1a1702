"""Who names whom in the configuration: what has to stay because something else needs it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from domain.config import ApiKey, ConfigObject, Integration, Policy, RouteTree, Service, Team, User
from domain.correlating import CorrelationRule
from domain.heartbeats import Heartbeat
from domain.inhibition import InhibitionRule
from domain.intervals import Interval
from domain.routing import Route
from domain.windows import Window

Key = tuple[str, str]
"""The kind and the id of an object."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object names another: `path` is where, e.g. `steps[0].targets[1].team`."""

    by: Key
    path: str
    to: Key


def references(thing: ConfigObject) -> Iterator[Reference]:
    """Every other object that `thing` names."""
    for path, kind, name in _named(thing):
        if name:
            yield Reference((thing.kind, thing.id), path, (kind, name))


def dangling(objects: Mapping[Key, ConfigObject]) -> tuple[Reference, ...]:
    """The references to what is not among `objects`, in order."""
    return tuple(ref for key in sorted(objects) for ref in references(objects[key]) if ref.to not in objects)


def without_channel(objects: Mapping[Key, ConfigObject]) -> tuple[Reference, ...]:
    """Where a policy pages the channel of a team among `objects` that has none, in order."""
    none = {key for key, thing in objects.items() if isinstance(thing, Team) and not thing.contacts}
    policies = (thing for _, thing in sorted(objects.items(), key=lambda item: item[0]) if isinstance(thing, Policy))
    return tuple(
        Reference(("policy", policy.id), f"steps[{place}].targets[{index}].team", ("team", target.team))
        for policy in policies
        for place, step in enumerate(policy.steps)
        for index, target in enumerate(step.targets)
        if target.team and not target.role and ("team", target.team) in none
    )


def _named(thing: ConfigObject) -> Iterator[tuple[str, str, str | None]]:
    match thing:
        case User() | InhibitionRule() | CorrelationRule() | Interval():
            return
        case Window():
            for field, kind, names in (("services", "service", thing.services), ("teams", "team", thing.teams)):
                for index, name in enumerate(names):
                    yield f"{field}[{index}]", kind, name
        case Team():
            for index, member in enumerate(thing.members):
                yield f"members[{index}].user", "user", member.user
        case Service():
            yield "team", "team", thing.team
            yield "policy", "policy", thing.policy
            for index, service in enumerate(thing.dependencies):
                yield f"dependencies[{index}]", "service", service
        case Policy():
            for place, step in enumerate(thing.steps):
                for index, target in enumerate(step.targets):
                    yield f"steps[{place}].targets[{index}].user", "user", target.user
                    yield f"steps[{place}].targets[{index}].team", "team", target.team
        case Integration():
            yield "team", "team", thing.team
        case Heartbeat():
            yield "service", "service", thing.service
            yield "team", "team", thing.team
        case ApiKey():
            yield "user", "user", thing.user
        case RouteTree():
            yield from _of_route(thing.root, "")
        case _:
            assert_never(thing)


def _of_route(route: Route, path: str) -> Iterator[tuple[str, str, str | None]]:
    yield f"{path}service", "service", route.service
    yield f"{path}team", "team", route.team
    yield f"{path}policy", "policy", route.policy
    for field in ("mute_time_intervals", "active_time_intervals"):
        for index, name in enumerate(getattr(route, field)):
            yield f"{path}{field}[{index}]", "time_interval", name
    for index, child in enumerate(route.routes):
        yield from _of_route(child, f"{path}routes[{index}].")
