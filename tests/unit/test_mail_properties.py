"""Whatever a monitoring system writes, a mail is made, is one well-formed mail, and says only what we meant."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.channels.base import Message, PageLine
from streams.channels.email import compose
from streams.channels.render import SUBJECT_LIMIT, render, stem
from streams.channels.smtp import SmtpSettings

SETTINGS = SmtpSettings("mail.example.test", 587, "tocsin@example.test", "tocsin.example.test", sender_name='Ops "1" é')
HEADERS = {
    *("from", "to", "subject", "date", "message-id", "in-reply-to", "references", "auto-submitted", "importance"),
    *("x-auto-response-suppress", "x-priority", "x-incident-id", "x-severity", "x-delivery-key", "x-possible-repeat"),
    *("mime-version", "content-type"),
}
TAGS = {"html", "head", "meta", "title", "body", "div", "p", "span", "h1", "br", "hr", "a", "strong", "bdi"}
ATTRIBUTES = {"lang", "charset", "name", "content", "style", "dir", "href"}

NASTY = (
    *("\r\nBcc: eve@example.test\r\n", "\n\n.\r\n", "\x00", "\u2028", "\x85", "\ud800", "\u202e", "\ufeff"),
    *(
        "=?utf-8?q?=0D=0ABcc:_eve?=",
        "=?",
        "?=",
        "<script>",
        '" onload="x',
        "&#10;",
        "Re: ",
        "é",
        "日本",
        "🔥",
        " " * 90,
    ),
)
wild = st.lists(st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=()))).map("".join)
lines = st.builds(
    PageLine,
    incident_id=wild,
    number=st.integers(1, 10**6),
    title=wild,
    severity=st.sampled_from(("critical", "high", "medium", "low", "info")) | wild,
    status=st.sampled_from(("triggered", "acknowledged")) | wild,
    service=wild,
    team=wild,
    opened_at=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    loop=st.integers(1, 5),
    step=st.integers(1, 5),
    why=wild,
    summary=wild,
    labels=st.lists(st.tuples(wild, wild), max_size=3).map(tuple),
    links=st.lists(st.tuples(wild, wild | wild.map("https://example.test/".__add__)), max_size=3).map(tuple),
    public_url=st.none() | wild,
    first=st.booleans(),
)
messages = st.builds(
    Message,
    key=wild,
    to=st.just("ada@example.test"),
    person_id=wild,
    lines=st.lists(lines, min_size=1, max_size=3, unique_by=lambda line: line.number).map(tuple),
    attempt=st.integers(1, 9),
    possible_repeat=st.booleans(),
)


crowds = st.builds(
    lambda message, count: replace(
        message,
        lines=tuple(replace(message.lines[n % len(message.lines)], number=n) for n in range(1, count)),
    ),
    messages,
    st.integers(22, 300),
)
"""Messages of so many incidents that not all of them are named."""


class _Markup(HTMLParser):
    """Collects what an HTML reader would see as markup."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.targets += [value or "" for name, value in attrs if name == "href"]


def bytes_of(message: Message) -> bytes:
    rendered = render(message, SETTINGS.domain, datetime(2026, 3, 3, tzinfo=UTC))
    return compose(rendered, SETTINGS, message.to)


def received(message: Message) -> EmailMessage:
    return message_from_bytes(bytes_of(message), policy=default)


@given(messages)
def test_it_travels_through_any_server(message: Message) -> None:
    content = bytes_of(message)

    assert content.isascii()
    assert b"\0" not in content
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", content) is None
    assert max(map(len, content.split(b"\r\n"))) <= 998  # RFC 5322 section 2.1.1


@given(messages)
def test_there_are_no_headers_but_ours_and_each_once(message: Message) -> None:
    mail = received(message)
    names = [name.lower() for name in mail.keys()]  # noqa: SIM118

    assert set(names) <= HEADERS
    assert len(names) == len(set(names))
    assert mail["To"] == "ada@example.test"
    assert mail["From"].addresses[0].addr_spec == "tocsin@example.test"
    assert [defect for part in mail.walk() for defect in part.defects] == []


@given(messages)
def test_the_reader_gets_the_subject_and_bodies_that_were_written(message: Message) -> None:
    rendered = render(message, SETTINGS.domain, datetime(2026, 3, 3, tzinfo=UTC))
    mail = received(message)

    assert mail["Subject"] == rendered.subject
    assert len(rendered.subject) <= SUBJECT_LIMIT
    assert mail["Message-ID"] == rendered.message_id
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n") == rendered.text
    assert mail.get_body(("html",)).get_content().replace("\r\n", "\n") == rendered.html


@given(lines, st.sampled_from(("low", "critical")), wild, st.text(alphabet="abc-", min_size=1))
def test_a_thread_keeps_its_stem_and_its_root(line: PageLine, severity: str, why: str, key: str) -> None:
    root = received(Message("k", "ada@example.test", "ada", (replace(line, first=True),)))
    later = replace(line, first=False, severity=severity, why=why, summary=why, loop=4, status="acknowledged")
    follow_up = received(Message(key, "ada@example.test", "ada", (later,), attempt=2, possible_repeat=True))

    assert root["Subject"] == stem(line)
    assert follow_up["Subject"] == f"Re: {stem(line)}"
    assert follow_up["In-Reply-To"] == follow_up["References"] == root["Message-ID"]
    assert root["In-Reply-To"] is None


@given(messages)
def test_the_html_has_no_markup_but_ours(message: Message) -> None:
    markup = _Markup(received(message).get_body(("html",)).get_content())

    assert markup.tags <= TAGS
    assert markup.attributes <= ATTRIBUTES
    assert all(target.startswith(("http://", "https://")) for target in markup.targets)


@settings(max_examples=20)
@given(crowds)
def test_of_many_incidents_too(message: Message) -> None:
    content = bytes_of(message)
    mail = received(message)
    markup = _Markup(mail.get_body(("html",)).get_content())

    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert {name.lower() for name in mail.keys()} <= HEADERS  # noqa: SIM118
    assert markup.tags <= TAGS
    assert markup.attributes <= ATTRIBUTES
    assert len(mail["Subject"]) <= SUBJECT_LIMIT
