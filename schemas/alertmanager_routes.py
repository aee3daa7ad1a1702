"""The routing tree of an alertmanager.yml, with every form of matcher that Alertmanager has had."""

from collections.abc import Mapping

from domain.matching import Matcher, MatchOperator
from domain.routing import Route
from schemas import durations
from schemas.alertmanager_keys import ROUTE, closed, flag, is_label, seconds
from schemas.alertmanager_receivers import Receivers
from schemas.config_yaml import Node
from schemas.imported import Import, Names, Path
from schemas.matchers import BadMatcher, make_matcher, parse_matchers

DEFAULTS: Mapping[str, float] = {"group_wait": 30.0, "group_interval": 300.0, "repeat_interval": 14400.0}
"""Seconds, where the root does not say them. Source: Alertmanager's configuration documentation, <route>."""

OTHERWISE = (
    "An incident is told of by its escalation policy here: it is repeated by `repeat_interval` once everybody was told "
    "in vain, another alert of it is news by `group_interval` only then, and what somebody acknowledged is told of "
    "again only when it gets worse"
)
"""What the two intervals, though carried over, do not mean as in Alertmanager."""

WHOSE = (
    "An alert whose `service` label names a service of the catalogue goes to that service's team and policy here, "
    "unless a route below the root names a receiver"
)
"""What comes before the root's receiver, which is Alertmanager's only answer."""

LONGEST = durations.LONGEST / 1000
"""Seconds that a duration of our files has at most."""

DEEPEST = 25
"""Routes below each other: our files nest 64 levels, a route takes two."""

EVERY_ALERT = Matcher("alertname", MatchOperator.MATCHES, ".*")
"""Stands where Alertmanager has no matcher, which matches everything, and our format wants one."""


class Routes:
    """The routes of one file. `intervals` are our names for its time intervals, `known` those that there are."""

    def __init__(self, file: Import, receivers: Receivers, intervals: Names) -> None:
        self.file = file
        self.receivers = receivers
        self.intervals = intervals

    def root(self, node: Node) -> Route:
        """The tree: what Alertmanager's root does not say is said as its defaults."""
        path: Path = ("route",)
        said = self.file.members(node, path)
        if "receiver" not in said or said["receiver"].value == "":
            self.file.refuse(node, path, "The root route names no receiver")
        for key in ("match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals"):
            if key in said and said[key].children:
                self.file.refuse(said[key], (*path, key), f"The root route has no `{key}` in Alertmanager")
        self.file.leave(
            node, path, OTHERWISE, "See docs/how-to/route-alerts.md, `group_interval` and `repeat_interval`"
        )
        self.file.leave(
            node, path, WHOSE, "Nothing, if that is meant; else name a receiver in the route that takes the alert"
        )
        root = self._route(node, path, DEFAULTS)
        if root.continues:
            self.file.refuse(said["continue"], (*path, "continue"), "The root route has no siblings to continue with")
        return root

    def _route(self, node: Node, path: Path, defaults: Mapping[str, float]) -> Route:
        if node.empty:
            self.file.refuse(node, path, "A route is wanted here", "Write it, or remove the line")
        said = closed(self.file, node, path, ROUTE)
        if "labels" in said:
            problem = "A route attaches no labels here"
            self.file.leave(said["labels"], (*path, "labels"), problem, "Nothing, unless you miss it")
        team = self._receiver(said.get("receiver"), (*path, "receiver"))
        deep = sum(part == "routes" for part in path) >= DEEPEST
        if deep and "routes" in said:
            self.file.refuse(node, path, f"Routes nest deeper than {DEEPEST} levels", "Make the tree flatter")
        below = [] if deep else list(self.file.items(said.get("routes"), (*path, "routes")))
        times = {name: self._seconds(said.get(name), (*path, name), defaults.get(name)) for name in DEFAULTS}
        return Route(
            matchers=matchers_of(self.file, said, path),
            team=team,
            policy=team,
            group_by=self._group_by(said.get("group_by"), (*path, "group_by")),
            group_wait=times["group_wait"],
            group_interval=times["group_interval"],
            repeat_interval=times["repeat_interval"],
            continues=flag(self.file, said.get("continue"), (*path, "continue")),
            mute_time_intervals=self._intervals(said, path, "mute_time_intervals"),
            active_time_intervals=self._intervals(said, path, "active_time_intervals"),
            routes=tuple(self._route(child, where, {}) for where, child in below),
        )

    def _receiver(self, node: Node | None, path: Path) -> str | None:
        name = self.file.text(node, path)
        if not name or node is None:
            return None
        if name not in self.receivers.known:
            self.file.refuse(node, path, f"There is no receiver `{name}`")
        return self.receivers.teams.of(name)

    def _group_by(self, node: Node | None, path: Path) -> tuple[str, ...] | None:
        if node is None or node.empty:
            return None
        named = [self.file.text(child, where) for where, child in self.file.items(node, path)]
        if "..." in named:
            if set(named) != {"..."}:
                self.file.refuse(
                    node, path, "Other labels stand beside `...`, which is all labels", "Remove one or all"
                )
            return ("...",)
        names = labels_of(self.file, node, path)
        if not names:
            problem = "An empty `group_by` groups by nothing; older Alertmanagers group by the parent's labels"
            self.file.leave(node, path, problem, "Remove it here if those are meant")
        if len(set(names)) < len(names):
            self.file.refuse(node, path, "A label is listed twice", "Remove one of the two")
        return tuple(names)

    def _seconds(self, node: Node | None, path: Path, default: float | None) -> float | None:
        length = seconds(self.file, node, path) if node is not None else None
        if length is None or node is None:
            return default
        if length > LONGEST:
            problem = f"`{node.value}` is longer than a year, which is the longest here"
            self.file.leave(node, path, problem, "It is a year now")
            return LONGEST
        if path[-1] == "group_wait":
            return length
        if not length:
            self.file.refuse(node, path, f"`{path[-1]}` cannot be zero")
        elif length < 1:
            self.file.leave(node, path, "Parts of a second do not count here", "It is a second now")
        return max(length, 1.0)

    def _intervals(self, said: Mapping[str, Node], path: Path, key: str) -> tuple[str, ...]:
        names = []
        for where, child in self.file.items(said.get(key), (*path, key)):
            name = self.file.text(child, where)
            if name is None or name not in self.intervals.given:
                self.file.refuse(child, where, f"There is no time interval `{name}`")
            else:
                names.append(self.intervals.given[name])
        return tuple(names)


def labels_of(file: Import, node: Node | None, path: Path) -> list[str]:
    """The names of labels in a list."""
    names: list[str] = []
    for where, child in file.items(node, path):
        name = file.text(child, where) or ""
        if is_label(file, child, where, name):
            names.append(name)
    return names


def matchers_of(file: Import, said: Mapping[str, Node], path: Path, side: str = "") -> tuple[Matcher, ...]:
    """All matchers of a route, or of one `side` (`source_`, `target_`) of an inhibition rule."""
    found: list[Matcher] = []
    for key, operator in ((f"{side}match", MatchOperator.EQUAL), (f"{side}match_re", MatchOperator.MATCHES)):
        for name, value in file.members(said.get(key), (*path, key), empty=True).items():
            where = (*path, key, name)
            if not is_label(file, Node(value.key_line, value.key_column), where, name):
                continue
            if value.empty and operator is MatchOperator.MATCHES:
                file.refuse(value, where, "There is no regular expression")
                continue
            try:
                found.append(make_matcher(name, operator, file.text(value, where) or ""))
            except BadMatcher as error:
                file.refuse(value, where, error.problem, error.remedy)
    key = f"{side}matchers"
    for where, child in file.items(said.get(key), (*path, key)):
        try:
            found.extend(parse_matchers(file.text(child, where) or ""))
        except BadMatcher as error:
            file.refuse(child, where, error.problem, error.remedy)
    return tuple(found)
