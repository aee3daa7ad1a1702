"""Alertmanager's classic syntax of matchers. Source: pkg/labels/parse.go of prometheus/alertmanager.

It is tolerant: the value may stand without quotes and be empty, an odd brace belongs to the value, a backslash before
anything but `n`, `"` and a backslash is itself.
"""

import re

from domain.matching import BadMatcher, Matcher, MatchOperator

_HEAD = re.compile(r"[ \t\n\f\r]*([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t\n\f\r]*(=~|=|!=|!~)")
_VALUE = re.compile(r'(?:[^"\\]|\\.|\\\Z)*+', re.DOTALL)
_ESCAPED = re.compile(r'\\([n"\\])')
_BLANK = " \t\n\f\r"
SPACE = (
    _BLANK
    + "\v\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What Go's regular expressions and what its `strings.TrimSpace` take for space; the last piece loses the latter."""


def read_classic(text: str) -> tuple[Matcher, ...]:
    """The matchers of a comma-separated list, in braces or not; not compiled. Raises BadMatcher."""
    *pieces, last = _pieces(text.removeprefix("{").removesuffix("}"))
    last = last.strip(SPACE)
    return tuple(_matcher(piece) for piece in (*pieces, *([last] if last else [])))


def _pieces(text: str) -> list[str]:
    """`text` cut at the commas that are not inside quotes; always at least one piece."""
    pieces = []
    begin = 0
    quoted = escaped = False
    for at, char in enumerate(text):
        if char == "," and not quoted:
            pieces.append(text[begin:at])
            begin = at + 1
        elif char == '"':
            quoted = quoted if escaped else not quoted
            escaped = False
        elif char == "\\":
            escaped = not escaped
        elif char != ",":
            escaped = False
    return [*pieces, text[begin:]]


def _matcher(text: str) -> Matcher:
    found = _HEAD.match(text)
    if found is None:
        raise BadMatcher(f"`{text.strip()}` is not a matcher", "Write a label, one of = != =~ !~ and a value")
    return Matcher(found[1], MatchOperator(found[2]), _unquoted(text[found.end() :].strip(_BLANK)))


def _unquoted(raw: str) -> str:
    """The value that `raw` stands for. Raises BadMatcher for a quote in the wrong place."""
    quoted = raw.startswith('"')
    found = _VALUE.match(raw, 1 if quoted else 0)
    body = found[0] if found else ""
    if raw != (f'"{body}"' if quoted else body):
        raise BadMatcher(
            f"The value {raw} has a double quote in the wrong place", 'Write \\" for a quote inside quotes'
        )
    return _ESCAPED.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], body)
