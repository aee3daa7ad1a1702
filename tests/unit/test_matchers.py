"""Matchers are read as Alertmanager's classic parser reads them, and durations as Prometheus does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.routing import Matcher, MatchOperator
from schemas.durations import format_duration, parse_duration
from schemas.matchers import BadMatcher, format_matcher, parse_matchers

EQ, NE, RE, NR = MatchOperator.EQUAL, MatchOperator.NOT_EQUAL, MatchOperator.MATCHES, MatchOperator.NOT_MATCHES


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        # the first rows are those of prometheus/alertmanager pkg/labels/parse_test.go
        ("{}", []),
        ("", []),
        ("{foo='}", [("foo", EQ, "'")]),
        ('{foo="bar"}', [("foo", EQ, "bar")]),
        ('{foo=~"bar.*"}', [("foo", RE, "bar.*")]),
        ("{foo!=bar,}", [("foo", NE, "bar")]),
        ('{foo!~"bar.*", status!="bar"}', [("foo", NR, "bar.*"), ("status", NE, "bar")]),
        ("foo=bar,dings!=bums", [("foo", EQ, "bar"), ("dings", NE, "bums")]),
        (
            '{quote="She said: \\"Hi, ladies! That\'s gender-neutral…\\""}',
            [("quote", EQ, 'She said: "Hi, ladies! That\'s gender-neutral…"')],
        ),
        ("alertname=~Foo|Bar", [("alertname", RE, "Foo|Bar")]),
        ("foo=", [("foo", EQ, "")]),
        ("foo==bar", [("foo", EQ, "=bar")]),
        ("foo =  bar  ", [("foo", EQ, "bar")]),
        ('foo="a\\nb\\\\c\\td"', [("foo", EQ, "a\nb\\c\\td")]),
        ('foo="a\nb"', [("foo", EQ, "a\nb")]),
        ("a:b=c", [("a:b", EQ, "c")]),
        ("foo=bar\\", [("foo", EQ, "bar\\")]),
        ('a="x,y",b=z', [("a", EQ, "x,y"), ("b", EQ, "z")]),
        ('a=" b "', [("a", EQ, " b ")]),
        ("{foo=bar}}", [("foo", EQ, "bar}")]),
    ],
)
def test_what_alertmanager_reads(text: str, matchers: list[tuple[str, MatchOperator, str]]) -> None:
    assert parse_matchers(text) == tuple(Matcher(*matcher) for matcher in matchers)


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("foo", "`foo` is not a matcher", "one of = != =~ !~"),
        ("{foo=bar,,a=b}", "`` is not a matcher", "Write a label"),
        ("0foo=bar", "is not a matcher", "Write a label"),
        ("ünder=bar", "is not a matcher", "Write a label"),
        ('foo="bar', "double quote in the wrong place", '\\"'),
        ('foo=bar"', "double quote in the wrong place", '\\"'),
        ('foo="b"ar"', "double quote in the wrong place", '\\"'),
        ('foo="bar\\"', "double quote in the wrong place", '\\"'),
        ('foo=~"("', "does not compile: missing )", "Correct the pattern"),
        ('foo=~"a)|(b"', "does not compile", "Correct the pattern"),
        ('foo=~"(?i)bar"', "does not compile", "Write (?i:bar) instead"),
        ('foo=~"\\\\pL"', "does not compile: bad escape", "Correct the pattern"),
        ('foo=~"[[:alpha:]]"', "POSIX class", "[a-z]"),
        ('foo=~"(?=bar).*"', "looks around or back", "without"),
        ('foo!~"(?<!x)bar"', "looks around or back", "without"),
        ('foo=~"(a)\\\\1"', "looks around or back", "without"),
    ],
)
def test_what_cannot_be_read_says_why_and_what_to_do(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(BadMatcher) as refused:
        parse_matchers(text)
    assert problem in refused.value.problem
    assert remedy in refused.value.remedy


names = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,10}", fullmatch=True)


@settings(deadline=None)
@given(names, st.sampled_from([EQ, NE]), st.text())
def test_a_matcher_written_is_read_back(label: str, operator: MatchOperator, value: str) -> None:
    matcher = Matcher(label, operator, value)
    assert parse_matchers(format_matcher(matcher)) == (matcher,)
    assert parse_matchers("{" + format_matcher(matcher) + ", other=x}") == (matcher, Matcher("other", EQ, "x"))


@settings(deadline=None)
@given(st.text() | st.text(alphabet='ab=~!"\\,{} \n([:?'))
def test_any_text_is_matchers_or_refused(text: str) -> None:
    try:
        parse_matchers(text)
    except BadMatcher as refused:
        assert refused.problem
        assert refused.remedy


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("500ms", 0.5),
        ("30s", 30),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1w", 604800),
        ("365d", 31536000),
    ],
)
def test_durations_are_those_of_prometheus(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "1.5h", "30m1h", "1h 30m", "-5m", "5min", "1y1ms", "٣s", "1s\n", "9" * 50 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is (not a duration|longer)"):
        parse_duration(text)


@settings(deadline=None)
@given(st.integers(0, 365 * 86_400_000))
def test_a_duration_written_is_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize("seconds", [0.0001, -1.0, 1e12])
def test_what_cannot_be_written_as_a_duration(seconds: float) -> None:
    with pytest.raises(ValueError, match="no duration of whole milliseconds"):
        format_duration(seconds)
