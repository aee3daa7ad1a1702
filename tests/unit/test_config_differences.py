"""What a change of the configuration changes, as `tocsin apply` and `tocsin config history` say it."""

from dataclasses import replace

import pytest

from domain.config import RouteTree
from domain.routing import Route
from schemas.config_differences import FieldChange, differences
from schemas.matchers import parse_matchers


def route(matcher: str, *below: Route, group_wait: float | None = None) -> Route:
    return Route(tuple(parse_matchers(matcher)), group_wait=group_wait, routes=below)


A, B, C = route('a="1"', group_wait=30.0), route('b="1"'), route('c="1"', route('d="1"'))
ROOT = RouteTree(Route((), team="platform", policy="default", routes=(A, B, C)))


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ((route('x="1"'), A, B, C), [FieldChange('routes{x="1"}', None, "all")]),
        ((A, C), [FieldChange('routes{b="1"}', "all", None)]),
        ((B, A, C), [FieldChange("routes", '{a="1"}, {b="1"}, {c="1"}', '{b="1"}, {a="1"}, {c="1"}')]),
        ((A, B, C, B), [FieldChange('routes{b="1"}#2', None, "all")]),
        (
            (replace(A, group_wait=60.0), B, C),
            [FieldChange('routes{a="1"}.group_wait', "30s", "1m")],
        ),
        (
            (A, B, replace(C, routes=(route('d="2"'), *C.routes))),
            [FieldChange('routes{c="1"}.routes{d="2"}', None, "all")],
        ),
    ],
    ids=["first", "removed", "moved", "twice", "field", "below"],
)
def test_a_route_is_known_by_its_matchers_wherever_it_stands(
    routes: tuple[Route, ...], expected: list[FieldChange]
) -> None:
    assert list(differences(ROOT, RouteTree(replace(ROOT.root, routes=routes)))) == expected
    assert [(one.after, one.before) for one in differences(RouteTree(replace(ROOT.root, routes=routes)), ROOT)] == [
        (one.before, one.after) for one in expected
    ]
