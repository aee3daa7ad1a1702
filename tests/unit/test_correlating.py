"""Who is kin to whom, and which incident an alert joins, against second, naive implementations."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.config import Service
from domain.correlating import KIN, Candidate, CorrelationRule, Direction, Kin, Kinships, Look, choose, looks, spots
from domain.matching import Matcher, MatchOperator

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
NAMES = ("api", "db", "mail", "shop", "web")
SHOP = {"web": ["shop", "mail"], "shop": ["db"], "mail": ["db"], "db": [], "api": ["shop"]}


def catalogue(dependencies: dict[str, list[str]]) -> dict[str, Service]:
    return {name: Service(name, "team", "policy", dependencies=tuple(of)) for name, of in dependencies.items()}


def paths(edges: dict[str, list[str]], start: str, depth: int) -> dict[str, tuple[str, ...]]:
    """Every way of at most `depth` steps from `start`, tried one by one: the shortest to each, of these the first."""
    best: dict[str, tuple[str, ...]] = {}
    for length in range(depth):
        for way in itertools.product(sorted(edges), repeat=length + 1):
            steps = itertools.pairwise((start, *way))
            if way[-1] != start and all(after in edges.get(before, ()) for before, after in steps):
                best.setdefault(way[-1], way[:-1])
    return best


graphs = st.fixed_dictionaries({name: st.lists(st.sampled_from(NAMES), unique=True, max_size=3) for name in NAMES})
directions: st.SearchStrategy[Direction] = st.sampled_from(["upstream", "downstream", "both"])


@settings(max_examples=300)
@given(graphs, st.sampled_from((*NAMES, "unheard-of")), directions, st.integers(1, 4))
def test_kin_are_those_that_are_reached(
    graph: dict[str, list[str]], service: str, direction: Direction, depth: int
) -> None:
    backward = {name: [other for other in NAMES if name in graph[other]] for name in NAMES}
    expected: dict[str, Kin] = {}
    for edges, upstream, other in ((graph, True, "downstream"), (backward, False, "upstream")):
        for name, through in paths(edges, service, depth).items() if direction != other else ():
            kin = Kin(name, upstream, through)
            if name not in expected or kin.steps < expected[name].steps:
                expected[name] = kin
    found = Kinships(catalogue(graph)).of(service, direction, depth)
    assert {kin.service: kin for kin in found} == expected
    assert len(found) == len(expected)
    assert [kin.steps for kin in found] == sorted(kin.steps for kin in found)


def test_of_very_many_kin_the_nearest_count() -> None:
    names = [f"s{n:04}" for n in range(KIN * 2)]
    wide = Kinships(catalogue({**{name: [] for name in names}, "far": [], "near": ["far"], "hub": [*names, "near"]}))
    found = wide.of("hub", "upstream", 2)
    assert len(found) == KIN
    assert all(kin.steps == 1 for kin in found)
    chain = Kinships(catalogue({f"c{n}": [f"c{(n + 1) % 50}"] for n in range(50)}))
    assert [kin.service for kin in chain.of("c48", "upstream", 3)] == ["c49", "c0", "c1"]


# -- which incident ------------------------------------------------------------------------------------------------

RULES = (
    CorrelationRule("b-near", 60.0, depth=1, same=("env",)),
    CorrelationRule("c-far", 600.0, direction="both", depth=3),
    CorrelationRule(
        "a-same", 60.0, over="same", same=("cluster",), matchers=(Matcher("loud", MatchOperator.EQUAL, "y"),)
    ),
)
said = st.fixed_dictionaries({name: st.sampled_from(["", "x", "y"]) for name in ("env", "cluster", "loud")})
openings = st.lists(
    st.tuples(st.sampled_from(NAMES), said, st.integers(-5, 700), st.sampled_from(["me", "other"])), max_size=6
)


@settings(max_examples=400)
@given(openings, said, st.sampled_from(NAMES), st.sets(st.integers(0, 5)))
def test_the_incident_is_the_one_that_reading_the_rules_finds(
    opened: list[tuple[str, dict[str, str], int, str]], facts: dict[str, str], service: str, closed: set[int]
) -> None:
    kinships = Kinships(catalogue(SHOP))
    at: dict[tuple[str, str, str], list[Candidate]] = {}
    for number, (about, labels, ago, opener) in enumerate(opened):
        candidate = Candidate(f"incident-{number}", AT - timedelta(seconds=ago), opener)
        for spot in spots(RULES, labels, about):
            at.setdefault(spot, []).append(candidate)
    found = choose(
        looks(RULES, kinships, facts, service), at, "me", AT, lambda one: int(one.incident[9:]) not in closed
    )
    assert (found[1].incident if found else None) == naive(opened, facts, service, closed)


def naive(
    opened: list[tuple[str, dict[str, str], int, str]], facts: dict[str, str], service: str, closed: set[int]
) -> str | None:
    """What the rules above say, read aloud."""
    usable = [(n, *one) for n, one in enumerate(opened) if n not in closed and one[3] != "me"]
    if facts["loud"] == "y":
        found = [n for n, _, labels, ago, _ in usable if ago <= 60 and labels["cluster"] == facts["cluster"]]
        if found:
            return first(opened, found)
    needed = [
        n for n, about, of, ago, _ in usable if ago <= 60 and of["env"] == facts["env"] and about in SHOP[service]
    ]
    if needed:
        return first(opened, needed)
    up, down = paths(SHOP, service, 3), {name: paths(SHOP, name, 3).get(service) for name in SHOP}
    steps = {
        n: min(len(w) for w in (up.get(about), down.get(about)) if w is not None)
        for n, about, _, ago, _ in usable
        if ago <= 600 and (about in up or down.get(about) is not None)
    }
    return first(opened, [n for n in steps if steps[n] == min(steps.values())]) if steps else None


def first(opened: list[tuple[str, dict[str, str], int, str]], found: list[int]) -> str:
    return f"incident-{min(found, key=lambda n: (-opened[n][2], n))}"


def test_what_opened_an_incident_has_to_match() -> None:
    critical = Matcher("severity", MatchOperator.EQUAL, "critical")
    rule = CorrelationRule("r", 60.0, incident_matchers=(critical,))
    assert spots([rule], {"severity": "low"}, "db") == ()
    [spot] = spots([rule], {"severity": "critical"}, "db")
    assert spot in {look.spot for look in looks([rule], Kinships(catalogue(SHOP)), {"severity": "low"}, "web")}


SENTENCES = [
    (Kin("db", True), 130, "shop depends on db, whose INC-7 was opened 2 min 10 s before"),
    (Kin("db", True, ("mail",)), 61, "shop depends, through mail, on db, whose INC-7 was opened 1 min 1 s before"),
    (Kin("api", False), 0.4, "api, whose INC-7 was opened at the same time, depends on shop"),
    (
        Kin("api", False, ("a", "b", "c")),
        -3,
        "api, whose INC-7 was opened at the same time, depends, through c, b and a, on shop",
    ),
    (None, 1, "INC-7, which was opened 1 s before, has the same cluster and @environment"),
]


@pytest.mark.parametrize(("kin", "seconds", "sentence"), SENTENCES)
def test_a_sentence_says_why(kin: Kin | None, seconds: float, sentence: str) -> None:
    look = Look(("r", "", ""), timedelta(seconds=60), "shop", ("cluster", "@environment"), kin)
    assert look.why("INC-7", timedelta(seconds=seconds)) == sentence
