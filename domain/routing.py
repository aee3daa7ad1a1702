"""The routing tree: which service, team, escalation policy and group key an alert gets.

Semantics are Alertmanager's: depth first, the first matching child wins unless it says `continue`, a child inherits
what it does not say, an absent label equals the empty string.
Source: Alertmanager's configuration documentation, sections <route> and <matcher>.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from domain.facts import EVERY, Catalogued, is_fact
from domain.matching import Matcher, quoted
from domain.severity import Severity

Ack = Literal["allowed", "refused"]
TITLE_LABELS = ("alertname", "service")


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the tree. None means: as my parent says; times are seconds.

    `continues`: when it has matched, its siblings after it are tried as well. `group_by` may be `...`: every label.
    `group_wait` is how long the first page waits, `group_interval` how long news of a group that was told of wait,
    `repeat_interval` after how long it is told again. `mute_time_intervals` and `active_time_intervals` (names) count
    for this node alone, as in Alertmanager. `severity` replaces the alert's. `runbook` is an https URL. A re-fire
    within `suppress_for` of the group's end says nothing; within `reopen_within` it reopens the incident. An alert that
    changes `flap_threshold` times (0: never mind) in `flap_window` flaps, until it was steady for `flap_quiet`.
    """

    matchers: tuple[Matcher, ...] = ()
    service: str | None = None
    team: str | None = None
    policy: str | None = None
    group_by: tuple[str, ...] | None = None
    group_wait: float | None = None
    routes: tuple["Route", ...] = ()
    continues: bool = False
    group_interval: float | None = None
    repeat_interval: float | None = None
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    severity: Severity | None = None
    runbook: str | None = None
    suppress_for: float | None = None
    reopen_within: float | None = None
    flap_threshold: int | None = None
    flap_window: float | None = None
    flap_quiet: float | None = None
    ack: Ack | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    """Where an alert goes, what the route that it took says (see `Route`), and the path of that route."""

    path: str
    service: str
    team: str
    policy: str
    group_by: tuple[str, ...]
    group_key: str
    group_wait: float
    group_interval: float | None = None
    repeat_interval: float | None = None
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    severity: Severity | None = None
    runbook: str | None = None
    suppress_for: float = 0.0
    reopen_within: float = 0.0
    flap_threshold: int = 0
    flap_window: float = 600.0
    flap_quiet: float = 600.0
    ack: Ack = "allowed"


INHERITED = (
    *("group_interval", "repeat_interval", "severity", "runbook", "suppress_for", "reopen_within"),
    *("flap_threshold", "flap_window", "flap_quiet", "ack"),
)
"""What a route has from its parent as it is, where it does not say it itself."""


@dataclass(frozen=True, slots=True)
class Node:
    """A route with what it inherits: all that does not depend on the alert.

    `team` and `policy` are those that a route below the root names; what the alert's service says comes before the
    root's. `options` are the fields of `Routing` that a route says, by name.
    """

    route: Route
    path: str
    service: str | None
    team: str | None
    policy: str | None
    group_by: tuple[str, ...]
    group_wait: float
    options: Mapping[str, Any]
    children: tuple["Node", ...]

    def matches(self, facts: Mapping[str, str]) -> bool:
        """Whether an alert goes down this way."""
        return all(matcher.matches(facts) for matcher in self.route.matchers)


def plan(root: Route) -> Node:
    """The tree with everything inherited, to be made once and walked often."""
    return _node(root, path_of(root), None)


def _node(route: Route, path: str, parent: Node | None) -> Node:
    said = {name: value for name in INHERITED if (value := getattr(route, name)) is not None}
    own = {name: value for name in ("mute_time_intervals", "active_time_intervals") if (value := getattr(route, name))}
    inherited = {name: value for name, value in parent.options.items() if name in INHERITED} if parent else {}
    node = Node(
        route=route,
        path=path,
        service=route.service or (parent.service if parent else None),
        team=(route.team or parent.team) if parent else None,
        policy=(route.policy or parent.policy) if parent else None,
        group_by=route.group_by if route.group_by is not None else parent.group_by if parent else (),
        group_wait=route.group_wait if route.group_wait is not None else parent.group_wait if parent else 0.0,
        options={**inherited, **said, **own},
        children=(),
    )
    return replace(node, children=tuple(_children(node)))


def _children(node: Node) -> Iterator[Node]:
    """The nodes below: a sibling with the same matchers as one before it has its number in its name."""
    seen: Counter[str] = Counter()
    for child in node.route.routes:
        name = path_of(child)
        seen[name] += 1
        nth = f"#{seen[name]}" if seen[name] > 1 else ""
        yield _node(child, f"{node.path}/{name}{nth}", node)


def path_of(route: Route) -> str:
    """A name for a route that its place among its siblings does not change: its matchers."""
    return "{" + ",".join(map(str, route.matchers)) + "}"


class Ownership(Catalogued, Protocol):
    """What a service says of itself: also the policy that pages for it."""

    @property
    def policy(self) -> str:
        """The escalation policy that pages for it."""


def routes(tree: Node, facts: Mapping[str, str], services: Mapping[str, Ownership]) -> tuple[Routing, ...]:
    """Every way that an alert takes, in the order of the tree; at least one.

    Parameters:
        tree: see `plan`.
        facts: the alert's labels, and the facts that matchers read (`domain.facts.facts`).
        services: the catalogue. A service named by a route, or by the alert's own label when the catalogue knows it,
            supplies the team and policy that no route on the way names.

    Raises ValueError when the root lacks team or policy: validation of the configuration refuses such a tree.
    """
    return tuple([_routing(tree, node, facts, services) for node in found(tree, facts)])


def route(root: Route, labels: Mapping[str, str], services: Mapping[str, Ownership]) -> Routing:
    """The first way that an alert takes; see `routes`."""
    return routes(plan(root), labels, services)[0]


def found(node: Node, facts: Mapping[str, str]) -> list[Node]:
    """The deepest nodes that match, in order; `node` itself, which matches, when none below it does.

    Among siblings the first that matches ends the search, unless it `continues`.
    """
    deepest: list[Node] = []
    for child in node.children:
        if child.matches(facts):
            deepest += found(child, facts)
            if not child.route.continues:
                break
    return deepest or [node]


def _routing(tree: Node, node: Node, facts: Mapping[str, str], services: Mapping[str, Ownership]) -> Routing:
    service = node.service or facts.get("service", "")
    owner = services.get(service)
    team = node.team or (owner.team if owner else None) or tree.route.team
    policy = node.policy or (owner.policy if owner else None) or tree.route.policy
    if not team or not policy:
        raise ValueError("the root route names no team or no escalation policy")
    key = group_key(node.path, node.group_by, facts)
    return Routing(node.path, service, team, policy, node.group_by, key, node.group_wait, **node.options)


def group_key(path: str, group_by: tuple[str, ...], facts: Mapping[str, str]) -> str:
    """`<route path>:{<group labels>}`, as Alertmanager writes it."""
    names = (name for name in facts if not is_fact(name)) if EVERY in group_by else group_by
    pairs = [f"{name}={quoted(facts[name])}" for name in sorted(names) if name in facts]
    return f"{path}:{{{', '.join(pairs)}}}"


def labels_read(root: Route) -> frozenset[str]:
    """Every label and fact a decision may read: what matchers, group_by, the service and the title look at.

    With `...` in it: every label.
    """
    names = {*TITLE_LABELS, *(matcher.label for matcher in root.matchers), *(root.group_by or ())}
    return frozenset(names).union(*(labels_read(child) for child in root.routes))


def title(labels: Mapping[str, str], integration: str) -> str:
    """What an incident is called: the alert's name, and the service when the name does not say it."""
    name = labels.get("alertname") or f"Alert from {integration}"
    service = labels.get("service", "")
    return name if not service or service in name else f"{name} ({service})"
