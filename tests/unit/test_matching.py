"""Whether an alert meets a matcher, against a second implementation that only enumerates."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain import matching
from domain.matching import BadMatcher, Matcher, MatchOperator, compiled

EQ, NE, RE, NR = MatchOperator.EQUAL, MatchOperator.NOT_EQUAL, MatchOperator.MATCHES, MatchOperator.NOT_MATCHES
SEEN = {"env": "prod", "note": "one\ntwo", "@severity": "high"}


@dataclass(frozen=True)
class Pattern:
    """A regular expression, and all strings of at most three of `a`, `b` and newline that it stands for."""

    text: str
    strings: frozenset[str]


LETTERS = ("a", "b", "\n")
EVERY = [
    "",
    *LETTERS,
    *(a + b for a in LETTERS for b in LETTERS),
    *(a + b + c for a in LETTERS for b in LETTERS for c in LETTERS),
]


def together(first: frozenset[str], second: frozenset[str]) -> frozenset[str]:
    return frozenset(a + b for a in first for b in second if len(a + b) <= 3)


def repeated(pattern: Pattern, sign: str) -> Pattern:
    none = frozenset({""})
    once = pattern.strings
    some = once | together(once, once) | together(once, together(once, once))
    return Pattern(f"(?:{pattern.text}){sign}", {"?": none | once, "*": none | some, "+": some}[sign])


ATOMS = [
    Pattern("", frozenset({""})),
    Pattern("a", frozenset("a")),
    Pattern(".", frozenset("ab")),
    Pattern("(?s:.)", frozenset("ab\n")),
    Pattern("[^a]", frozenset("b\n")),
    Pattern("\\s", frozenset("\n")),
    Pattern("(?i:B)", frozenset("b")),
    Pattern("ab", frozenset({"ab"})),
]
PATTERNS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.builds(lambda a, b: Pattern(f"{a.text}|{b.text}", a.strings | b.strings), inner, inner),
        st.builds(lambda a, b: Pattern(f"(?:{a.text})({b.text})", together(a.strings, b.strings)), inner, inner),
        st.builds(repeated, inner, st.sampled_from("?*+")),
    ),
    max_leaves=8,
)


@given(PATTERNS)
def test_a_regular_expression_matches_the_whole_value(pattern: Pattern) -> None:
    matching = {value for value in EVERY if Matcher("x", RE, pattern.text).matches({"x": value})}
    others = {value for value in EVERY if Matcher("x", NR, pattern.text).matches({"x": value})}
    assert matching == pattern.strings
    assert others == set(EVERY) - pattern.strings


@given(
    st.dictionaries(st.sampled_from("xyz"), st.sampled_from("abc")),
    st.sampled_from("xyz"),
    st.sampled_from(["", *"abc"]),
)
def test_what_is_absent_equals_the_empty_string(labels: dict[str, str], name: str, value: str) -> None:
    equal = labels[name] == value if name in labels else value == ""
    assert Matcher(name, EQ, value).matches(labels) is equal
    assert Matcher(name, NE, value).matches(labels) is not equal
    assert Matcher(name, RE, value).matches(labels) is equal
    assert Matcher(name, NR, value).matches(labels) is not equal


@pytest.mark.parametrize(
    ("matcher", "holds"),
    [
        (Matcher("env", RE, "prod|stage"), True),
        (Matcher("env", RE, "PROD|stage"), False),
        (Matcher("env", RE, "pro"), False),
        (Matcher("env", RE, "(?i)PROD"), True),
        (Matcher("env", RE, "[[:alpha:]]+"), True),
        (Matcher("env", RE, "p.d|pr.|"), False),
        (Matcher("note", RE, "one.*"), False),
        (Matcher("note", RE, "(?s)one.*"), True),
        (Matcher("note", RE, "one\ntwo|three"), True),
        (Matcher("gone", RE, ""), True),
        (Matcher("gone", RE, ".+"), False),
        (Matcher("gone", NR, "a|b"), True),
        (Matcher("gone", RE, "a|"), True),
        (Matcher("@severity", EQ, "high"), True),
        (Matcher("env", RE, "x)|(?:.*od"), True),  # as Alertmanager puts it together: not anchored, brackets being odd
    ],
)
def test_what_a_matcher_says(matcher: Matcher, holds: bool) -> None:
    assert matcher.matches(SEEN) is holds


def test_a_pattern_that_would_take_others_for_ever_is_linear() -> None:
    assert not Matcher("x", RE, "(a+)+b").matches({"x": "a" * 100_000})


def test_results_are_remembered_for_short_values_only() -> None:
    short, long = "a" * matching.LONGEST, "a" * (matching.LONGEST + 1)
    matching._remembered.cache_clear()
    assert all(compiled("a+")(value) for value in (short, short, long, long))
    remembered = matching._remembered.cache_info()
    assert (remembered.hits, remembered.misses, remembered.currsize) == (1, 1, 1)


def test_half_a_character_in_a_value_matches_nothing_and_raises_nothing() -> None:
    assert not Matcher("x", RE, "[a-z]+").matches({"x": "\ud800"})


@pytest.mark.parametrize("pattern", ["(", "a**", "[", "\\", "(?=a)", "\\1", "\\C", "a\\\\\\C", "x{1001}", "\ud800."])
def test_what_is_no_regular_expression(pattern: str) -> None:
    with pytest.raises(BadMatcher) as refused:
        Matcher("x", RE, pattern).matches({})
    assert refused.value.problem.startswith("The regular expression does not compile: ")
    assert "^(?:" not in refused.value.problem
    assert refused.value.remedy


odd = st.text('a"=,!~\\', max_size=3)
several = st.lists(st.builds(Matcher, odd, st.sampled_from(MatchOperator), odd), max_size=2)


@given(several, several)
@example([Matcher('a="",b', EQ, "")], [Matcher("a", EQ, ""), Matcher("b", EQ, "")])
def test_different_matchers_are_written_differently(some: list[Matcher], others: list[Matcher]) -> None:
    """The path of a route is made of them: `a="1",b="2"` has to be two matchers, never one of a label `a="1",b`."""
    assert (",".join(map(str, some)) == ",".join(map(str, others))) == (some == others)
