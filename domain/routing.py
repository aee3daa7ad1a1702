"""The routing tree: which service, team, escalation policy and group key an alert gets.

Semantics are Alertmanager's: depth first, the first matching child wins, a child inherits what it does not say,
an absent label equals the empty string, regular expressions are anchored at both ends and `.` stops at a newline.
Source: Alertmanager's configuration documentation, sections <route> and <matcher>.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Protocol, TypeVar

T = TypeVar("T")
quoted = json.JSONEncoder(ensure_ascii=False).encode


class MatchOperator(StrEnum):
    """The four ways a matcher compares a label."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    r"""The regular expression of a matcher; raises `re.error` for one that does not compile.

    As in RE2, which Alertmanager uses, `\d`, `\w` and `\b` mean ASCII.
    """
    return re.compile(f"(?:{pattern})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Matcher:
    """`label operator value`, e.g. `severity=~"critical|page"`."""

    label: str
    operator: MatchOperator
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfy this matcher; an absent label equals the empty string."""
        actual = labels.get(self.label, "")
        match self.operator:
            case MatchOperator.EQUAL:
                return actual == self.value
            case MatchOperator.NOT_EQUAL:
                return actual != self.value
            case MatchOperator.MATCHES:
                return compiled(self.value).fullmatch(actual) is not None
            case MatchOperator.NOT_MATCHES:
                return compiled(self.value).fullmatch(actual) is None

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the tree. None means: as my parent says. `group_wait` is seconds before the first page."""

    matchers: tuple[Matcher, ...] = ()
    service: str | None = None
    team: str | None = None
    policy: str | None = None
    group_by: tuple[str, ...] | None = None
    group_wait: float | None = None
    routes: tuple["Route", ...] = ()


@dataclass(frozen=True, slots=True)
class Routing:
    """Where an alert goes, and the path of the route that said so."""

    path: str
    service: str
    team: str
    policy: str
    group_by: tuple[str, ...]
    group_key: str
    group_wait: float


class Ownership(Protocol):
    """What a service says of itself: the team that owns it and the policy that pages for it."""

    @property
    def team(self) -> str:
        """The team that owns it."""

    @property
    def policy(self) -> str:
        """The escalation policy that pages for it."""


TITLE_LABELS = ("alertname", "service")


def route(root: Route, labels: Mapping[str, str], services: Mapping[str, Ownership]) -> Routing:
    """Walk the tree for an alert's `labels`.

    A service named by a route, or by the alert's own `service` label when the catalogue knows it, supplies the
    team and policy that no route on the path names. Raises ValueError when the root lacks team or policy:
    validation of the configuration refuses such a tree.
    """
    path = tuple(walk(root, labels))
    service = inherited(path, lambda r: r.service) or labels.get("service", "")
    owner = services.get(service)
    named = path[1:]
    team = inherited(named, lambda r: r.team) or (owner.team if owner else None) or root.team
    policy = inherited(named, lambda r: r.policy) or (owner.policy if owner else None) or root.policy
    if not team or not policy:
        raise ValueError("the root route names no team or no escalation policy")
    group_by = inherited(path, lambda r: r.group_by) or ()
    name = path_name(path)
    return Routing(
        path=name,
        service=service,
        team=team,
        policy=policy,
        group_by=group_by,
        group_key=group_key(name, group_by, labels),
        group_wait=inherited(path, lambda r: r.group_wait) or 0.0,
    )


def walk(node: Route, labels: Mapping[str, str]) -> Iterator[Route]:
    """The nodes from the root to the deepest first match."""
    yield node
    for child in node.routes:
        if all(matcher.matches(labels) for matcher in child.matchers):
            yield from walk(child, labels)
            return


def inherited(path: tuple[Route, ...], read: Callable[[Route], T | None]) -> T | None:
    """What the deepest node on `path` that says anything says about the property that `read` reads."""
    return next((value for node in reversed(path) if (value := read(node)) is not None), None)


def path_name(path: tuple[Route, ...]) -> str:
    """A name for a node that its place among its siblings does not change: the matchers on the way to it."""
    return "/".join("{" + ",".join(map(str, node.matchers)) + "}" for node in path)


def group_key(path: str, group_by: tuple[str, ...], labels: Mapping[str, str]) -> str:
    """`<route path>:{<group labels>}`, as Alertmanager writes it."""
    pairs = (f"{name}={quoted(labels[name])}" for name in sorted(group_by) if name in labels)
    return f"{path}:{{{', '.join(pairs)}}}"


def labels_read(root: Route) -> frozenset[str]:
    """Every label a decision may read: what matchers, group_by, the service and the title look at."""
    names = {*TITLE_LABELS, *(matcher.label for matcher in root.matchers), *(root.group_by or ())}
    return frozenset(names).union(*(labels_read(child) for child in root.routes))


def title(labels: Mapping[str, str], integration: str) -> str:
    """What an incident is called: the alert's name, and the service when the name does not say it."""
    name = labels.get("alertname") or f"Alert from {integration}"
    service = labels.get("service", "")
    return name if not service or service in name else f"{name} ({service})"
