"""Alertmanager's UTF-8 syntax of matchers. Source: matcher/parse of prometheus/alertmanager.

Name and value are words, which hold neither space nor any of `{}!=~,\\"'` and backtick, or strings in double quotes
with the escapes of Go's string literals.
"""

import re

from domain.matching import BadMatcher, Matcher, MatchOperator, shown
from schemas.matchers_classic import SPACE

_TOKEN = re.compile(
    rf"""[{SPACE}]*+(?:
    (?P<operator> =~ | != | !~ | =)
    | (?P<brace> [{{}}])
    | (?P<comma> ,)
    | (?P<quoted> "(?:[^"\\]|\\.)*+")
    | (?P<word> [^{SPACE}{{}}!=~,\\"'`]+)
    | (?P<end> \Z)
    | (?P<odd> .))""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(rb'\\(?:([abfnrtv"\\])|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)')
_LETTERS = bytes.maketrans(b'abfnrtv"\\', b'\a\b\f\n\r\t\v"\\')
_NAMES = ("word", "quoted")
_MATCHER = "Write a label, one of = != =~ !~ and a value, all in single quotes: 'severity=\"critical\"'"
_QUOTES = 'Put what is not a plain word in double quotes: label="value"; an empty value is ""'
_BRACES = "Put braces around all matchers or leave both away; inside a value they need double quotes"
_COMMA = 'Put commas between matchers, and double quotes around a value that is not a plain word: label="a b"'


def read_utf8(text: str) -> tuple[Matcher, ...]:
    """The matchers of a comma-separated list, in braces or not; not compiled. Raises BadMatcher."""
    return _Reader(text).matchers()


class _Reader:
    """Reads one text from left to right, a token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.finditer(text)
        self._next = next(self._tokens)

    def matchers(self) -> tuple[Matcher, ...]:
        """All of them. Raises BadMatcher."""
        found = []
        wanted, remedy = "a label", _MATCHER
        braces = self._took("{")
        while self._next.lastgroup in _NAMES:
            found.append(self._matcher())
            if not self._took(","):
                wanted, remedy = "a comma", _COMMA
                break
        if braces and not self._took("}"):
            raise self._unwanted(f"{wanted} or }}", remedy)
        if self._next.lastgroup != "end":
            raise self._unwanted("the end" if braces else wanted, remedy)
        return tuple(found)

    def _matcher(self) -> Matcher:
        name = self._word("a label", _MATCHER)
        if self._next.lastgroup != "operator":
            raise self._unwanted("one of = != =~ !~", _MATCHER)
        operator = MatchOperator(self._taken())
        return Matcher(name, operator, self._word("a value", _QUOTES))

    def _word(self, wanted: str, remedy: str) -> str:
        """The next token, which has to be a word or a string."""
        kind = self._next.lastgroup
        if kind not in _NAMES:
            raise self._unwanted(wanted, remedy)
        token = self._taken()
        try:
            return token if kind == "word" else _unquoted(token[1:-1])
        except ValueError as error:
            remedy = 'Write \\\\ for a backslash, \\" for a quote, \\n for a new line'
            raise self._bad(f"`{shown(token)}` {error}", remedy) from None

    def _took(self, text: str) -> bool:
        """Whether the next token is this one; it is taken then."""
        return self._next[self._next.lastgroup or 0] == text and bool(self._taken())

    def _taken(self) -> str:
        token = self._next
        self._next = next(self._tokens, token)
        return token[token.lastgroup or 0]

    def _unwanted(self, wanted: str, remedy: str) -> BadMatcher:
        """What is wrong with the next token, where something else was wanted."""
        kind = self._next.lastgroup
        text = self._next[kind or 0]
        if text == '"':
            return self._bad("a double quote is not closed", 'Close it, and write \\" for a quote inside')
        if kind == "brace" or (kind == "end" and wanted.endswith("}")):
            remedy = _BRACES
        elif kind == "odd":
            remedy = _QUOTES
        return self._bad(
            f"{'it ends' if kind == 'end' else f'`{shown(text)}` stands'} where {wanted} is wanted", remedy
        )

    def _bad(self, reason: str, remedy: str) -> BadMatcher:
        return BadMatcher(f"`{shown(self._text.strip())}` is not a matcher: {reason}", remedy)


def _unquoted(body: str) -> str:
    """What `body` between double quotes stands for, as Go's `strconv.Unquote` says; the reason in a ValueError."""
    if "\n" in body:
        raise ValueError("has a line break")
    try:
        return _ESCAPE.sub(_character, body.encode()).decode()
    except UnicodeError:
        raise ValueError("has an escape that makes no character") from None


def _character(escape: re.Match[bytes]) -> bytes:
    letter, hexadecimal, octal, *code = escape.groups()
    if letter:
        return letter.translate(_LETTERS)
    if hexadecimal or octal:
        return bytes([int(hexadecimal, 16) if hexadecimal else int(octal, 8)])
    point = int(code[0] or code[1] or b"110000", 16)
    if point > 0x10FFFF:
        raise ValueError("has an escape that there is none of")
    return chr(point).encode()
