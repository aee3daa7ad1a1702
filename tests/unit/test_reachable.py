"""Routes that no alert can reach: none is said to be one that the real routing reaches; what is found, by example."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.inhibition import InhibitionRule, Source, inhibitor, sides
from domain.matching import literals
from domain.reachable import Unreachable, never_inhibits, unreachable
from domain.routing import Node, Route, found, plan
from schemas.matchers import parse_matchers

LABELS = ("x", "y", "@severity")
VALUES = (None, "a", "b", "ab", "a\n")
PATTERNS = ("a", "a|b", "a|", "", "a.*", ".*", ".+", "[ab]", "ab|b|a")
OFTEN_X = st.sampled_from(("x", "x", *LABELS))
SEEN: Counter[str] = Counter()

matchers = st.builds(
    lambda label, operator, value: f'{label}{operator}"{value}"',
    OFTEN_X,
    st.sampled_from(("=", "!=")),
    st.sampled_from(("", "a", "b")),
) | st.builds(
    lambda label, operator, value: f'{label}{operator}"{value}"',
    OFTEN_X,
    st.sampled_from(("=~", "=~", "!~")),
    st.sampled_from(PATTERNS),
)


def route(*said: str, below: tuple[Route, ...] = (), **options: Any) -> Route:
    return Route(tuple(one for text in said for one in parse_matchers(text)), routes=below, **options)


def routes_of(below: st.SearchStrategy[list[Route]]) -> st.SearchStrategy[list[Route]]:
    one = st.builds(
        lambda said, under, continues: route(*said, below=tuple(under), continues=continues),
        st.lists(matchers, min_size=1, max_size=2),
        below,
        st.sampled_from([False, False, True]),
    )
    return st.lists(one, max_size=4)


no_routes = st.builds(list[Route])
trees = st.recursive(no_routes, routes_of, max_leaves=3) | routes_of(no_routes)


def ways(node: Node, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Each route below, as the paths from the root to it."""
    way = (*above, node.path)
    yield way
    for child in node.children:
        yield from ways(child, way)


def everything() -> Iterator[Mapping[str, str]]:
    for values in product(VALUES, repeat=len(LABELS)):
        yield {label: value for label, value in zip(LABELS, values, strict=True) if value is not None}


@settings(max_examples=250, deadline=None, derandomize=True)
@given(trees)
def test_what_is_said_to_be_unreachable_is_never_reached(children: list[Route]) -> None:
    tree = plan(Route(team="t", policy="p", routes=tuple(children)))
    said = {one.route.node.path for one in unreachable(tree)}
    above = {way[-1]: set(way) for way in ways(tree)}
    reached = {path for facts in everything() for node in found(tree, facts) for path in above[node.path]}
    assert not said & reached
    covered = {path for path in above if path not in reached and not above[path] & said}
    SEEN.update(said=len(said), missed=len(covered))


def test_most_of_what_is_unreachable_in_such_trees_is_found() -> None:
    test_what_is_said_to_be_unreachable_is_never_reached()
    assert SEEN["said"] > 100
    assert SEEN["said"] > 4 * SEEN["missed"]


def said(*children: Route) -> list[Unreachable]:
    return list(unreachable(plan(Route(team="t", policy="p", routes=children))))


TAKEN = [
    ('x="a"', 'x="a"'),
    ("", 'x="a"'),
    ('x="a"', 'x="a", y="b"'),
    ('x=~"a|b"', 'x="a"'),
    ('x=~"a|b|c"', 'x=~"b|c"'),
    ('x=~"a.*"', 'x="ab"'),
    ('x=~"a.*"', 'x=~"ab|ac"'),
    ('x=~"a.*"', 'x=~"a.*", y="b"'),
    ('x!="a"', 'x="b"'),
    ('x!="a"', 'x!="a"'),
    ('x!="a"', 'x!~"a|b"'),
    ('x!="a"', 'x!~"a.*"'),
    ('x!~"a|b"', 'x!="a", x!="b"'),
    ('x!~"a.*"', 'x="b"'),
    ('x=""', 'x=~""'),
    ('x=~"|a"', 'x=""'),
    ('x="a", y="b"', 'y="b", x="a"'),
    ('x=~"a|b"', 'x=~"a|b|c", x!="c"'),
    ('@severity=~"critical|high"', '@severity="high"'),
]


@pytest.mark.parametrize(("first", "second"), TAKEN)
def test_a_route_of_which_an_earlier_one_takes_everything(first: str, second: str) -> None:
    (one,) = said(route(first), route(second))
    assert (one.route.at, one.taken_by and one.taken_by.at, one.clash) == ((1,), (0,), ())
    assert not said(route(first, continues=True), route(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('x="a"', ""),
        ('x="a"', 'y="a"'),
        ('x="a", y="b"', 'x="a"'),
        ('x=~"a|b"', 'x=~"a|b|c"'),
        ('x=~".*"', ""),
        ('x=~".*"', 'x=~"a.*"'),
        ('x!="a"', 'x!="b"'),
        ('x!=""', 'x!="a"'),
        ('x!~"a.*"', 'x!="ab"'),
        ('service="a"', '@service="a"'),
    ],
)
def test_a_route_that_something_may_reach_is_not_spoken_of(first: str, second: str) -> None:
    assert not said(route(first), route(second))


@pytest.mark.parametrize(
    "clash",
    [
        'x="a", x="b"',
        'x="a", x!="a"',
        'x="a", x=""',
        'x=~"a|b", x=~"c|d"',
        'x=~"a.*", x="b"',
        'x!~"a.*", x=~"a|ab"',
        'x=~"a.*", x!~"a.*"',
        'x=~"a|b", x!="a", x!="b"',
    ],
)
def test_matchers_that_nothing_meets_together(clash: str) -> None:
    first, *others = parse_matchers(clash)
    (one,) = said(route(clash))
    assert (one.route.at, one.taken_by, one.clash) == ((0,), None, (first, *others))
    (below,) = said(route(str(first), below=(route(*map(str, others), below=(route('y="a"'),)),)))
    assert (below.route.at, below.clash) == ((0, 0), one.clash)


def test_what_the_routes_above_match_counts() -> None:
    tree = route('x="a"', below=(route('y="b"'), route('y="b", z="c"'), route('y!="b"'), route('x=~"a|b", y="c"')))
    assert [(one.route.at, one.taken_by and one.taken_by.at) for one in said(tree)] == [
        ((0, 1), (0, 0)),
        ((0, 3), (0, 2)),
    ]
    (one,) = said(route('x="a"', below=(route('x=~"a|b"'), route('y="c"'))))
    assert one.route.at == (0, 1)


def test_the_first_that_takes_everything_is_named_and_what_is_not_reached_takes_nothing() -> None:
    found = said(route('x="a", x="b"'), route('x!=""'), route('x="a"'), route('x="a", y="b"'))
    assert [(one.route.at, one.taken_by and one.taken_by.at) for one in found] == [
        ((0,), None),
        ((2,), (1,)),
        ((3,), (1,)),
    ]


def test_two_that_match_the_same_are_alike() -> None:
    assert [one.alike for one in said(route('x="a"'), route('x=~"a"'), route('x="a", y="b"'))] == [True, False]


def test_times_at_which_nobody_is_told_leave_a_route_matched() -> None:
    (one,) = said(route('x="a"', mute_time_intervals=("nights",)), route('x="a"'))
    assert one.taken_by is not None


def test_only_words_are_literals() -> None:
    assert literals("a||b") == {"a", "", "b"}
    assert literals("") == {""}
    assert all(literals(pattern) is None for pattern in ("a.*", "a?", "(a)", "a\\.b", "^a", "[a]", "a{2}"))


@pytest.mark.parametrize(
    ("source", "target", "never"),
    [
        ('a="b"', 'a="b"', True),
        ('{a="b",c=~"d"}', '{c=~"d",a="b"}', True),
        ('{a="b",a="b"}', 'a="b"', True),
        ('a="b"', 'a="c"', False),
        ('a="b"', '{a="b",c="d"}', False),
        ('a="b"', 'a=~"b"', False),
    ],
)
def test_a_rule_of_two_equal_sides_inhibits_nothing(source: str, target: str, never: bool) -> None:
    rule = InhibitionRule("r", parse_matchers(source), parse_matchers(target))
    assert never_inhibits(rule) is never


@settings(deadline=None)
@given(st.lists(matchers, min_size=1, max_size=2), st.lists(matchers, min_size=1, max_size=2), st.booleans())
def test_what_is_said_to_inhibit_nothing_does_not(source: list[str], target: list[str], same: bool) -> None:
    """Against the real decision: an alert of each kind fires beside one of each other kind."""
    wanted = source[::-1] if same else target
    rule = InhibitionRule("r", route(*source).matchers, route(*wanted).matchers)
    if not never_inhibits(rule):
        return
    alerts = (dict(zip(LABELS, drawn, strict=True)) for drawn in product(VALUES, repeat=len(LABELS)))
    facts = ({label: value for label, value in one.items() if value is not None} for one in alerts)
    kinds = {sides((rule,), one) for one in facts}
    for mine, other in product(kinds, repeat=2):
        firing = {side.place: {"other": Source("g", side.is_target)} for side in other if side.is_source}
        assert inhibitor("mine", mine, firing) is None
