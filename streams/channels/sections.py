"""What is said about one incident, cleaned once, before any medium lays it out.

The order is the order of questions of somebody just woken up: what is it, how bad, since when, why me, what do I
do, and only then the details. Read next: `text` and `markup`, which lay out a `Letter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from streams.channels.base import PageLine
from streams.channels.untrusted import block, one_line, web_url

SHOWN_IN_FULL = 20
"""Incidents of one mail that are shown in full; others are named in the list at its top, or only counted."""

_SUMMARY_LIMIT = 2_000
_MAX_LINKS = 10
_MAX_LABELS = 30


@dataclass(frozen=True, slots=True)
class Section:
    """One incident; every text is clean of control characters and clipped, none is escaped for a medium.

    Params:
        facts: (name, value) pairs, e.g. ("Since", "03:12 UTC, Tue 3 Mar 2026").
        action: what the command line below it does, e.g. "Acknowledge".
        links: (label, url) pairs; the url is None when it may not be followed.
    """

    number: str
    title: str
    severity: str
    status: str
    facts: tuple[tuple[str, str], ...]
    action: str
    command: str
    url: str | None
    summary: tuple[str, ...]
    links: tuple[tuple[str, str | None], ...]
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """A whole mail before layout.

    Params:
        title: its subject.
        sections: the incidents that it names, worst first.
        counts: a line to a service; empty for few incidents.
        more: how many incidents it does not name.
        commands: (what it does, command line) for many at once.
    """

    title: str
    sections: tuple[Section, ...]
    possible_repeat: bool
    counts: tuple[str, ...] = ()
    more: int = 0
    commands: tuple[tuple[str, str], ...] = ()

    @property
    def in_full(self) -> tuple[Section, ...]:
        """The sections with all their details; the list at the top of a bundle names the others too."""
        return self.sections[:SHOWN_IN_FULL]


REPEAT_NOTICE = "Possible repeat: an earlier copy of this message may have reached you."


def section(line: PageLine, now: datetime) -> Section:
    """The cleaned content of `line`; `now` (aware) only to say how long before this mail it began."""
    number = f"INC-{line.number}"
    action, verb = ("Acknowledge", "ack") if line.status == "triggered" else ("See details", "show")
    return Section(
        number=number,
        title=one_line(line.title, 200) or "untitled",
        severity=one_line(line.severity, 10),
        status=one_line(line.status, 20).replace("_", " "),
        facts=_facts(line, now),
        action=action,
        command=f"tocsin {verb} {number}",
        url=web_url(line.public_url) if line.public_url else None,
        summary=block(line.summary, _SUMMARY_LIMIT),
        links=tuple(_links(line)),
        labels=tuple((one_line(name, 60), one_line(value, 200)) for name, value in line.labels[:_MAX_LABELS]),
    )


def _facts(line: PageLine, now: datetime) -> tuple[tuple[str, str], ...]:
    opened = line.opened_at.astimezone(UTC)
    since = f"{opened:%H:%M} UTC, {opened:%a} {opened.day} {opened:%b %Y} ({_age(opened, now)})"
    facts = (
        ("Since", since),
        ("Service", one_line(line.service, 100)),
        ("Team", one_line(line.team, 100)),
        ("Why you", one_line(line.why, 300)),
        ("Flapping", one_line(line.flapping, 300)),
    )
    return tuple((name, value) for name, value in facts if value)


def _age(opened: datetime, now: datetime) -> str:
    """How long before the mail, in the largest unit that says enough: minutes, then hours, then days."""
    minutes = int((now - opened).total_seconds() // 60)
    if minutes < 1:
        return "just before this mail"
    if minutes < 120:
        return f"{minutes} min before this mail"
    hours = minutes // 60
    return f"{hours} h before this mail" if hours < 48 else f"{hours // 24} days before this mail"


def _links(line: PageLine) -> list[tuple[str, str | None]]:
    """Runbooks first: at 3 a.m. the instructions come before the graphs."""
    links = [(one_line(label, 60) or "Link", web_url(url)) for label, url in line.links[:_MAX_LINKS]]
    return sorted(links, key=lambda link: "runbook" not in link[0].casefold())
