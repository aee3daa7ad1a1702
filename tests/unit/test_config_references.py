"""Who names whom: what has to stay because something else needs it."""

from domain.config import ConfigObject, ContactMethod, Policy, RouteTree, Service, Step, Target, Team, User
from domain.inhibition import InhibitionRule
from domain.intervals import Interval, Span
from domain.references import Reference, dangling, without_channel
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


def test_a_policy_that_pages_a_channel_needs_the_team_to_have_one() -> None:
    targets = (Target(user="ada"), Target(team="mute"), Target(team="mute", role="lead"), Target(team="loud"))
    things: tuple[ConfigObject, ...] = (
        *(User("ada"), Team("mute"), Team("loud", contacts=(ContactMethod("email", "loud@example.test"),))),
        Policy("p", (Step((Target(team="loud"),), 60.0), Step(targets, 60.0))),
    )
    objects: dict[tuple[str, str], ConfigObject] = {(thing.kind, thing.id): thing for thing in things}
    assert dangling(objects) == ()
    assert without_channel(objects) == (Reference(("policy", "p"), "steps[1].targets[1].team", ("team", "mute")),)
