"""What is no mistake in a configuration, but hardly meant: routes that no alert can reach, each in its place.

What can be told of them: `domain.reachable`.
"""

from collections.abc import Iterable, Iterator, Mapping

from domain.config import ConfigObject, RouteTree
from domain.reachable import Placed, Unreachable, unreachable
from domain.routing import Route, plan
from schemas.config_errors import ConfigError
from schemas.config_yaml import Node


def warnings_of(roots: Mapping[str, Node | None], objects: Iterable[ConfigObject]) -> tuple[ConfigError, ...]:
    """What is hardly meant in valid documents of which `objects` came; `roots` are their trees, by their names."""
    tree = next((one.root for one in objects if isinstance(one, RouteTree)), None)
    if tree is None:
        return ()
    routes = ((name, root.children.get("route")) for name, root in roots.items() if root)
    return tuple(
        one for name, route in routes if route and not route.empty for one in unreachable_routes(route, name, tree)
    )


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
