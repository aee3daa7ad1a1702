"""What is no mistake in a configuration, but hardly meant, each in its place: routes that no alert can reach, and
inhibition rules that inhibit nothing.

What can be told of them: `domain.reachable`.
"""

from collections.abc import Iterable, Iterator, Mapping

from domain.config import ConfigObject, RouteTree
from domain.inhibition import InhibitionRule
from domain.reachable import Placed, Unreachable, never_inhibits, unreachable
from domain.routing import Route, plan
from schemas.config_errors import ConfigError
from schemas.config_yaml import Node

RULES, THEIR_RULES = "inhibition_rules", "inhibit_rules"
"""Where inhibition rules stand in our files, by name, and in Alertmanager's, in a list."""


def warnings_of(roots: Mapping[str, Node | None], objects: Iterable[ConfigObject]) -> tuple[ConfigError, ...]:
    """What is hardly meant in valid documents of which `objects` came; `roots` are their trees, by their names."""
    objects = tuple(objects)
    tree = next((one.root for one in objects if isinstance(one, RouteTree)), None)
    rules = {one.id: one for one in objects if isinstance(one, InhibitionRule)}
    found: list[ConfigError] = []
    for name, root in roots.items():
        route = root.children.get("route") if root else None
        if tree is not None and route is not None and not route.empty:
            found += unreachable_routes(route, name, tree)
        if root is not None:
            found += _idle_rules(root, name, rules)
    return tuple(found)


def unreachable_routes(route: Node, file: str, tree: Route) -> Iterator[ConfigError]:
    """A warning for each route that is never reached.

    Parameters:
        route: the place of the root route in `file`; the routes below stand under `routes`, as in our files and
            Alertmanager's.
        tree: what was read there.
    """
    for found in unreachable(plan(tree)):
        node = _node(route, found.route)
        problem, remedy = _taken(route, found, found.taken_by) if found.taken_by else _clashing(found)
        path = ("route", *(part for place in found.route.at for part in ("routes", place)))
        said = f"The route `{found.route.node.path}` is never reached: {problem}"
        yield ConfigError(file, node.line, node.column, path, said, remedy)


def _taken(route: Node, found: Unreachable, earlier: Placed) -> tuple[str, str]:
    line = _node(route, earlier).line
    problem = f"`{earlier.node.path}` in line {line} comes first and takes every alert that it matches"
    if found.alike:
        return problem, f"Make one route of the two, or say `continue: true` in line {line}"
    return problem, f"Move it before line {line}, say `continue: true` there, or remove it"


def _clashing(found: Unreachable) -> tuple[str, str]:
    matchers = " and ".join(f"`{matcher}`" for matcher in found.clash)
    below = " of it and of the routes above it" if len(found.route.at) > 1 else ""
    return f"no alert meets {matchers}", f"Correct the matchers{below}, or remove it"


def _node(route: Node, placed: Placed) -> Node:
    """Where a route stands."""
    for place in placed.at:
        route = route.children["routes"].children[place]
    return route


def _idle_rules(root: Node, file: str, rules: Mapping[str, InhibitionRule]) -> Iterator[ConfigError]:
    """A warning for each inhibition rule of a document that inhibits nothing."""
    for path, node, rule in _placed_rules(root, rules):
        if never_inhibits(rule):
            line, column = (node.key_line, node.key_column) if node.key_line else (node.line, node.column)
            problem = (
                f"The rule `{rule.id}` inhibits nothing: both sides want the same, and an alert that matches both is "
                "not inhibited by one that does so too"
            )
            yield ConfigError(file, line, column, path, problem, "Correct one side, or remove the rule")


def _placed_rules(
    root: Node, rules: Mapping[str, InhibitionRule]
) -> Iterator[tuple[tuple[str, str | int], Node, InhibitionRule]]:
    """The rules of a document with their paths and places. An import leaves out those of several sources, and keeps the
    order of the others.
    """
    if (ours := root.children.get(RULES)) is not None:
        for name, node in ours.children.items():
            if (rule := rules.get(str(name))) is not None:
                yield (RULES, name), node, rule
    if (theirs := root.children.get(THEIR_RULES)) is not None:
        kept = ((place, node) for place, node in theirs.children.items() if not _says(node, "sources"))
        for (place, node), rule in zip(kept, rules.values(), strict=True):
            yield (THEIR_RULES, place), node, rule


def _says(node: Node, key: str) -> bool:
    return key in node.children and not node.children[key].empty
