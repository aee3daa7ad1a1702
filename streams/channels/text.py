"""The plain text of a mail: what most phones show first, and what every mail program can show."""

from __future__ import annotations

from collections.abc import Iterator

from streams.channels.sections import REPEAT_NOTICE, Letter, Section

_RULE = "-" * 40


def as_text(letter: Letter) -> str:
    """`letter` as plain text, unwrapped (the reader's screen wraps), ending in a line break."""
    return "\n".join(_lines(letter)).rstrip() + "\n"


def _lines(letter: Letter) -> Iterator[str]:
    if len(letter.sections) > 1:
        yield from _overview(letter)
        yield from ("", _RULE, "")
    for place, section in enumerate(letter.in_full):
        if place:
            yield from (_RULE, "")
        yield from (_headline(section), section.title, "")
        if letter.possible_repeat and place == 0:
            yield from (REPEAT_NOTICE, "")
        yield from _details(section)


def _overview(letter: Letter) -> Iterator[str]:
    if letter.counts:
        yield from (*letter.counts, "")
    yield from (f"{_headline(section)}: {section.title}" for section in letter.sections)
    if letter.more:
        yield f"and {letter.more:,} more"
    for what, command in letter.commands:
        yield from ("", f"{what}:", f"  {command}")


def _headline(section: Section) -> str:
    return f"{section.severity.upper()} · {section.number} · {section.status}"


def _details(section: Section) -> Iterator[str]:
    yield from (f"{name}: {value}" for name, value in section.facts)
    yield from ("", f"{section.action}:", f"  {section.command}")
    if section.url:
        yield f"  {section.url}"
    yield from _part("Summary", section.summary)
    yield from _part("Links", (f"{label}: {url or '(not a web address)'}" for label, url in section.links))
    yield from _part("Labels", (f"{name} = {value}" for name, value in section.labels))
    yield ""


def _part(heading: str, lines: Iterator[str] | tuple[str, ...]) -> Iterator[str]:
    """A heading and its indented lines; nothing at all when there are none."""
    indented = [f"  {line}".rstrip() for line in lines]
    if indented:
        yield from ("", f"{heading}:", *indented)
