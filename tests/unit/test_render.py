"""What the mail of a page says, told as what ada sees on her phone at 3 a.m."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.channels.base import Message, PageLine
from streams.channels.render import SUBJECT_LIMIT, Rendered, render, stem

NOW = datetime(2026, 3, 3, 3, 17, tzinfo=UTC)
OUTAGE = PageLine(
    incident_id="0c6f1f6f-0000-5000-8000-000000000007",
    number=7,
    title="ServiceDown",
    severity="critical",
    status="triggered",
    service="payments",
    team="platform",
    opened_at=datetime(2026, 3, 3, 3, 12, tzinfo=UTC),
    loop=1,
    step=2,
    why="step 2 of policy platform-default, nobody acknowledged in 5 min",
    summary="No answer for 3 min.\nCustomers cannot pay.",
    labels=(("alertname", "ServiceDown"), ("instance", "api-1:9090")),
    links=(("Graph", "https://graphs.example.test/d/1"), ("Runbook", "https://wiki.example.test/payments")),
    public_url="https://tocsin.example.test/incidents/INC-7",
)
DISK = replace(OUTAGE, number=9, title="DiskFull", severity="medium", service="db", incident_id="incident-9")
LATENCY = replace(OUTAGE, number=8, title="HighLatency", severity="high", service="web", incident_id="incident-8")


def mail(*lines: PageLine, key: str = "d-1", **changes: Any) -> Rendered:
    message = Message(key=key, to="ada@example.test", person_id="ada", lines=lines or (OUTAGE,))
    return render(replace(message, **changes), "tocsin.example.test", NOW)


def header(rendered: Rendered, name: str) -> str | None:
    return dict(rendered.headers).get(name)


# One incident


def test_the_text_answers_the_questions_in_the_order_they_are_asked() -> None:
    assert mail().text == (
        "CRITICAL · INC-7 · triggered\n"
        "ServiceDown\n"
        "\n"
        "Since: 03:12 UTC, Tue 3 Mar 2026 (5 min before this mail)\n"
        "Service: payments\n"
        "Team: platform\n"
        "Why you: step 2 of policy platform-default, nobody acknowledged in 5 min\n"
        "\n"
        "Acknowledge:\n"
        "  tocsin ack INC-7\n"
        "  https://tocsin.example.test/incidents/INC-7\n"
        "\n"
        "Summary:\n"
        "  No answer for 3 min.\n"
        "  Customers cannot pay.\n"
        "\n"
        "Links:\n"
        "  Runbook: https://wiki.example.test/payments\n"
        "  Graph: https://graphs.example.test/d/1\n"
        "\n"
        "Labels:\n"
        "  alertname = ServiceDown\n"
        "  instance = api-1:9090\n"
    )


def test_what_is_not_known_is_not_mentioned() -> None:
    bare = replace(OUTAGE, service="", team="", summary="", labels=(), links=(), public_url=None)

    assert mail(bare).text == (
        "CRITICAL · INC-7 · triggered\n"
        "ServiceDown\n"
        "\n"
        "Since: 03:12 UTC, Tue 3 Mar 2026 (5 min before this mail)\n"
        "Why you: step 2 of policy platform-default, nobody acknowledged in 5 min\n"
        "\n"
        "Acknowledge:\n"
        "  tocsin ack INC-7\n"
    )


def test_the_html_says_the_same_and_fetches_nothing() -> None:
    html = mail().html

    for words in ("CRITICAL", "INC-7", "ServiceDown", "Customers cannot pay.", "tocsin ack INC-7", "api-1:9090"):
        assert words in html
    assert '<a href="https://tocsin.example.test/incidents/INC-7"' in html
    assert html.index("wiki.example.test") < html.index("graphs.example.test")
    for fetched in ("<img", "<script", "<link", "<style", "src=", "url("):
        assert fetched not in html


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "just before this mail"),
        (1, "1 min before this mail"),
        (119, "119 min before this mail"),
        (120, "2 h before this mail"),
        (60 * 24 * 3, "3 days before this mail"),
    ],
)
def test_an_old_incident_is_told_from_a_new_one(minutes: int, words: str) -> None:
    assert words in mail(replace(OUTAGE, opened_at=NOW - timedelta(minutes=minutes))).text


def test_an_acknowledged_incident_is_not_to_be_acknowledged_again() -> None:
    text = mail(replace(OUTAGE, status="in_progress")).text

    assert text.startswith("CRITICAL · INC-7 · in progress\n")
    assert "tocsin show INC-7" in text
    assert "ack INC-7" not in text


def test_a_possible_repeat_is_said_in_the_body_and_a_header_but_does_not_leave_the_thread() -> None:
    once, again = mail(), mail(possible_repeat=True, attempt=2)

    assert "Possible repeat: an earlier copy of this message may have reached you." in again.text
    assert "Possible repeat" in again.html
    assert header(again, "X-Possible-Repeat") == "yes"
    assert (again.subject, again.message_id) == (once.subject, once.message_id)
    assert "repeat" not in once.text.casefold()
    assert header(once, "X-Possible-Repeat") is None


# The thread


def test_the_first_mail_is_the_root_and_what_follows_answers_it() -> None:
    root, follow_up = mail(), mail(replace(OUTAGE, first=False), key="d-2")

    assert root.message_id == "<inc-7.root.u-ada.20260303T031200Z@tocsin.example.test>"
    assert header(root, "In-Reply-To") is None
    assert follow_up.message_id == "<inc-7.d-2.u-ada.20260303T031200Z@tocsin.example.test>"
    assert header(follow_up, "In-Reply-To") == header(follow_up, "References") == root.message_id
    assert (root.subject, follow_up.subject) == ("[INC-7] ServiceDown (payments)", "Re: [INC-7] ServiceDown (payments)")


def test_the_stem_stays_when_severity_status_and_step_change() -> None:
    later = replace(OUTAGE, severity="low", status="acknowledged", step=4, loop=3, why="x", summary="y", first=False)

    assert stem(later) == stem(OUTAGE)


def test_every_attempt_has_the_same_message_id_and_every_delivery_its_own() -> None:
    follow_up = replace(OUTAGE, first=False)

    assert mail(follow_up, key="d-2").message_id == mail(follow_up, key="d-2", attempt=5).message_id
    assert mail(follow_up, key="d-2").message_id != mail(follow_up, key="d-3").message_id


def test_two_people_have_two_threads() -> None:
    assert mail().message_id != mail(person_id="grace").message_id


def test_the_channel_of_a_team_has_a_thread_of_its_own() -> None:
    same_name = {mail(person_id=name).message_id for name in ("team:search", "search", "team-search")}
    assert len(same_name) == 3


def test_inc_7_of_an_emptied_store_is_not_taken_for_a_copy_of_the_old_one() -> None:
    a_week_later = replace(OUTAGE, opened_at=OUTAGE.opened_at + timedelta(days=7))

    assert mail().message_id != mail(a_week_later).message_id


def test_the_service_is_not_repeated_when_the_title_names_it() -> None:
    assert stem(replace(OUTAGE, title="Payments is down")) == "[INC-7] Payments is down"


# For mail programs


def test_only_critical_is_marked_important() -> None:
    assert (header(mail(), "Importance"), header(mail(), "X-Priority")) == ("high", "1")
    assert header(mail(LATENCY), "Importance") is None


def test_headers_for_filters_and_against_answering_machines() -> None:
    rendered = mail()

    assert header(rendered, "X-Incident-Id") == OUTAGE.incident_id
    assert header(rendered, "X-Severity") == "critical"
    assert header(rendered, "X-Delivery-Key") == "d-1"
    assert header(rendered, "Auto-Submitted") == "auto-generated"
    assert header(rendered, "X-Auto-Response-Suppress") == "All"
    assert header(rendered, "Date") == "Tue, 03 Mar 2026 03:17:00 +0000"


# Several incidents in one mail


def test_several_incidents_come_worst_first_under_a_summary() -> None:
    rendered = mail(DISK, LATENCY, OUTAGE)

    assert rendered.subject == "3 incidents in 3 services, 1 critical: ServiceDown, HighLatency, DiskFull"
    assert rendered.text.startswith(
        "CRITICAL · INC-7 · triggered: ServiceDown\n"
        "HIGH · INC-8 · triggered: HighLatency\n"
        "MEDIUM · INC-9 · triggered: DiskFull\n"
    )
    assert [f"tocsin ack INC-{number}" in rendered.text for number in (7, 8, 9)] == [True] * 3
    assert header(rendered, "X-Severity") == "critical"
    assert header(rendered, "X-Incident-Id") == f"{OUTAGE.incident_id}, incident-8, incident-9"


def test_a_bundle_is_a_thread_of_its_own() -> None:
    rendered = mail(replace(DISK, first=False), OUTAGE)

    assert rendered.message_id.startswith("<bundle.d-1.u-ada.")
    assert header(rendered, "References") is None
    assert not rendered.subject.startswith("Re:")


def test_two_pages_about_one_incident_are_one_incident_with_two_reasons() -> None:
    rendered = mail(OUTAGE, replace(OUTAGE, why="you are a manager of platform"))

    assert rendered.subject == "[INC-7] ServiceDown (payments)"
    assert "nobody acknowledged in 5 min; you are a manager of platform" in rendered.text


def disks(count: int, **changes: Any) -> list[PageLine]:
    return [replace(DISK, number=number, title=f"Disk {number}", **changes) for number in range(100, 100 + count)]


def test_a_storm_in_one_service_is_one_sentence_and_one_command() -> None:
    storm = [replace(line, severity="critical") for line in disks(3)] + disks(214)[3:]
    rendered = mail(*storm)

    assert rendered.subject == "214 incidents in db, 3 critical: Disk 100, Disk 101, Disk 102, Disk 103, Disk 104"
    assert rendered.text.startswith("db: 3 critical, 211 medium\n\nCRITICAL · INC-100 · triggered: Disk 100\n")
    assert (
        "MEDIUM · INC-149 · triggered: Disk 149\n"
        "and 164 more\n"
        "\n"
        "List them:\n"
        "  tocsin list --limit 200 --service db\n"
        "\n"
        "Acknowledge all of the service:\n"
        "  tocsin ack --service db\n"
    ) in rendered.text
    assert rendered.text.count("Acknowledge:") == 20


def test_a_storm_over_many_services_is_counted_by_service_the_worst_first() -> None:
    storm = [replace(DISK, number=number, service=f"svc-{number % 40:02}") for number in range(100, 10_100)]
    rendered = mail(*storm, OUTAGE, replace(LATENCY, service=""))

    assert rendered.subject.startswith("10,002 incidents in 42 services, 1 critical: ServiceDown, HighLatency, D")
    assert rendered.text.startswith("payments: 1 critical\nno service: 1 high\nsvc-00: 250 medium\n")
    assert "svc-17: 250 medium\n22 more services: 5,500 medium\n\nCRITICAL · INC-7" in rendered.text
    assert "tocsin list --limit 200 --team platform\n" in rendered.text
    assert "tocsin ack --service payments\n" in rendered.text
    assert "9,952 more" in rendered.html
    assert "svc-00: 250 medium" in rendered.html
    assert len(rendered.text) < 20_000
    assert len(rendered.html) < 60_000


def test_of_services_that_are_as_bad_the_one_with_more_comes_first() -> None:
    text = mail(*disks(20, service="blog"), *(replace(line, number=line.number + 50) for line in disks(21))).text

    assert text.startswith("db: 21 medium\nblog: 20 medium\n")


def test_one_title_is_said_once_in_the_subject() -> None:
    assert mail(*disks(2), DISK, replace(DISK, number=10)).subject.endswith("4 medium: DiskFull, Disk 100, Disk 101")


def test_a_service_that_is_no_word_is_quoted_or_left_out_of_commands() -> None:
    quoted = mail(*disks(60, service="my db")).text
    hostile = mail(*disks(60, service="--help")).text

    assert "tocsin ack --service 'my db'\n" in quoted
    assert "ack --service" not in hostile
    assert "tocsin list --limit 200 --team platform\n" in hostile


# What others wrote


def test_a_title_cannot_add_a_header_or_a_line() -> None:
    rendered = mail(replace(OUTAGE, title="down\r\nBcc: eve@example.test\r\n\r\nHello"))

    assert rendered.subject == "[INC-7] down Bcc: eve@example.test Hello (payments)"
    assert all("\n" not in value and "\r" not in value for _, value in rendered.headers)


def test_an_encoded_word_in_a_title_is_not_decoded_into_line_breaks() -> None:
    assert "=?" not in mail(replace(OUTAGE, title="=?utf-8?q?a=0D=0ABcc=3A_eve?=")).subject


def test_a_title_cannot_read_backwards() -> None:
    assert mail(replace(OUTAGE, title="\u202enwod\u202c")).subject == "[INC-7] nwod (payments)"


def test_markup_is_shown_not_obeyed() -> None:
    html = mail(replace(OUTAGE, title="<b>", summary="<script>x</script>", labels=(('a"b', "<i>"),))).html

    assert "<script" not in html
    assert "&lt;script&gt;x&lt;/script&gt;" in html
    assert "a&quot;b" in html
    assert "&lt;i&gt;" in html


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//example.test",
        "https://",
        "https://[bad",
        "https://example.test/a b",
        "https://example.test/\nX-Header: 1",
        'https://example.test/"onclick="x',
        "https://example.test/\u202egnp",
        "https://example.test/" + "a" * 5_000,
    ],
)
def test_only_web_addresses_become_links(url: str) -> None:
    rendered = mail(replace(OUTAGE, links=(("Dashboard", url),), public_url=url))

    assert "href" not in rendered.html
    assert "Dashboard: (not a web address)" in rendered.text


def test_a_megabyte_is_clipped() -> None:
    huge = "x" * 1_000_000
    rendered = mail(
        replace(
            OUTAGE, title=huge, service="y" * 1_000_000, team=huge, why=huge, summary=huge, labels=((huge, huge),) * 500
        )
    )

    assert len(rendered.subject) <= SUBJECT_LIMIT
    assert len(rendered.text) < 20_000
    assert rendered.subject.count("…") == 2
    assert mail(replace(OUTAGE, summary="a line\n" * 1_000)).text.count("a line") == 40


def test_an_empty_title_still_makes_a_subject() -> None:
    assert mail(replace(OUTAGE, title="\x00\r\n")).subject == "[INC-7] untitled (payments)"


def test_a_message_needs_a_page_and_times_need_a_zone() -> None:
    with pytest.raises(ValueError, match="at least one page"):
        Message(key="d-1", to="ada@example.test", person_id="ada", lines=())
    with pytest.raises(ValueError, match="time zone"):
        mail(replace(OUTAGE, opened_at=datetime(2026, 3, 3)))  # noqa: DTZ001
