"""The HTML of a mail: the same content as the text, laid out for a phone.

Inline styles only (mail programs drop style sheets), no images, scripts or anything else fetched from elsewhere, and
no colours of its own for text and background, so that a dark screen stays dark; what is coloured brings both. Every
value passes `escape`. An address is shown as itself, never hidden behind somebody else's words.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from streams.channels.sections import REPEAT_NOTICE, Letter, Section

_BADGES = {"critical": "#b3261e", "high": "#a84300", "medium": "#7a5b00", "low": "#1f5fa6", "info": "#5a6068"}
_FONT = "font:16px/1.5 -apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:14px"
_BREAK = "overflow-wrap:anywhere;word-break:break-word"
_QUIET = "color:#767676"
_BOX = f"{_MONO};{_BREAK};border:1px solid #767676;border-radius:6px;padding:8px 12px;margin:8px 0"
_BUTTON = (
    "display:inline-block;background:#1f5fa6;color:#ffffff;text-decoration:none;font-weight:600;"
    "border-radius:6px;padding:12px 20px;margin:8px 0"
)
_REPEAT = f'<p style="border-left:4px solid #a84300;padding-left:12px">{escape(REPEAT_NOTICE)}</p>'
_RULE = '\n<hr style="border:0;border-top:1px solid #767676;margin:24px 0">\n'


def as_html(letter: Letter) -> str:
    """`letter` as one self-contained HTML page."""
    parts = [_overview(letter) if len(letter.sections) > 1 else ""]
    for place, section in enumerate(letter.in_full):
        parts.append(_section(section, _REPEAT if letter.possible_repeat and place == 0 else ""))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
        f"<title>{escape(letter.title)}</title></head>\n"
        f'<body style="margin:0;padding:16px;{_FONT}"><div style="max-width:600px;margin:0 auto">\n'
        + _RULE.join(filter(None, parts))
        + "\n</div></body></html>\n"
    )


def _overview(letter: Letter) -> str:
    counts = "".join(f"<bdi>{escape(line)}</bdi><br>" for line in letter.counts)
    rows = "".join(
        f'<p style="margin:4px 0">{_badge(section)} {section.number} '
        f'<bdi style="{_BREAK}">{escape(section.title)}</bdi></p>'
        for section in letter.sections
    )
    more = f'<p style="margin:8px 0">and {letter.more:,} more</p>' if letter.more else ""
    commands = "".join(_command(what, command) for what, command in letter.commands)
    return f"<div>{f'<p>{counts}</p>' if counts else ''}{rows}{more}{commands}</div>"


def _section(section: Section, notice: str) -> str:
    facts = "".join(f"{_quiet(name)}<bdi>{escape(value)}</bdi><br>" for name, value in section.facts)
    return "\n".join(
        (
            "<div>",
            f'<p style="margin:0">{_badge(section)} {section.number} · {escape(section.status)}</p>',
            f'<h1 dir="auto" style="font-size:20px;line-height:1.3;margin:8px 0;{_BREAK}">{escape(section.title)}</h1>',
            notice,
            f'<p style="margin:8px 0;{_BREAK}">{facts}</p>',
            _action(section),
            _summary(section),
            _part("Links", (_link(label, url) for label, url in section.links)),
            _part("Labels", (f"{_quiet(name)}<bdi>{escape(value)}</bdi>" for name, value in section.labels)),
            "</div>",
        )
    )


def _action(section: Section) -> str:
    if section.url is None:
        return _command(section.action, section.command)
    words = f"Open {section.number} to {section.action.lower()}"
    return f'<a href="{escape(section.url)}" style="{_BUTTON}">{words}</a>{_box(section.command)}'


def _command(what: str, command: str) -> str:
    return f'<p style="margin:16px 0 0">{what}:</p>{_box(command)}'


def _box(command: str) -> str:
    return f'<div style="{_BOX}">{escape(command)}</div>'


def _summary(section: Section) -> str:
    if not section.summary:
        return ""
    return f'<p dir="auto" style="margin:16px 0;{_BREAK}">{"<br>".join(map(escape, section.summary))}</p>'


def _part(heading: str, rows: Iterable[str]) -> str:
    """A heading and its rows; nothing at all when there are none."""
    listed = "".join(f'<div style="margin:4px 0;{_BREAK}">{row}</div>' for row in rows)
    return f'<div style="margin:16px 0"><strong>{heading}</strong>{listed}</div>' if listed else ""


def _link(label: str, url: str | None) -> str:
    if url is None:
        return f"{_quiet(label)}(not a web address)"
    shown = url if len(url) <= 80 else f"{url[:79]}…"
    return f'{_quiet(label)}<a href="{escape(url)}" style="color:inherit">{escape(shown)}</a>'


def _quiet(name: str) -> str:
    return f'<span style="{_QUIET}"><bdi>{escape(name)}</bdi>: </span>'


def _badge(section: Section) -> str:
    colour = _BADGES.get(section.severity, _BADGES["info"])
    return (
        f'<span style="background:{colour};color:#ffffff;font-weight:600;border-radius:4px;padding:2px 8px">'
        f"{escape(section.severity.upper())}</span>"
    )
