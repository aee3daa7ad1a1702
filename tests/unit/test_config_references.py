"""Who names whom: what has to stay because something else needs it."""

from domain.config import ConfigObject, Policy, RouteTree, Service, Team
from domain.inhibition import InhibitionRule
from domain.intervals import Interval, Span
from domain.references import Reference, dangling
from domain.routing import Route

TREE = RouteTree(
    Route(
        team="t",
        policy="p",
        routes=(Route(service="a", mute_time_intervals=("nights",), active_time_intervals=("days", "nights")),),
    )
)
THINGS: tuple[ConfigObject, ...] = (
    *(TREE, Team("t"), Policy("p", ()), InhibitionRule("r", (), ())),
    *(Service("a", "t", "p", dependencies=("b",)), Service("b", "t", "p", dependencies=("a", "b"))),
    *(Interval("nights", (Span(),)), Interval("days", (Span(),))),
)


def without(*gone: tuple[str, str]) -> tuple[Reference, ...]:
    return dangling({(thing.kind, thing.id): thing for thing in THINGS if (thing.kind, thing.id) not in gone})


def test_what_is_whole_hangs_together_in_circles_too() -> None:
    assert without() == ()


def test_a_service_is_needed_by_those_that_depend_on_it() -> None:
    tree = ("route_tree", "default")
    assert without(("service", "a")) == (
        Reference(tree, "routes[0].service", ("service", "a")),
        Reference(("service", "b"), "dependencies[0]", ("service", "a")),
    )


def test_a_time_interval_is_needed_by_routes() -> None:
    tree, nights = ("route_tree", "default"), ("time_interval", "nights")
    assert without(nights) == (
        Reference(tree, "routes[0].mute_time_intervals[0]", nights),
        Reference(tree, "routes[0].active_time_intervals[1]", nights),
    )
