"""Cleaning of text that others wrote, so that it can only ever be read as text.

Titles, summaries and labels come from monitoring systems and may hold anything. Three dangers are removed here,
once, for every channel: control characters (a line break in a mail header starts another header), characters
that make text read differently from what it says (bidirectional overrides), and sheer size. Escaping for a
medium (HTML) is that medium's business.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LINE_ENDS = re.compile("\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\x9f<>\"\\^`{|}\u2028\u2029]|\s")
_MAX_URL = 2000


def one_line(text: str, limit: int) -> str:
    """`text` as one line of at most `limit` characters: single spaces, no control or direction characters."""
    visible = _without_tricks(text[: limit * 4])
    words = " ".join(_CONTROLS.sub(" ", visible).split())
    return _clip(words, limit, cut=len(text) > limit * 4)


def block(text: str, limit: int, max_lines: int = 40) -> tuple[str, ...]:
    """`text` as at most `max_lines` lines and `limit` characters; blank lines at both ends are gone."""
    visible = _LINE_ENDS.sub("\n", _without_tricks(text[: limit * 4]))
    clipped = _clip(visible.strip(), limit, cut=len(text) > limit * 4)
    lines = [_CONTROLS.sub(" ", line).rstrip() for line in clipped.split("\n")] if clipped else []
    return (*lines[:max_lines], "…") if len(lines) > max_lines else tuple(lines)


def web_url(url: str) -> str | None:
    """`url` if a person may safely follow it: http or https, with a host, nothing invisible; else None."""
    if len(url) > _MAX_URL or _NOT_IN_URLS.search(url) or _BIDI.search(url) or _SURROGATES.search(url):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:  # e.g. an unbalanced bracket: not a URL, and that is the answer
        return None
    return url if parts.scheme in ("http", "https") and host else None


def _without_tricks(text: str) -> str:
    """Without direction characters (Unicode TR 36, section 2.2.2) and with lone surrogates made encodable."""
    return _BIDI.sub("", _SURROGATES.sub("\ufffd", text))


def _clip(text: str, limit: int, *, cut: bool) -> str:
    if len(text) <= limit and not cut:
        return text
    return text[: limit - 1].rstrip() + "…"
