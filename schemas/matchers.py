"""Matchers as Alertmanager's classic parser reads them: `severity="critical"`, `{team=~"a|b", env!=dev}`.

A port of prometheus/alertmanager pkg/labels/parse.go, its tolerance included: the value may stand without quotes,
a backslash before anything but `n`, `"` and a backslash is itself. What the Python engine reads otherwise than
Go's RE2 is refused rather than guessed at.
"""

import re

from domain.routing import Matcher, MatchOperator, compiled

_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL | re.ASCII)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


class BadMatcher(ValueError):
    """A matcher that cannot be read: what is wrong, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}.")
        self.problem = problem
        self.remedy = remedy


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers of a comma-separated list, in braces or not. Raises BadMatcher."""
    pieces = _pieces(text.removeprefix("{").removesuffix("}"))
    if not pieces[-1].strip():
        pieces.pop()
    return tuple(parse_matcher(piece) for piece in pieces)


def parse_matcher(text: str) -> Matcher:
    """One matcher. Raises BadMatcher."""
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise BadMatcher(
            f"`{text.strip()}` is not a matcher",
            "Write a label, one of = != =~ !~ and a value, all in single quotes: 'severity=\"critical\"'",
        )
    label, operator, value = found[1], MatchOperator(found[2]), _unquoted(found[3])
    if operator in (MatchOperator.MATCHES, MatchOperator.NOT_MATCHES):
        check_pattern(value)
    return Matcher(label, operator, value)


def format_matcher(matcher: Matcher) -> str:
    """The matcher as text that `parse_matcher` reads back."""
    value = matcher.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{matcher.label}{matcher.operator}"{value}"'


def check_pattern(pattern: str) -> None:
    """Raise BadMatcher for a regular expression that does not compile, or that Go's RE2 reads otherwise."""
    if "[[:" in pattern:
        raise BadMatcher("The regular expression uses a POSIX class", "Write [a-z], [0-9] or \\w instead")
    try:
        re.compile(pattern)
        compiled(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        remedy = "Correct the pattern; it is anchored at both ends already"
        if pattern.startswith("(?i)"):
            remedy = f"Write (?i:{pattern[4:]}) instead"
        raise BadMatcher(f"The regular expression does not compile: {error}", remedy) from None
    if re.search(r"\(\?(<?[=!]|P=|\()", pattern) or re.search(r"(?<!\\)(\\\\)*\\[1-9]", pattern):
        raise BadMatcher("The regular expression looks around or back, which Alertmanager cannot", "Write it without")


def _pieces(text: str) -> list[str]:
    """`text` cut at the commas that are not inside quotes; always at least one piece."""
    pieces = [""]
    quoted = escaped = False
    for char in text:
        if char == "," and not quoted:
            pieces.append("")
            continue
        if char == '"':
            quoted = quoted if escaped else not quoted
            escaped = False
        elif char == "\\":
            escaped = not escaped
        elif char != ",":
            escaped = False
        pieces[-1] += char
    return pieces


def _unquoted(raw: str) -> str:
    """The value that `raw` stands for. Raises BadMatcher for a quote in the wrong place."""
    quoted = raw.startswith('"')
    body = raw[1:] if quoted else raw
    value: list[str] = []
    at = 0
    while at < len(body):
        char, last = body[at], at == len(body) - 1
        if char == "\\" and not last:
            at += 1
            value.append(_ESCAPES.get(body[at], "\\" + body[at]))
        elif char == '"':
            if not (quoted and last):
                raise _bad_quote(raw)
            return "".join(value)
        else:
            value.append(char)
        at += 1
    if quoted:
        raise _bad_quote(raw)
    return "".join(value)


def _bad_quote(raw: str) -> BadMatcher:
    return BadMatcher(
        f"The value {raw} has a double quote in the wrong place",
        'Put the value in double quotes and write \\" for a quote inside it',
    )
