"""What the tests of the read models share: logs written by hand, one with every event type, and the rows they leave."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg

from domain import answers, belonging, changes, escalations, groups, incidents, pages
from domain.alerts import AlertStatus, PriorAlert
from domain.config import Policy, Step, Target, User
from domain.decision import Actor, Cause, Decision, PayloadRef
from domain.erasing import PayloadErased
from domain.events import Event
from domain.intake import AlertsLost
from domain.severity import Severity
from projections.database import READ_SCHEMA, conninfo
from projections.tables import apply
from streams.store.base import Recorded
from streams.store.memory import MemoryStore
from streams.store.migrate import migrate

T0 = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
ADA, GRACE = Actor("user", "ada"), Actor("user", "grace")
AM, PAGER = Actor("integration", "alertmanager"), Actor("system", "pager")
TABLES = ("incidents", "alerts", "escalations", "pages", "attempts", "timeline")

GROUP = "group-6f1f7b0e-0000-5000-8000-000000000001"
INCIDENT = "incident-6f1f7b0e-0000-5000-8000-000000000002"
OTHER = "incident-6f1f7b0e-0000-5000-8000-00000000000a"
ESCALATION = "escalation-6f1f7b0e-0000-5000-8000-000000000003"
AGAIN = "escalation-6f1f7b0e-0000-5000-8000-000000000004"
ALERT = "6f1f7b0e-0000-5000-8000-000000000005"
INTAKE = "intake-6f1f7b0e-0000-5000-8000-000000000007"
ERASURE = "erasure-6f1f7b0e-0000-5000-8000-000000000008"
CONFIG = "config-6f1f7b0e-0000-5000-8000-000000000006"

POLICY = Policy(
    "default", (Step((Target(team="platform", role="primary"),), 300), Step((Target(user="grace"),), 300)), 2
)
PAYLOAD = PayloadRef("alert/r-1/0", "00")
PRIOR = PriorAlert(1, AlertStatus.FIRING, Severity.HIGH, T0, T0, "r-1", GROUP, 1)

Happening = tuple[str, Event, Actor]


def page(name: str) -> str:
    """The stream of a page that the story calls `name`."""
    return f"page-6f1f7b0e-0000-5000-8000-{ord(name):012}"


def log(steps: Iterable[Happening], start: int = 1) -> list[Recorded]:
    """Events as a store would have recorded them, a second apart."""
    versions: dict[str, Iterator[int]] = {}
    return [
        Recorded(
            position=position,
            stream=stream,
            version=next(versions.setdefault(stream, count(1))),
            type=event.type,
            event=event,
            decision=Decision(T0 + timedelta(seconds=position), Cause(actor, "api", "p", "c", "r-1"), 1, 1, "2026.1"),
            hash=b"",
        )
        for position, (stream, event, actor) in enumerate(steps, start)
    ]


def stored(events: Sequence[Recorded]) -> MemoryStore:
    """A store whose log is `events`."""
    return MemoryStore(log=list(events))


def opened(number: int = 7, **changed: Any) -> incidents.Opened:
    """An incident's first event."""
    facts: dict[str, Any] = {
        "number": number,
        "title": "ServiceDown (payments)",
        "severity": Severity.HIGH,
        "service": "payments",
        "team": "platform",
        "policy": "default",
        "started_at": T0 - timedelta(minutes=5),
        "opened_at": T0,
        **changed,
    }
    return incidents.Opened(**facts)


def fired(kind: type[groups.AlertFired] | type[groups.AlertRefired], prior: PriorAlert | None) -> Event:
    """The alert of the story fires."""
    return kind(
        alert=ALERT,
        integration="alertmanager",
        fingerprint="955b3f2e0c1d4a77",
        episode=1,
        incident=INCIDENT,
        severity=Severity.HIGH,
        labels={"alertname": "ServiceDown"},
        source_time=T0,
        received_at=T0,
        receipt="r-1",
        payload=PAYLOAD,
        raw_digest="00",
        prior=prior,  # type: ignore[arg-type]
    )


def resolved() -> groups.AlertResolved:
    """The alert of the story ends."""
    return groups.AlertResolved(
        ALERT,
        "alertmanager",
        "955b3f2e0c1d4a77",
        1,
        INCIDENT,
        T0,
        T0 + timedelta(minutes=1),
        "r-2",
        PAYLOAD,
        "00",
        PRIOR,
    )


def queued(name: str, step: int = 1, user: str = "ada", escalation: str = ESCALATION) -> tuple[str, Event, Actor]:
    """A page that the story calls `name` is queued."""
    return page(name), pages.Queued(escalation, INCIDENT, 1, step, user, "email"), PAGER


WHICH = (ALERT, "alertmanager", "955b3f2e0c1d4a77", 1, INCIDENT)
PAYLOAD = PayloadRef("alert/r-1/0", "00")


def story() -> list[Happening]:
    """One incident to which everything happens: every event type is in it."""
    notified = escalations.Notified("team:platform/primary", "ada", "email", page("a"))
    return [
        (CONFIG, changes.ObjectPut(User("ada")), ADA),
        (CONFIG, changes.ObjectRemoved("user", "ada"), ADA),
        (GROUP, groups.EpisodeOpened(1, INCIDENT, "{}:{}", (), "{}", "payments", "platform", "default"), AM),
        (GROUP, fired(groups.AlertFired, None), AM),
        (INCIDENT, opened(), AM),
        (ESCALATION, escalations.Started(INCIDENT, 1, POLICY, T0 + timedelta(minutes=1), "r-1"), AM),
        (ESCALATION, escalations.StepDelayed(1, 1, T0 - timedelta(minutes=12), "stale"), PAGER),
        (ESCALATION, escalations.StepNotified(1, 1, T0, (notified,), T0), PAGER),
        queued("a"),
        (page("a"), pages.Unknown("d-1", 1, "claim_expired"), PAGER),
        (page("a"), pages.Sent("d-1", 2, possible_repeat=True), PAGER),
        (ESCALATION, escalations.StepSkipped(1, 2, T0, "nobody_reachable", T0), PAGER),
        (INCIDENT, incidents.SeverityChanged(Severity.HIGH, Severity.CRITICAL, ALERT), AM),
        (ESCALATION, escalations.Exhausted(T0), PAGER),
        (INCIDENT, incidents.Started(), ADA),
        (INCIDENT, incidents.Unacknowledged(), ADA),
        (AGAIN, escalations.Started(INCIDENT, 2, POLICY, T0, "r-1"), ADA),
        queued("b", 2, "grace", AGAIN),
        (page("b"), pages.Failed("d-2", 8, "recipient: 550 5.1.1"), PAGER),
        queued("d", 2, "ada", AGAIN),
        (AGAIN, escalations.Stopped("acknowledged", (page("a"),)), GRACE),
        (page("d"), pages.Cancelled("acknowledged"), GRACE),
        (INCIDENT, incidents.Acknowledged(), GRACE),
        (INCIDENT, incidents.Assigned(("grace", "ada")), GRACE),
        (INCIDENT, incidents.Commented(PayloadRef("comment/1", "00")), GRACE),
        (GROUP, resolved(), AM),
        (INCIDENT, incidents.Resolved("alerts_ended"), AM),
        (INCIDENT, incidents.Reopened(), ADA),
        (INCIDENT, belonging.Merged(OTHER, 8), ADA),
        (INCIDENT, belonging.Unmerged(OTHER, 8, "triggered", ()), ADA),
        (INCIDENT, belonging.Absorbed(OTHER, 8, ()), ADA),
        (INCIDENT, belonging.Parted(OTHER, 8, ()), ADA),
        (INCIDENT, belonging.GroupAttached(GROUP, 1, "person", OTHER), ADA),
        (INCIDENT, belonging.GroupDetached(GROUP, 1, OTHER, 8), ADA),
        (INCIDENT, belonging.AlertsSplit((ALERT,), GROUP, OTHER, 8), ADA),
        (GROUP, belonging.Moved(1, OTHER, INCIDENT), ADA),
        (GROUP, belonging.AlertJoined(*WHICH, GROUP), ADA),
        (GROUP, belonging.AlertLeft(*WHICH, GROUP, PRIOR), ADA),
        (GROUP, fired(groups.AlertRefired, PRIOR), AM),
        (
            GROUP,
            groups.AlertExpired(
                ALERT,
                "alertmanager",
                "955b3f2e0c1d4a77",
                1,
                INCIDENT,
                T0 + timedelta(hours=1),
                9,
                T0 + timedelta(hours=2),
                PRIOR,
            ),
            PAGER,
        ),
        (INCIDENT, incidents.Reannounced("released"), PAGER),
        (INCIDENT, incidents.Resolved("person"), ADA),
        (INTAKE, AlertsLost("default", "alerts", 7, 3, 41), PAGER),
        (ERASURE, PayloadErased(("comment/1",), "ticket 41"), ADA),
        (GROUP, groups.AlertSeverityChanged(*WHICH, Severity.LOW, T0, T0, "r-9", PAYLOAD, "cd" * 32, PRIOR), AM),
        (GROUP, groups.AlertFlapping(*WHICH, 5, 600.0), AM),
        (GROUP, groups.AlertSuppressed(*WHICH, "silence", "night", T0, None, None, "{}:{}", PAYLOAD, PRIOR), PAGER),
        (GROUP, groups.AlertReleased(*WHICH, "silence", "night", PAYLOAD, PRIOR), PAGER),
        (GROUP, answers.AlertAcknowledged(*WHICH, PRIOR), ADA),
        (GROUP, answers.AlertUnacknowledged(*WHICH, PRIOR), ADA),
        (GROUP, answers.AlertClosed(*WHICH, T0, PRIOR), ADA),
    ]


class Bench:
    """A migrated schema that events are delivered to, in batches of any size."""

    def __init__(self, dsn: str, schema: str) -> None:
        migrate(dsn, "projections", schema)
        self._conninfo = conninfo(dsn, (schema,), 10.0)

    def deliver(self, events: Sequence[Recorded], size: int) -> None:
        """Apply `events` in batches of `size`."""
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            for start in range(0, len(events), size):
                with connection.transaction():
                    apply(connection, events[start : start + size])

    def rows(self) -> dict[str, list[Any]]:
        """Every row of every table."""
        with psycopg.connect(self._conninfo) as connection:
            return {
                table: [row for (row,) in connection.execute(f"select to_jsonb(t) from {table} t order by t::text")]
                for table in TABLES
            }


def given(dsn: str, events: Sequence[Recorded]) -> dict[str, list[Any]]:
    """The rows that `events` leave, which are the same however they are delivered.

    One by one, all at once, every batch twice, the whole range again, the end of it again, old events beside new ones.
    """
    ways: dict[str, list[tuple[Sequence[Recorded], int]]] = {
        READ_SCHEMA: [(events, 1)],
        "at_once": [(events, len(events))],
        "in_threes": [(events, 3)],
        "each_twice": [(events[start : start + 4], 4) for start in range(0, len(events), 4) for _ in range(2)],
        "range_again": [(events, 5), (events, 7)],
        "end_again": [(events, 2), (events[len(events) // 2 :], 3)],
        "with_strays": [([*events[: index // 2], event], len(events)) for index, event in enumerate(events)],
    }
    found: dict[str, dict[str, list[Any]]] = {}
    for schema, deliveries in ways.items():
        bench = Bench(dsn, schema)
        for part, size in deliveries:
            bench.deliver(part, size)
        found[schema] = bench.rows()
    for schema, rows in found.items():
        assert rows == found[READ_SCHEMA], schema
    return found[READ_SCHEMA]
