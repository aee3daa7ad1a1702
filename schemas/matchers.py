"""Matchers as people write them: `severity="critical"`, `{team=~"a|b", env!=dev}`, `@source=elastic`.

Alertmanager has two syntaxes, classic and UTF-8, and while it moves from one to the other it takes the UTF-8 reading
of a text only where there is no classic one. So do we: what a matcher means in alertmanager.yml it means here.
Source: Alertmanager's configuration documentation, sections <matcher> and "Fallback mode"; matcher/compat/parse.go.
"""

import difflib
import re

from domain.facts import ANNOTATION, FACTS, is_fact
from domain.matching import BadMatcher, Matcher, MatchOperator, compiled, is_plain, shown
from schemas.matchers_classic import read_classic
from schemas.matchers_utf8 import read_utf8

__all__ = ["BadMatcher", "format_matcher", "make_matcher", "parse_matchers"]

REGULAR = frozenset({MatchOperator.MATCHES, MatchOperator.NOT_MATCHES})
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers of a comma-separated list, in braces or not. Raises BadMatcher."""
    _check_storable(text)
    try:
        matchers = _compiling(read_classic(text))
    except BadMatcher:
        matchers = _compiling(read_utf8(text))
    for matcher in matchers:
        _check_storable(matcher.label + matcher.value)
        _check_name(matcher.label)
    return matchers


def make_matcher(label: str, operator: MatchOperator, value: str) -> Matcher:
    """A matcher that arrives in its parts, e.g. in a silence of Alertmanager's API. Raises BadMatcher."""
    _check_storable(label + value)
    _check_name(label)
    (matcher,) = _compiling((Matcher(label, operator, value),))
    return matcher


def format_matcher(matcher: Matcher) -> str:
    """The matcher as text that `parse_matchers` reads back, and Alertmanager as well unless it is about a fact."""
    name = matcher.label if is_plain(matcher.label) else _quoted(matcher.label)
    return f"{name}{matcher.operator}{_quoted(matcher.value)}"


def _quoted(text: str) -> str:
    """`text` in quotes, with the escapes that both syntaxes have."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _compiling(matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    """`matchers`, unless a regular expression does not compile."""
    for matcher in matchers:
        if matcher.operator in REGULAR:
            compiled(matcher.value)
    return matchers


def _check_name(name: str) -> None:
    """Raise BadMatcher for what is neither a label's name nor a fact's: names with @ are facts, quoted or not."""
    if not name:
        raise BadMatcher("A matcher has an empty label name", "Write the label's name before the operator")
    if not name.startswith("@") or (is_fact(name) and name != ANNOTATION):
        return
    close = difflib.get_close_matches(name, [*FACTS, f"{ANNOTATION}NAME"], n=1)
    remedy = f"Did you mean `{close[0]}`?" if close else f"Write one of {', '.join(FACTS)} or {ANNOTATION}NAME"
    raise BadMatcher(f"There is no fact `{shown(name)}`", remedy)


def _check_storable(text: str) -> None:
    """Raise BadMatcher for characters that no alert is stored with."""
    if _UNSTORABLE.search(text):
        raise BadMatcher(
            "A matcher has a NUL or half a character, which no label holds",
            "Remove it, or write . in its place after =~",
        )
