"""Matchers: how a condition on an alert is written down, and whether an alert meets it.

An absent label equals the empty string; regular expressions are RE2's, anchored at both ends, and `.` stops at a
newline. Source: Alertmanager's configuration documentation, section <matcher>, and its pkg/labels/matcher.go.
How people write matchers: schemas/matchers.py.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any

import re2

SHOWN = 100
"""How many characters of what somebody wrote a refusal quotes."""
PATTERNS = 4_096
RESULTS = 16_384
LONGEST = 256
"""Bounds of what is remembered: compiled patterns, results, and the characters of a value whose result is kept."""

quoted = json.JSONEncoder(ensure_ascii=False).encode

_LITERALS = re.compile(r"[^\\.+*?()\[\]{}^$]*")
_ANY_BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\C")
_PLAIN_NAME = re.compile(r"[^\s{}!=~,\\\"'`]+")
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True


def shown(text: str) -> str:
    """As much of `text` as a refusal quotes."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


class BadMatcher(ValueError):
    """A matcher that cannot be read or evaluated: what is wrong, and what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}{'' if remedy.endswith('?') else '.'}")
        self.problem = problem
        self.remedy = remedy


class MatchOperator(StrEnum):
    """The four ways a matcher compares a label."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


_EQUAL, _NOT_EQUAL, _MATCHES = MatchOperator.EQUAL, MatchOperator.NOT_EQUAL, MatchOperator.MATCHES  # read fast


@dataclass(frozen=True, slots=True)
class Matcher:
    """`label operator value`, e.g. `severity=~"critical|page"`. `label` may be a fact: see domain/facts.py."""

    label: str
    operator: MatchOperator
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels`, with the facts among them, satisfy this matcher; what is absent equals the empty string.

        Raises BadMatcher for a regular expression that does not compile.
        """
        actual = labels.get(self.label, "")
        operator = self.operator
        if operator is _EQUAL:
            return actual == self.value
        if operator is _MATCHES:
            return compiled(self.value)(actual)
        if operator is _NOT_EQUAL:
            return actual != self.value
        return not compiled(self.value)(actual)

    def __str__(self) -> str:
        name = self.label if is_plain(self.label) else quoted(self.label)
        return f"{name}{self.operator}{quoted(self.value)}"


def is_plain(name: str) -> bool:
    """Whether a label's name can stand without quotes."""
    return _PLAIN_NAME.fullmatch(name) is not None


@lru_cache(maxsize=PATTERNS)
def compiled(pattern: str) -> Callable[[str], bool]:
    """What says whether a whole value matches `pattern`. Raises BadMatcher for one that does not compile.

    The usual case, words with `|` between them, does not need the engine.
    """
    words = literals(pattern)
    return partial(_matched, _expression(pattern)) if words is None else words.__contains__


def literals(pattern: str) -> frozenset[str] | None:
    """The values that `pattern` matches, when it is words with `|` between them; None for any other."""
    return frozenset(pattern.split("|")) if _LITERALS.fullmatch(pattern) else None


def _expression(pattern: str) -> Any:
    """The engine's expression, put together as Alertmanager does. Raises BadMatcher.

    `\\C`, any byte, is none of Go's and would cut characters apart.
    """
    if _ANY_BYTE.search(pattern):
        raise _uncompiled("there is no \\C")
    try:
        return re2.compile(f"^(?:{pattern})$".encode(), _OPTIONS)
    except re2.error as error:
        raise _uncompiled(_reason(pattern, error)) from None
    except UnicodeEncodeError:
        raise _uncompiled("it has half a character") from None


def _reason(pattern: str, anchored: Exception) -> str:
    """What the engine says of the pattern itself, which the user knows, else of the anchored one."""
    try:
        re2.compile(pattern.encode(), _OPTIONS)
    except re2.error as error:
        anchored = error
    return shown(anchored.args[0].decode(errors="replace"))


def _uncompiled(reason: str) -> BadMatcher:
    remedy = "Correct the pattern; its syntax is RE2's, and it is anchored at both ends already"
    return BadMatcher(f"The regular expression does not compile: {reason}", remedy)


def _matched(expression: Any, value: str) -> bool:
    return _remembered(expression, value) if len(value) <= LONGEST else _searched(expression, value)


def _searched(expression: Any, value: str) -> bool:
    return expression.search(value.encode(errors="replace")) is not None


_remembered = lru_cache(maxsize=RESULTS)(_searched)
