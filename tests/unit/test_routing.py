"""The routing tree: every rule by example, and whole trees against a second, naive implementation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.config import Config, Integration, RouteTree, Service
from domain.matching import Matcher, MatchOperator
from domain.routing import Route, Routing, group_key, labels_read, plan, route, routes
from domain.severity import Severity

PROD = Matcher("env", MatchOperator.EQUAL, "prod")
CRITICAL = Matcher("severity", MatchOperator.EQUAL, "critical")
SERVICES = {"payments": Service("payments", "pay", "calm"), "search": Service("search", "find", "loud")}


def root(*children: Route, **said: Any) -> Route:
    return Route(team="root", policy="default", routes=children, **said)


def teams(tree: Route, **labels: str) -> list[str]:
    return [routing.team for routing in routes(plan(tree), labels, SERVICES)]


class TestTheWay:
    def test_the_root_takes_what_no_child_takes(self) -> None:
        assert teams(root(Route((PROD,), team="a")), env="dev") == ["root"]

    def test_the_first_child_that_matches_wins(self) -> None:
        assert teams(root(Route((PROD,), team="a"), Route(team="b")), env="prod") == ["a"]

    def test_one_that_continues_lets_its_siblings_have_it_too(self) -> None:
        tree = root(Route((PROD,), team="a", continues=True), Route((CRITICAL,), team="b"), Route(team="c"))
        assert teams(tree, env="prod", severity="critical") == ["a", "b"]
        assert teams(tree, env="prod") == ["a", "c"]
        assert teams(tree) == ["c"]

    def test_it_is_depth_first_and_a_parent_counts_only_when_no_child_does(self) -> None:
        inner = Route((PROD,), team="a", continues=True, routes=(Route((CRITICAL,), team="aa", continues=True),))
        tree = root(inner, Route(team="b"))
        assert teams(tree, env="prod", severity="critical") == ["aa", "b"]
        assert teams(tree, env="prod") == ["a", "b"]

    def test_continue_of_a_grandchild_ends_with_its_siblings(self) -> None:
        tree = root(Route((PROD,), team="a", routes=(Route(team="aa", continues=True),)), Route(team="b"))
        assert teams(tree, env="prod") == ["aa"]

    def test_route_is_the_first_of_the_routes(self) -> None:
        tree = root(Route(team="a", continues=True), Route(team="b"))
        assert route(tree, {}, {}).team == "a"

    def test_a_root_without_team_or_policy_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="no team or no escalation policy"):
            route(Route(team="x"), {}, {})


class TestWhatARouteSays:
    def test_options_are_inherited_until_a_child_says_otherwise(self) -> None:
        child = Route((PROD,), routes=(Route((CRITICAL,), group_wait=0.0, ack="refused"),), repeat_interval=60.0)
        tree = root(child, group_wait=30.0, group_interval=300.0, severity=Severity.LOW, runbook="https://x.test")
        found = route(tree, {"env": "prod", "severity": "critical"}, {})
        assert (found.group_wait, found.group_interval, found.repeat_interval) == (0.0, 300.0, 60.0)
        assert (found.severity, found.runbook, found.ack) == (Severity.LOW, "https://x.test", "refused")

    def test_what_nobody_says(self) -> None:
        found = route(root(), {}, {})
        assert found == Routing("{}", "", "root", "default", (), "{}:{}", 0.0)

    def test_time_intervals_count_for_the_node_alone(self) -> None:
        tree = root(Route((PROD,), mute_time_intervals=("nights",), routes=(Route((CRITICAL,)),)))
        assert route(tree, {"env": "prod"}, {}).mute_time_intervals == ("nights",)
        assert route(tree, {"env": "prod", "severity": "critical"}, {}).mute_time_intervals == ()

    def test_the_catalogue_says_what_no_route_below_the_root_says(self) -> None:
        tree = root(Route((PROD,), team="a"), Route((CRITICAL,), service="search"))
        assert teams(tree, service="payments") == ["pay"]
        assert teams(tree, service="payments", env="prod") == ["a"]
        assert teams(tree, service="payments", severity="critical") == ["find"]
        assert teams(tree, service="unknown") == ["root"]


class TestGroupKeys:
    def test_of_some_labels(self) -> None:
        assert group_key("{}", ("b", "a", "c"), {"a": '1"', "b": "2", "d": "4"}) == '{}:{a="1\\"", b="2"}'

    def test_of_every_label_and_no_fact(self) -> None:
        found = group_key("{}", ("...",), {"b": "2", "a": "1", "@team": "x", "@annotation.summary": "y", "@own": "z"})
        assert found == '{}:{@own="z", a="1", b="2"}'

    def test_of_a_fact(self) -> None:
        assert group_key("{}", ("@team",), {"a": "1", "@team": "x"}) == '{}:{@team="x"}'

    def test_siblings_that_match_the_same_are_told_apart(self) -> None:
        twins = Route((PROD,), continues=True), Route((CRITICAL,), continues=True), Route((PROD,))
        found = routes(plan(root(*twins)), {"env": "prod", "severity": "critical"}, {})
        assert [routing.path for routing in found] == [
            '{}/{env="prod"}', '{}/{severity="critical"}', '{}/{env="prod"}#2',
        ]  # fmt: skip


class TestFacts:
    TREE = root(
        Route((Matcher("@environment", MatchOperator.EQUAL, "prod"),), team="env"),
        Route((Matcher("@annotation.runbook_url", MatchOperator.MATCHES, ".+"),), team="runbook"),
        Route((Matcher("@source", MatchOperator.EQUAL, "elastic"),), team="source", group_by=("@integration",)),
    )

    def config(self, tree: Route = TREE) -> Config:
        things = (
            RouteTree(tree),
            Service("shop", "shopkeepers", "calm", environment="prod"),
            Integration("kibana", "elastic"),
        )
        return Config.of(1, {(thing.kind, thing.id): thing for thing in things})

    def team(self, annotations: Mapping[str, str] | None = None, integration: str = "", **labels: str) -> str:
        config = self.config()
        return config.route(config.facts(labels, annotations or {}, "high", integration)).team

    def test_what_the_alert_says_comes_before_the_catalogue(self) -> None:
        assert self.team(service="shop") == "env"
        assert self.team(service="shop", environment="dev") == "shopkeepers"
        assert self.team(environment="prod") == "env"

    def test_annotations_and_where_it_came_from(self) -> None:
        assert self.team({"runbook_url": "https://x.test"}) == "runbook"
        assert self.team({"summary": "x"}) == "root"
        assert self.team(integration="kibana") == "source"
        assert self.team(integration="gone") == "root"

    def test_only_those_that_are_read_are_made(self) -> None:
        labels = {"a": "1"}
        assert self.config(root()).facts(labels, {}, "high", "kibana") is labels
        assert set(self.config().facts(labels, {}, "high", "kibana")) == {
            *("a", "@environment", "@annotation.runbook_url", "@source", "@integration")
        }

    def test_annotations_are_never_recorded(self) -> None:
        config = self.config()
        facts = config.facts({"alertname": "x", "pod": "p"}, {"runbook_url": "ada"}, "high", "kibana")
        assert config.recorded(facts) == {
            "@environment": "",
            "@integration": "kibana",
            "@source": "elastic",
            "alertname": "x",
        }
        every = self.config(root(Route(self.TREE.routes[1].matchers), group_by=("...",)))
        facts = every.facts({"alertname": "x", "pod": "p"}, {"runbook_url": "ada"}, "high", "kibana")
        assert every.recorded(facts) == {"alertname": "x", "pod": "p"}


# -- a second, naive implementation ------------------------------------------------------------------------------

NAMES = ("a", "b")
LABELS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["", "x", "y"]))
OPTIONS = ("group_wait", "group_interval", "repeat_interval", "suppress_for", "reopen_within")
MATCHERS = st.builds(
    Matcher,
    st.sampled_from(NAMES),
    st.sampled_from(MatchOperator),
    st.sampled_from(["", "x", "y", "x|y"]),
)


def _trees(below: st.SearchStrategy[Route]) -> st.SearchStrategy[Route]:
    return st.builds(
        Route,
        matchers=st.lists(MATCHERS, max_size=2).map(tuple),
        team=st.sampled_from([None, "t1", "t2"]),
        policy=st.sampled_from([None, "p1", "p2"]),
        service=st.sampled_from([None, None, "payments"]),
        group_by=st.sampled_from([None, (), ("a",), ("...",)]),
        continues=st.booleans(),
        mute_time_intervals=st.sampled_from([(), ("nights",)]),
        routes=st.lists(below, max_size=3).map(tuple),
        **dict.fromkeys(OPTIONS, st.none() | st.sampled_from([0.0, 1.0, 2.0])),
    )


LEAVES = _trees(st.builds(Route, st.lists(MATCHERS, max_size=1).map(tuple), continues=st.booleans()))
TREES = st.lists(_trees(LEAVES), max_size=3).map(lambda children: root(*children, group_wait=5.0))


@dataclass
class Naive:
    """Walks the tree as the manual's sentences say, with nothing prepared; a way is the list of its routes."""

    labels: Mapping[str, str]

    def matches(self, matcher: Matcher) -> bool:
        value = self.labels.get(matcher.label, "")
        is_equal = value in matcher.value.split("|") if "~" in matcher.operator else value == matcher.value
        return is_equal is not matcher.operator.startswith("!")

    def ways(self, node: Route, way: list[Route]) -> list[list[Route]]:
        here = [*way, node]
        below: list[list[Route]] = []
        for child in node.routes:
            if all(map(self.matches, child.matchers)):
                below.extend(self.ways(child, here))
                if not child.continues:
                    break
        return below or [here]

    def said(self, way: list[Route], name: str) -> Any:
        found = None
        for node in way:
            if getattr(node, name) is not None:
                found = getattr(node, name)
        return found

    def owner(self, way: list[Route], name: str) -> str:
        service = SERVICES.get(self.said(way, "service") or self.labels.get("service", ""))
        found: str = self.said(way[1:], name) or (getattr(service, name) if service else getattr(way[0], name))
        return found


@settings(max_examples=400, deadline=None)
@given(TREES, LABELS)
def test_every_tree_sends_alerts_where_the_naive_one_does(tree: Route, labels: dict[str, str]) -> None:
    naive = Naive(labels)
    ways, found = naive.ways(tree, []), routes(plan(tree), labels, SERVICES)
    assert [(f.team, f.policy) for f in found] == [(naive.owner(w, "team"), naive.owner(w, "policy")) for w in ways]
    for way, routing in zip(ways, found, strict=True):
        assert routing.group_by == (naive.said(way, "group_by") or ())
        assert routing.mute_time_intervals == way[-1].mute_time_intervals
        for name in OPTIONS:
            default = 0.0 if name in ("group_wait", "suppress_for", "reopen_within") else None
            said = naive.said(way, name)
            assert getattr(routing, name) == (default if said is None else said)
    assert len({routing.group_key for routing in found}) == len(found)
    assert route(tree, labels, SERVICES) == found[0]


@settings(max_examples=200, deadline=None)
@given(TREES, st.lists(LABELS, min_size=2, max_size=6))
def test_a_configuration_remembers_nothing_wrong(tree: Route, asked: list[dict[str, str]]) -> None:
    config = Config.of(1, {("route_tree", "default"): RouteTree(tree)})
    for labels in asked * 2:
        assert config.routes(labels) == routes(plan(tree), labels, {})


@settings(max_examples=200, deadline=None)
@given(TREES, LABELS, st.sampled_from(["x", "y"]))
def test_labels_that_are_not_read_change_nothing(tree: Route, labels: dict[str, str], value: str) -> None:
    for name in {"a", "b", "c"} - labels_read(tree) if "..." not in labels_read(tree) else ():
        assert routes(plan(tree), {**labels, name: value}, {}) == routes(plan(tree), labels, {})
