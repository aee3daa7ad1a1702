"""Routes that no alert can reach: what they match is taken by a route before them, or is matched by nothing. And
inhibition rules that inhibit nothing.

What is found is certain. What is not found may still be never reached: matchers are compared by the values that they
name, or are the same, and several earlier routes that take everything together are not looked for. How an alert goes
down the tree: `routing.found`; what inhibits it: `inhibition.inhibitor`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain.inhibition import InhibitionRule
from domain.matching import Matcher, MatchOperator, literals
from domain.routing import Node

COMPARED = 100
"""Siblings that want no certain value, with which every later one is compared; others are taken to take nothing."""
OPPOSITE = {MatchOperator.MATCHES: MatchOperator.NOT_MATCHES, MatchOperator.NOT_MATCHES: MatchOperator.MATCHES}


@dataclass(frozen=True, slots=True)
class Placed:
    """A route, and the way to it from the root: its place among its siblings at each level, from 0."""

    node: Node
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A route that no alert reaches; those below it are not told of.

    Either the sibling `taken_by` takes every alert that it matches; `alike`: and would get none if the two changed
    places. Or nothing meets all of `clash`: matchers of one label, its own and those of the routes above.
    """

    route: Placed
    taken_by: Placed | None = None
    alike: bool = False
    clash: tuple[Matcher, ...] = ()


def unreachable(tree: Node) -> Iterator[Unreachable]:
    """Every route of a tree (`routing.plan`) that can be told to be never reached, in the order of the tree."""
    yield from _below(Placed(tree, ()), _Met().also(tree.route.matchers))


def never_inhibits(rule: InhibitionRule) -> bool:
    """Whether a rule's sides want the same: whatever is a target is a source too, and no such inhibits another."""
    return set(rule.source) == set(rule.target)


@dataclass(frozen=True, slots=True)
class _Met:
    """What an alert is known to meet, by label: all of these matchers.

    `values`: those that the label can have then, where the matchers name them.
    """

    matchers: Mapping[str, tuple[Matcher, ...]] = field(default_factory=dict)
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def also(self, more: Sequence[Matcher]) -> "_Met":
        """These matchers and `more`."""
        matchers = dict(self.matchers)
        for matcher in more:
            matchers[matcher.label] = (*matchers.get(matcher.label, ()), matcher)
        changed = {label: _values(matchers[label]) for label in {matcher.label for matcher in more}}
        values = {label: named for label, named in {**self.values, **changed}.items() if named is not None}
        return replace(self, matchers=matchers, values=values)

    def clash(self) -> tuple[Matcher, ...]:
        """Matchers of one label that nothing meets together; () when none are known to be."""
        return next((of for label, of in self.matchers.items() if _contradict(of, self.values.get(label))), ())

    def implies(self, matcher: Matcher) -> bool:
        """Whether whatever meets all of this certainly meets `matcher` too."""
        known, values = self.matchers.get(matcher.label, ()), self.values.get(matcher.label)
        if values is not None:
            return all(_takes(matcher, value) for value in values)
        refused = _refused(matcher)
        return matcher in known or (refused is not None and not any(_admits(known, value) for value in refused))


def _below(parent: Placed, met: _Met) -> Iterator[Unreachable]:
    """Those below a route that is reached by what has `met` its matchers and those above it."""
    taking = _Taking()
    for place, node in enumerate(parent.node.children):
        child, own = Placed(node, (*parent.at, place)), met.also(node.route.matchers)
        clash = own.clash()
        earlier = None if clash else taking.first(own)
        if clash:
            yield Unreachable(child, clash=clash)
        elif earlier is not None:
            alike = all(met.also(earlier.node.route.matchers).implies(matcher) for matcher in node.route.matchers)
            yield Unreachable(child, taken_by=earlier, alike=alike)
        else:
            yield from _below(child, own)
            if not node.route.continues:
                taking.add(child)


@dataclass(frozen=True, slots=True)
class _Taking:
    """Siblings after which an alert that they match goes no further, in their order.

    One that wants certain values of a label is found by these: a tree may have thousands of siblings.
    """

    by_value: defaultdict[tuple[str, str], list[Placed]] = field(default_factory=lambda: defaultdict(list))
    others: list[Placed] = field(default_factory=list)

    def add(self, sibling: Placed) -> None:
        """Another one."""
        found = ((matcher.label, _named(matcher)) for matcher in sibling.node.route.matchers)
        label, values = next(((label, named) for label, named in found if named), ("", frozenset[str]()))
        for value in values:
            self.by_value[label, value].append(sibling)
        if not values and len(self.others) < COMPARED:
            self.others.append(sibling)

    def first(self, met: _Met) -> Placed | None:
        """The first that takes every alert of which this is known."""
        likely = [one for label, values in met.values.items() for one in self.by_value.get((label, min(values)), ())]
        takes = (one for one in (*likely, *self.others) if all(map(met.implies, one.node.route.matchers)))
        return min(takes, key=lambda one: one.at, default=None)


def _values(matchers: tuple[Matcher, ...]) -> frozenset[str] | None:
    """The values that meet all matchers of a label; None when none of them names any."""
    named = min((found for matcher in matchers if (found := _named(matcher))), key=len, default=None)
    return None if named is None else frozenset(value for value in named if _admits(matchers, value))


def _contradict(matchers: tuple[Matcher, ...], values: frozenset[str] | None) -> bool:
    """Whether nothing meets all matchers of a label, whose `values` are as in `_Met`."""
    if values is not None:
        return not values
    patterns = [matcher for matcher in matchers if matcher.operator in OPPOSITE]
    return any(replace(matcher, operator=OPPOSITE[matcher.operator]) in patterns for matcher in patterns)


def _named(matcher: Matcher) -> frozenset[str] | None:
    """The values that meet it, when it names them."""
    match matcher.operator:
        case MatchOperator.EQUAL:
            return frozenset({matcher.value})
        case MatchOperator.MATCHES:
            return literals(matcher.value)
        case _:
            return None


def _refused(matcher: Matcher) -> frozenset[str] | None:
    """The values that do not meet it, when it names them."""
    match matcher.operator:
        case MatchOperator.NOT_EQUAL:
            return frozenset({matcher.value})
        case MatchOperator.NOT_MATCHES:
            return literals(matcher.value)
        case _:
            return None


def _admits(matchers: Iterable[Matcher], value: str) -> bool:
    return all(_takes(matcher, value) for matcher in matchers)


def _takes(matcher: Matcher, value: str) -> bool:
    return matcher.matches({matcher.label: value})
