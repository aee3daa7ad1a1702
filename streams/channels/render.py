"""What a message says, independent of how it travels: subject, text, HTML and headers of one mail.

Written for an on-call engineer at 3 a.m. with a phone. The severity is not part of the subject although that is
where one looks first: mail programs build a thread from an unchanging subject, and a severity may change; it opens
the text instead, which phones show below the subject. Threading, headers and limits: RFC 5322 section 3.6.4,
RFC 3834, RFC 2076 and contract page 08. Read next: `sections` (what is said of an incident),
`summary` (of many), `text`, `markup`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime

from domain.recipients import team_of
from streams.channels.base import Message, PageLine
from streams.channels.markup import as_html
from streams.channels.sections import SHOWN_IN_FULL, Letter, section
from streams.channels.summary import LISTED, SERVICE_LIMIT, by_service, commands, headline, rank
from streams.channels.text import as_text
from streams.channels.untrusted import one_line

SUBJECT_LIMIT = 150
_TITLE_LIMIT = 95
_TITLES = 5
"""Different titles in the subject of several incidents."""
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail without its addresses; `headers` in order, the Message-ID among them, all values clean."""

    subject: str
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]
    message_id: str


def render(message: Message, domain: str, now: datetime) -> Rendered:
    """The mail for `message`. The same message renders the same Message-ID and thread on every attempt.

    Params:
        domain: right-hand side of the Message-ID (RFC 5322 section 3.6.4): a domain that is ours.
        now: aware; the Date, and what "5 min before this mail" counts from.
    """
    lines = by_urgency(message.lines)
    letter = Letter(
        title=subject(lines),
        sections=tuple(section(line, now) for line in lines[:LISTED]),
        possible_repeat=message.possible_repeat,
        counts=by_service(lines),
        more=len(lines[LISTED:]),
        commands=commands(lines),
    )
    own_id, root_id = message_ids(message, lines, domain)
    return Rendered(
        subject=letter.title,
        text=as_text(letter),
        html=as_html(letter),
        headers=tuple(_headers(message, lines, own_id, root_id, now)),
        message_id=own_id,
    )


def by_urgency(lines: tuple[PageLine, ...]) -> tuple[PageLine, ...]:
    """One line per incident, worst first. Two pages about one incident become one line with both reasons."""
    merged: dict[int, PageLine] = {}
    for line in lines:
        known = merged.get(line.number)
        if known is None:
            merged[line.number] = line
        elif line.why not in known.why:
            merged[line.number] = replace(known, why=f"{known.why}; {line.why}", first=known.first or line.first)
    return tuple(sorted(merged.values(), key=lambda line: (rank(line.severity), line.number)))


def subject(lines: tuple[PageLine, ...]) -> str:
    """`[INC-7] ServiceDown (payments)`, with `Re:` on what follows; several incidents: a count and their titles."""
    if len(lines) > 1:
        return _bundle_subject(lines)
    return stem(lines[0]) if lines[0].first else f"Re: {stem(lines[0])}"


def stem(line: PageLine) -> str:
    """The part of the subject that never changes, made only of what is constant for the incident's life."""
    title = _unencoded(one_line(line.title, _TITLE_LIMIT)) or "untitled"
    service = _unencoded(one_line(line.service, SERVICE_LIMIT))
    known = not service or service.casefold() in title.casefold()
    return f"[INC-{line.number}] {title}" if known else f"[INC-{line.number}] {title} ({service})"


def message_ids(message: Message, lines: tuple[PageLine, ...], domain: str) -> tuple[str, str | None]:
    """This mail's own Message-ID, and the one it answers (None for the first of a thread, and for a bundle).

    Derived, so that every attempt carries the same and receivers can drop a repeat. The opening time is in them
    because ids and numbers are derived too: a store that was emptied starts at INC-1 again, and its first page
    must not look like a copy of an old mail. A bundle belongs to no thread, or it would weld several into one.
    """
    whom = f"{reader(message.person_id)}.{_stamp(max(line.opened_at for line in lines))}"
    key = _NOT_IN_IDS.sub("-", message.key)
    if len(lines) > 1:
        return f"<bundle.{key}.{whom}@{domain}>", None
    root = f"<inc-{lines[0].number}.root.{whom}@{domain}>"
    return (root, None) if lines[0].first else (f"<inc-{lines[0].number}.{key}.{whom}@{domain}>", root)


def reader(person_id: str) -> str:
    """Whom a mail is for, as its Message-ID says it: a user and the channel of a team of the same name are two."""
    team = team_of(person_id)
    return f"u-{_NOT_IN_IDS.sub('-', person_id)}" if team is None else f"t-{_NOT_IN_IDS.sub('-', team)}"


def _headers(
    message: Message, lines: tuple[PageLine, ...], own_id: str, root_id: str | None, now: datetime
) -> list[tuple[str, str]]:
    worst = lines[0].severity
    headers = [("Date", format_datetime(now.astimezone(UTC))), ("Message-ID", own_id)]
    if root_id is not None:
        headers += [("In-Reply-To", root_id), ("References", root_id)]
    headers += [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")]
    if worst == "critical":
        headers += [("Importance", "high"), ("X-Priority", "1")]
    incidents = ", ".join(_NOT_IN_IDS.sub("-", line.incident_id) for line in lines[:SHOWN_IN_FULL])
    headers += [("X-Incident-Id", incidents), ("X-Severity", one_line(worst, 10))]
    headers += [("X-Delivery-Key", _NOT_IN_IDS.sub("-", message.key))]
    if message.possible_repeat:
        headers += [("X-Possible-Repeat", "yes")]
    return headers


def _bundle_subject(lines: tuple[PageLine, ...]) -> str:
    named = (_unencoded(one_line(line.title, _TITLE_LIMIT)) or f"INC-{line.number}" for line in lines[:LISTED])
    titles = ", ".join(list(dict.fromkeys(named))[:_TITLES])
    return one_line(f"{_unencoded(headline(lines))}: {titles}", SUBJECT_LIMIT)


def _unencoded(text: str) -> str:
    """Without the start of an RFC 2047 encoded word, which would be decoded, line breaks and all, by readers."""
    return text.replace("=?", "= ?")


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
