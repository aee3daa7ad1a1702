"""Matchers are read as Alertmanager reads them, in both of its syntaxes.

`golden/matchers.jsonl` holds what Alertmanager 0.34.2 made of each text; `golden/matchers.go` asked it.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.facts import FACTS
from domain.matching import Matcher, MatchOperator, compiled
from schemas.matchers import BadMatcher, format_matcher, make_matcher, parse_matchers
from schemas.matchers_classic import read_classic
from schemas.matchers_utf8 import read_utf8

EQ, NE, RE, NR = MatchOperator.EQUAL, MatchOperator.NOT_EQUAL, MatchOperator.MATCHES, MatchOperator.NOT_MATCHES
RECORDED = [json.loads(line) for line in (Path(__file__).parents[1] / "golden/matchers.jsonl").read_text().splitlines()]
PAGE = Path(__file__).parents[2] / "docs/how-to/write-matchers.md"
READERS: dict[str, Callable[[str], tuple[Matcher, ...]]] = {
    "classic": read_classic,
    "utf8": read_utf8,
    "fallback": parse_matchers,
}


@pytest.mark.parametrize("syntax", READERS)
def test_what_alertmanager_makes_of_it(syntax: str) -> None:
    ours = {r["text"]: answers(READERS[syntax], r["text"], r["values"]) for r in RECORDED}
    assert ours == {r["text"]: r[syntax] for r in RECORDED}


def answers(read: Callable[[str], tuple[Matcher, ...]], text: str, values: list[str]) -> list[list[Any]] | None:
    """As `matchers.go` writes them."""
    try:
        matchers = read(text)
        for matcher in matchers:
            if matcher.operator in (RE, NR):
                compiled(matcher.value)
    except BadMatcher:
        return None
    return [
        [m.label, m.operator.value, m.value, [value for value in values if m.matches({m.label: value})]]
        for m in matchers
    ]


def test_the_recorded_answers_are_of_every_kind() -> None:
    kinds = {(r["classic"] is None, r["utf8"] is None, r["classic"] == r["utf8"]) for r in RECORDED}
    assert kinds == {
        (False, False, True),  # both read the same
        (False, False, False),  # both read, and disagree: classic counts
        (False, True, False),
        (True, False, False),
        (True, True, True),
    }
    assert all(r["fallback"] == (r["utf8"] if r["classic"] is None else r["classic"]) for r in RECORDED)


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ("@severity=critical", [("@severity", EQ, "critical")]),
        ('{"@source"="elastic", env=prod}', [("@source", EQ, "elastic"), ("env", EQ, "prod")]),
        ('@annotation.runbook_url=~".+"', [("@annotation.runbook_url", RE, ".+")]),
        ('"@annotation.run book"!=""', [("@annotation.run book", NE, "")]),
        ("@team!~a|b,@service!=x,@environment=y,@integration=z", [
            ("@team", NR, "a|b"),
            ("@service", NE, "x"),
            ("@environment", EQ, "y"),
            ("@integration", EQ, "z"),
        ]),
    ],
)  # fmt: skip
def test_matchers_of_facts(text: str, matchers: list[tuple[str, MatchOperator, str]]) -> None:
    assert parse_matchers(text) == tuple(Matcher(*matcher) for matcher in matchers)


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("foo", "`foo` is not a matcher: it ends where one of = != =~ !~ is wanted", "all in single quotes"),
        ("{foo=bar,,a=b}", "`,` stands where a label or } is wanted", "Write a label"),
        ("foo!bar", "`!` stands where one of = != =~ !~ is wanted", "double quotes"),
        ('foo="bar', "a double quote is not closed", '\\" for a quote inside'),
        ('foo=bar"', "a double quote is not closed", '\\" for a quote inside'),
        ('foo="b"ar"', "`ar` stands where a comma is wanted", "commas between matchers"),
        ("ünder=", "it ends where a value is wanted", 'an empty value is ""'),
        ("ünder='a'", "`'` stands where a value is wanted", 'label="value"'),
        ("ünder=a b=c", "`b` stands where a comma is wanted", "Put commas"),
        ('ünder="a\nb"', "has a line break", "\\n for a new line"),
        ('ünder="a\\qb"', "has an escape that there is none of", "\\\\ for a backslash"),
        ('ünder="\\xff"', "has an escape that makes no character", "\\\\ for a backslash"),
        ("{ünder=a", "it ends where a comma or } is wanted", "braces around all"),
        ("ünder=a}", "`}` stands where a comma is wanted", "braces around all"),
        ("{ünder=a}b", "`b` stands where the end is wanted", "Put commas"),
        ("=" * 1000, "`" + "=" * 100 + "…` is not a matcher", "Write a label"),
        ('foo=~"("', "does not compile: missing ): (", "Correct the pattern"),
        ('foo=~"(?=bar).*"', "does not compile: invalid perl operator: (?=", "RE2"),
        ('foo=~"(a)\\\\1"', "does not compile: invalid escape sequence: \\1", "RE2"),
        ('""=a', "an empty label name", "before the operator"),
        ("foo=\0", "a NUL", "Remove it"),
        ("@severty=critical", "There is no fact `@severty`", "Did you mean `@severity`?"),
        ('"@annotations.x"=a', "There is no fact `@annotations.x`", "Did you mean `@annotation.NAME`?"),
        ("@annotation.=a", "There is no fact `@annotation.`", "@annotation.NAME"),
        ("@=a", "There is no fact `@`", "Write one of @severity, "),
    ],
)
def test_what_cannot_be_read_says_why_and_what_to_do(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(BadMatcher) as refused:
        parse_matchers(text)
    assert problem in refused.value.problem
    assert remedy in refused.value.remedy
    assert not str(refused.value).endswith("?.")


def test_parts_of_a_matcher_are_checked_as_text_is() -> None:
    assert make_matcher("on call", RE, "a|b") == Matcher("on call", RE, "a|b")
    for label, value in (("", "a"), ("@sever", "a"), ("a", "("), ("a", "\0")):
        with pytest.raises(BadMatcher):
            make_matcher(label, RE, value)


def test_the_examples_of_the_page_are_matchers() -> None:
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text(), re.DOTALL)
    examples = [line for block in blocks for line in block.splitlines()]
    assert len(examples) > 10
    assert [line for line in examples if not parse_matchers(line)] == []
    assert [fact for fact in FACTS if f"| `{fact}` |" not in PAGE.read_text()] == []


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
names = words.filter(bool).filter(lambda name: not name.startswith("@")) | st.just("@annotation.run\n=book")
matchers = st.builds(Matcher, names, st.sampled_from([EQ, NE]), words) | st.builds(
    Matcher, names, st.sampled_from([RE, NR]), st.sampled_from(["a|b", "\\d+\n", 'x"y', "", "(?i)x", "[[:alpha:]]"])
)


@given(st.lists(matchers))
def test_matchers_written_are_read_back(written: list[Matcher]) -> None:
    assert parse_matchers(",".join(map(format_matcher, written))) == tuple(written)
    assert parse_matchers("{ " + " , ".join(map(format_matcher, written)) + " }") == tuple(written)


@given(matchers)
def test_both_syntaxes_read_what_is_written(matcher: Matcher) -> None:
    written = format_matcher(matcher)
    assert read_utf8(written) == (matcher,)
    if matcher.label.isascii() and matcher.label.isidentifier():
        assert read_classic(written) == (matcher,)


@given(st.text(st.characters()) | st.text(alphabet='ab@ü=~!"\\,{} \n([:?\ud800\0\x85\u3000'))
@example('ü="' + "\\" * 1001)
def test_any_text_is_matchers_or_refused(text: str) -> None:
    try:
        parse_matchers(text)
    except BadMatcher as refused:
        assert refused.problem
        assert refused.remedy


@pytest.mark.parametrize("piece", [" ", '"', "\\", "a=b,", 'a="', "ü=", "a=~(", "\\\\", "{", "=", "\u3000"])
@pytest.mark.parametrize("begin", ["", 'a="', 'ü="', "ü=a "])
def test_long_texts_are_read_in_linear_time(begin: str, piece: str) -> None:
    try:
        parse_matchers(begin + piece * 50_000 + "x")
    except BadMatcher as refused:
        assert len(str(refused)) < 400
