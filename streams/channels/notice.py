"""What a notice says: Tocsin about itself, in a few lines, to people who can do something about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape

from streams.channels.base import Notice
from streams.channels.render import SUBJECT_LIMIT, Rendered, reader
from streams.channels.untrusted import block, one_line

TEXT_LIMIT = 10_000
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_FONT = "font:16px/1.5 -apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"


def render_notice(notice: Notice, domain: str, now: datetime) -> Rendered:
    """The mail for `notice`; the same Message-ID on every attempt. See `render.render` for the parameters."""
    title = one_line(notice.title, SUBJECT_LIMIT)
    lines = block(notice.text, TEXT_LIMIT)
    key = _NOT_IN_IDS.sub("-", notice.key)
    message_id = f"<notice.{key}.{reader(notice.person_id)}@{domain}>"
    return Rendered(
        subject=title,
        text="\n".join((title, "", *lines)) + "\n",
        html=_html(title, lines),
        headers=(
            ("Date", format_datetime(now.astimezone(UTC))),
            ("Message-ID", message_id),
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
            ("Importance", "high"),
            ("X-Priority", "1"),
            ("X-Delivery-Key", key),
        ),
        message_id=message_id,
    )


def _html(title: str, lines: tuple[str, ...]) -> str:
    paragraphs = "".join(f"<p>{escape(line)}</p>\n" for line in lines if line)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title></head>\n'
        f'<body style="margin:0;padding:16px;{_FONT}"><div style="max-width:600px;margin:0 auto">\n'
        f'<h1 style="font-size:20px;line-height:1.3">{escape(title)}</h1>\n{paragraphs}</div></body></html>\n'
    )
