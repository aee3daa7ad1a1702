"""Events in words: what people read in a timeline."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain import answers, belonging, changes, erasing, escalations, groups, incidents, intake, pages
from domain.config import Policy, Step, Target, User
from domain.decision import Actor, PayloadRef
from domain.escalations import Notified
from domain.events import EVENT_TYPES, Event
from domain.severity import Severity
from domain.spans import span
from projections.sentences import First, plain, sentence
from tests.projecting import ADA, ALERT, AM, INCIDENT, PAGER, POLICY, PRIOR, T0, fired, log, opened, resolved

STARTED = escalations.Started(INCIDENT, 1, POLICY, T0, "r-1")
QUEUED = pages.Queued("escalation-1", INCIDENT, 2, 1, "ada", "email")
TEXT = PayloadRef("comment/1", "00")
AFTER = T0 + timedelta(seconds=1)
"""When the single event of a log here was decided."""


def notified(*people: tuple[str, str]) -> tuple[Notified, ...]:
    return tuple(Notified("user:x", user, method, "page-1") for user, method in people)


def said(event: Event, actor: Actor = PAGER, first: First = None) -> str:
    (recorded,) = log([("stream-1", event, actor)])
    return sentence(recorded, first)


INCIDENTS: list[tuple[Event, Actor, str]] = [
    (opened(), AM, "INC-7 opened for team platform with severity high"),
    (incidents.SeverityChanged(Severity.HIGH, Severity.CRITICAL, ALERT), AM,
     "severity raised from high to critical by an alert"),
    (incidents.SeverityChanged(Severity.HIGH, Severity.LOW), ADA, "severity lowered from high to low by ada"),
    (incidents.Acknowledged(), ADA, "ada acknowledged"),
    (incidents.Unacknowledged(), ADA, "ada gave it back: it escalates again"),
    (incidents.Started(), ADA, "ada started to work on it"),
    (incidents.Resolved("alerts_ended"), AM, "resolved: its last alert ended"),
    (incidents.Resolved("person"), ADA, "ada resolved it"),
    (incidents.Reopened(), ADA, "ada reopened it: it escalates again"),
    (incidents.Reannounced("released"), PAGER,
     "announced again: what suppressed its alerts has ended, and it is not over"),
    (incidents.Reannounced("repeat_interval"), PAGER,
     "announced again: everybody was told, nobody answered, and it is not over"),
    (incidents.Reannounced("unmerged"), ADA,
     "announced again: it is an incident of its own again, and it is not over"),
    (belonging.GroupAttached("group-1", 1, "person", "incident-1"), ADA, "ada attached an alert group to it"),
    (belonging.GroupAttached("group-1", 1, "correlation", None, "kin", "payments depends on ledger"), AM,
     "an alert group belongs to it by rule kin: payments depends on ledger"),
    (belonging.GroupDetached("group-1", 1, "incident-1", 8), ADA,
     "ada detached an alert group from it: that belongs to INC-8 now"),
    (belonging.AlertsSplit(("a",), "group-1", "incident-1", 8), ADA,
     "ada split an alert off: INC-8 is about that now"),
    (belonging.AlertsSplit(("a", "b"), "group-1", "incident-1", 8), ADA,
     "ada split 2 alerts off: INC-8 is about that now"),
    (belonging.Merged("incident-1", 8), ADA, "ada merged it into INC-8"),
    (belonging.Unmerged("incident-1", 8, "triggered", ()), ADA, "ada took it out of INC-8 again"),
    (belonging.Absorbed("incident-1", 8, ()), ADA, "ada merged INC-8 into it"),
    (belonging.Parted("incident-1", 8, ()), ADA, "ada took INC-8 out of it again"),
    (incidents.Assigned(("grace", "ada")), ADA, "ada assigned it to grace, ada"),
    (incidents.Assigned(()), PAGER, "Tocsin assigned it to nobody"),
    (incidents.Commented(TEXT), ADA, "ada commented"),
]  # fmt: skip

ESCALATIONS: list[tuple[Event, str]] = [
    (escalations.Started(INCIDENT, 1, POLICY, AFTER, "r-1"), "escalation by policy default began"),
    (escalations.Started(INCIDENT, 1, POLICY, AFTER + timedelta(seconds=30), "r-1"),
     "escalation by policy default began; its first step runs in 30 s"),
    (escalations.StepNotified(1, 1, T0, notified(("ada", "email")), T0), "step 1: ada paged by email"),
    (escalations.StepNotified(1, 2, T0, notified(("grace", "email")), T0),
     "escalated to step 2: grace paged by email"),
    (escalations.StepNotified(2, 1, T0, notified(("ada", "email"), ("ada", "sms")), T0),
     "escalated to step 1 of round 2: ada paged by email, ada paged by sms"),
    (escalations.StepSkipped(1, 1, T0, "nobody_reachable", T0),
     "nobody could be reached in step 1: primary of platform"),
    (escalations.StepSkipped(2, 2, T0, "nobody_reachable", T0),
     "nobody could be reached in step 2 of round 2: grace"),
    (escalations.StepDelayed(1, 2, AFTER - timedelta(minutes=12), "stale"),
     "step 2 runs 12 min late; later steps wait from now"),
    (escalations.Stopped("acknowledged"), "escalation stopped: acknowledged"),
    (escalations.Stopped("acknowledged", ("page-1",)), "escalation stopped: acknowledged while a page was on the way"),
    (escalations.Stopped("resolved", ("page-1", "page-2")),
     "escalation stopped: resolved while 2 pages were on the way"),
    (escalations.Exhausted(T0), "policy default is exhausted: every step has run and nobody acknowledged"),
]  # fmt: skip

PAGES: list[tuple[Event, str]] = [
    (QUEUED, "page to ada by email queued (step 1, round 2)"),
    (pages.Sent("d", 1, possible_repeat=False), "page to ada by email sent (step 1, round 2)"),
    (pages.Sent("d", 2, possible_repeat=True),
     "page to ada by email sent (step 1, round 2, attempt 2, possibly a repeat)"),
    (pages.Failed("d", 8, "recipient: 550"),
     "page to ada by email failed (step 1, round 2, attempt 8): recipient: 550"),
    (pages.Unknown("d", 1, "claim_expired"),
     "page to ada by email may or may not have arrived (step 1, round 2, attempt 1): claim_expired"),
    (pages.Cancelled("resolved"), "page to ada by email cancelled (step 1, round 2): resolved"),
]  # fmt: skip

WHICH = (ALERT, "alertmanager", "955b3f2e0c1d4a77", 1, INCIDENT)
EXPIRED = groups.AlertExpired(ALERT, "alertmanager", "955b3f2e0c1d4a77", 1, INCIDENT, T0, 9, T0, PRIOR)
OTHERS: list[tuple[Event, str]] = [
    (fired(groups.AlertFired, None), "alert ServiceDown (fingerprint 955b3f2e0c1d4a77) fires"),
    (fired(groups.AlertRefired, PRIOR), "alert ServiceDown (fingerprint 955b3f2e0c1d4a77) fires again"),
    (resolved(), "alert with fingerprint 955b3f2e0c1d4a77 ended"),
    (EXPIRED, "alert with fingerprint 955b3f2e0c1d4a77 expired: not heard of since 2026-03-03 03:00:00 UTC"),
    (
        replace(EXPIRED, ends_at=T0),
        "alert with fingerprint 955b3f2e0c1d4a77 expired: not heard of since 2026-03-03 03:00:00 UTC, and to end at"
        " 2026-03-03 03:00:00 UTC by its last word",
    ),
    (
        groups.AlertSuppressed(*WHICH, "maintenance_window", "upgrade", T0, None, None, "{}:{}", TEXT, None),
        "alert with fingerprint 955b3f2e0c1d4a77 is suppressed by maintenance window upgrade"
        " until 2026-03-03 03:00:00 UTC",
    ),
    (
        groups.AlertReleased(*WHICH, "silence", "night", TEXT, PRIOR),
        "alert with fingerprint 955b3f2e0c1d4a77 is not suppressed by silence night any more",
    ),
    (
        groups.AlertSeverityChanged(*WHICH, Severity.LOW, T0, T0, "r-9", TEXT, "cd" * 32, PRIOR),
        "alert with fingerprint 955b3f2e0c1d4a77 is low now",
    ),
    (
        groups.AlertFlapping(*WHICH, 5, 600.0),
        "alert with fingerprint 955b3f2e0c1d4a77 is flapping: it changed 5 times in 10 min",
    ),
    (answers.AlertAcknowledged(*WHICH, PRIOR), "Tocsin acknowledged alert with fingerprint 955b3f2e0c1d4a77"),
    (answers.AlertUnacknowledged(*WHICH, PRIOR), "Tocsin gave alert with fingerprint 955b3f2e0c1d4a77 back"),
    (answers.AlertClosed(*WHICH, T0, PRIOR), "Tocsin resolved alert with fingerprint 955b3f2e0c1d4a77"),
    (belonging.AlertLeft(*WHICH, "group-1", PRIOR),
     "alert with fingerprint 955b3f2e0c1d4a77 is part of another incident now"),
    (belonging.AlertJoined(*WHICH, "group-1"),
     "alert with fingerprint 955b3f2e0c1d4a77 was part of another incident before"),
    (belonging.Moved(2, INCIDENT, "incident-1"), "episode 2 of the alert group moved from one incident to another"),
    (groups.EpisodeOpened(2, INCIDENT, "{}:{}", (), "{}", "", "platform", "default"),
     "episode 2 of the alert group began"),
    (changes.ObjectPut(User("ada")), "Tocsin put user ada"),
    (changes.ObjectRemoved("user", "ada"), "Tocsin removed user ada"),
    (erasing.PayloadErased(("alert/r-1/0", "alert/r-1/1"), "R-1"), "Tocsin erased 2 texts"),
    (
        intake.AlertsLost("default", "alerts", 7, 10, 41),
        "alerts were lost: the records 10 to 41 of alerts/7 were deleted before they were read",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "actor", "text"), INCIDENTS)
def test_incidents(event: Event, actor: Actor, text: str) -> None:
    assert said(event, actor) == text


@pytest.mark.parametrize(("event", "text"), ESCALATIONS)
def test_escalations(event: Event, text: str) -> None:
    assert said(event, first=STARTED) == text


@pytest.mark.parametrize(("event", "text"), PAGES)
def test_pages(event: Event, text: str) -> None:
    assert said(event, first=QUEUED) == text


@pytest.mark.parametrize(("event", "text"), OTHERS)
def test_alerts_and_configuration(event: Event, text: str) -> None:
    assert said(event) == text


def test_every_event_type_has_its_words_here() -> None:
    tested: list[tuple[Any, ...]] = [*INCIDENTS, *ESCALATIONS, *PAGES, *OTHERS]
    assert {case[0].type for case in tested} == set(EVENT_TYPES)


def test_a_page_without_its_first_event_cannot_be_told() -> None:
    with pytest.raises(TypeError, match=r"page\.queued\.v1"):
        said(pages.Cancelled("resolved"))


def test_the_channel_of_a_team_is_called_so() -> None:
    queued = replace(QUEUED, user="team:development")
    assert said(queued, first=queued) == "page to the channel of development by email queued (step 1, round 2)"
    step = escalations.StepNotified(1, 1, T0, notified(("team:development", "email"), ("ada", "email")), T0)
    assert said(step, first=STARTED) == "step 1: the channel of development paged by email, ada paged by email"


def test_a_step_with_several_targets_names_them_all() -> None:
    targets = (Target(user="ada"), Target(team="db", role="lead"), Target(team="db"))
    policy = Policy("p", (Step(targets, 60),))
    text = said(
        escalations.StepSkipped(1, 1, T0, "nobody_reachable", T0),
        first=escalations.Started(INCIDENT, 1, policy, T0, "r-1"),
    )
    assert text == "nobody could be reached in step 1: ada, lead of db, the channel of db"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\0and\u202etricks", "two lines and tricks"),
        ("  spaced \t out ", "spaced out"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 79 + "…"),
    ],
)
def test_untrusted_text_is_one_short_line(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (725, "12 min 5 s"), (7205, "2 h"), (7500, "2 h 5 min"),
     (3 * 86400 + 3600, "3 d 1 h")],
)  # fmt: skip
def test_lengths_of_time(seconds: float, shown: str) -> None:
    assert span(timedelta(seconds=seconds)) == shown
