"""Configuration objects written as YAML are read back as they were, whatever their texts hold."""

from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.config import (
    ApiKey,
    ConfigObject,
    ContactMethod,
    Integration,
    Link,
    Member,
    Policy,
    RouteTree,
    Service,
    Step,
    Target,
    Team,
    User,
)
from domain.correlating import CorrelationRule
from domain.inhibition import InhibitionRule
from domain.intervals import Interval, Range, Span, TimeRange
from domain.matching import Matcher, MatchOperator
from domain.routing import Route
from domain.severity import Severity
from schemas.config_files import dump_config, parse_config
from schemas.config_models import config_schema

ROOM = Path(__file__).parents[2]
EXAMPLE = ROOM / "compose" / "example"
SCHEMA = jsonschema.Draft202012Validator(config_schema())
HASH = "sha256:" + "ab" * 32

names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,5}", fullmatch=True) | st.sampled_from(
    ["no", "on", "null", "1", "1e3", "0x1", "1.5"]
)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
titles = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
labels = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
group_labels = labels | st.sampled_from(["@severity", "@team", "service.name", "größe"])
addresses = st.sampled_from(["https://runbooks.example.test/db#full", "https://x.test", "https://x.test?a=b&c"])
spans = st.lists(
    st.builds(
        Span,
        st.sampled_from([(), (TimeRange(0, 360), TimeRange(1320, 1440))]),
        st.sampled_from([(), (Range(1, 5),)]),
        st.sampled_from([(), (Range(-3, -1), Range(1, 1))]),
        location=st.sampled_from([None, "Europe/Berlin"]),
    ),
    min_size=1,
    max_size=2,
).map(tuple)
delays = st.integers(1000, 10**9).map(lambda milliseconds: milliseconds / 1000)
waits = st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
patterns = st.sampled_from(["a|b", "5..", "\\d+", 'x"y', "", "(?i:x)", "a\nb"])
matchers = st.builds(
    Matcher, labels, st.sampled_from([MatchOperator.EQUAL, MatchOperator.NOT_EQUAL]), words
) | st.builds(Matcher, labels, st.sampled_from([MatchOperator.MATCHES, MatchOperator.NOT_MATCHES]), patterns)

OPTIONS: list[dict[str, Any]] = [
    {},
    {
        "group_interval": 300.0,
        "repeat_interval": 14400.0,
        "severity": Severity.HIGH,
        "ack": "refused",
        "runbook": "https://runbooks.example.test/db#full",
        "suppress_for": 60.5,
        "reopen_within": 600.0,
        "flap_threshold": 5,
        "flap_window": 900.0,
        "flap_quiet": 1800.0,
    },
    {"suppress_for": 0.0, "reopen_within": 0.0, "flap_threshold": 0, "ack": "allowed", "flap_quiet": 1.001},
]


def correlations(name: str, sides: st.SearchStrategy[tuple[Matcher, ...]]) -> st.SearchStrategy[CorrelationRule]:
    said = {"within": st.integers(1000, 86_400_000).map(lambda ms: ms / 1000), "matchers": st.just(()) | sides}
    said["incident_matchers"] = st.just(()) | sides
    same = st.lists(group_labels, min_size=1, max_size=2, unique=True).map(tuple)
    directions = st.sampled_from(["upstream", "downstream", "both"])
    over = {"direction": directions, "depth": st.integers(1, 5), "same": st.just(()) | same}
    labels_alone = st.builds(CorrelationRule, st.just(name), **said, over=st.just("same"), same=same)
    return labels_alone | st.builds(CorrelationRule, st.just(name), **said, **over)


@st.composite
def configurations(draw: st.DrawFn) -> dict[tuple[str, str], ConfigObject]:
    """Objects that refer to each other only."""

    def some(least: int = 0) -> list[str]:
        return draw(st.lists(names, min_size=least, max_size=3, unique=True))

    def listed(of: st.SearchStrategy[Any], least: int = 0, most: int = 3) -> tuple[Any, ...]:
        return tuple(draw(st.lists(of, min_size=least, max_size=most, unique_by=repr)))

    users, teams, policies, services = some(1), some(1), some(1), some()
    user, team, policy = map(st.sampled_from, (users, teams, policies))
    address = st.from_regex(r"[^@\s]{1,9}@[^@\s]{1,9}", fullmatch=True).filter(lambda a: a.isprintable())
    contact = st.builds(ContactMethod, st.just("email"), address)
    channels = {name: draw(st.none() | contact) for name in teams}
    target = st.builds(Target, user=user) | st.builds(Target, team=team, role=names)
    if reachable := [name for name, channel in channels.items() if channel]:
        target |= st.builds(Target, team=st.sampled_from(reachable))
    maybe_service = st.none() | st.sampled_from(services) if services else st.none()

    intervals = some()
    maybe_intervals = st.lists(st.sampled_from(intervals), max_size=2).map(tuple) if intervals else st.just(())

    def node(below: st.SearchStrategy[Route]) -> st.SearchStrategy[Route]:
        return st.builds(
            lambda options, **said: Route(**said, **options),
            st.sampled_from(OPTIONS),
            matchers=st.lists(matchers, max_size=2).map(tuple),
            service=maybe_service,
            team=st.none() | team,
            policy=st.none() | policy,
            group_by=st.none() | st.just(("...",)) | st.lists(group_labels, max_size=2, unique=True).map(tuple),
            group_wait=st.none() | waits,
            routes=st.lists(below, max_size=2).map(tuple),
            continues=st.booleans(),
            mute_time_intervals=maybe_intervals,
            active_time_intervals=maybe_intervals,
        )

    children = draw(st.lists(node(node(st.builds(Route))), max_size=2))
    made: list[ConfigObject] = [
        RouteTree(
            Route(team=draw(team), policy=draw(policy), group_wait=draw(st.none() | waits), routes=tuple(children))
        ),
        *(User(name, draw(titles), listed(contact, most=1)) for name in users),
        *(
            Team(name, listed(st.builds(Member, user, names)), contacts=(channel,) if channel else ())
            for name, channel in channels.items()
        ),
        *(
            Service(
                name,
                draw(team),
                draw(policy),
                environment=draw(st.none() | names),
                tier=draw(st.none() | st.integers(1, 9)),
                dependencies=tuple(draw(st.lists(st.sampled_from(services), max_size=2))),
                links=tuple(Link(*link) for link in draw(st.dictionaries(names, addresses, max_size=2)).items()),
                description=draw(st.none() | titles.filter(bool)),
            )
            for name in services
        ),
        *(
            Policy(
                name, tuple(Step(listed(target, least=1), draw(delays)) for _ in range(2)), draw(st.integers(1, 100))
            )
            for name in policies
        ),
    ]
    made += [Interval(name, draw(spans)) for name in intervals]
    sides = st.lists(matchers, min_size=1, max_size=2).map(tuple)
    made += [
        InhibitionRule(name, draw(sides), draw(sides), tuple(draw(st.lists(group_labels, max_size=2, unique=True))))
        for name in some()
    ]
    made += [draw(correlations(name, sides)) for name in some()]
    tokens = draw(st.lists(hashes, min_size=4, max_size=4, unique=True))
    made += [Integration(name, "alertmanager", (tokens[n],), draw(st.integers(1, 24))) for n, name in enumerate(some())]
    role: st.SearchStrategy[Literal["viewer", "responder", "admin"]] = st.sampled_from(["viewer", "responder", "admin"])
    made.append(ApiKey(draw(names), draw(role), tokens[3], draw(st.none() | user)))
    return {(thing.kind, thing.id): thing for thing in made}


@settings(max_examples=40, deadline=None)
@given(configurations())
def test_what_is_written_is_read_back(configuration: dict[tuple[str, str], ConfigObject]) -> None:
    text = dump_config(configuration.values())
    assert parse_config(text, "dump") == configuration
    assert dump_config(parse_config(text, "dump").values()) == text
    SCHEMA.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "value", ["\x85", "\u2028x", "\ttab", "\ufeff", " x ", "é", "a\nb", "no", "# x", "'\"", "\x7f", "\N{FIRE}"]
)
def test_odd_values_are_written_so_that_yaml_keeps_them(value: str) -> None:
    routes = (Route(matchers=(Matcher("a", MatchOperator.EQUAL, value),), team="t"),)
    written = [RouteTree(Route(team="t", policy="p", routes=routes))]
    known: dict[tuple[str, str], ConfigObject] = {("team", "t"): Team("t"), ("policy", "p"): Policy("p", ())}
    assert list(parse_config(dump_config(written), "dump", known).values()) == written


def test_what_the_format_cannot_say_is_not_written() -> None:
    with pytest.raises(ValueError, match="contacts that the format cannot say"):
        dump_config([User("ada", contacts=(ContactMethod("sms", "+100"),))])
    with pytest.raises(ValueError, match="team `search` has contacts that the format cannot say"):
        dump_config([Team("search", contacts=(ContactMethod("chat", "#search"),))])
