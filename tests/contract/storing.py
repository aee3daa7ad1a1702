"""What the contract suite of the stores writes: an incident, an alert, a page."""

from collections.abc import Sequence
from datetime import UTC, datetime

from domain import ids, incidents, pages
from domain.alerts import AlertRow, AlertStatus
from domain.book import Book, PageRow
from domain.decision import Actor, Cause
from domain.severity import Severity
from streams.store.base import ClaimedPage, Save, Store

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
CAUSE = Cause(Actor("user", "ada"), "api", "command/1", "c-1", "c-1")
INCIDENT = ids.incident_stream("default", "group-x", 1)
OTHER = ids.incident_stream("default", "group-y", 1)
ESCALATION = ids.escalation_stream("default", INCIDENT, 1)
PAGE = ids.page_stream("default", ESCALATION, 1, 1, "ada", "email")


def book(store: Store, *streams: str) -> Book:
    return Book("default", store.config(), store.load(streams))


def opened(number: int = 1) -> incidents.Opened:
    return incidents.Opened(number, "Down", Severity.HIGH, "payments", "platform", "default", AT, AT)


def write(store: Store, stream: str, *events: incidents.IncidentEvent, at: datetime = AT) -> int:
    written = book(store, stream)
    written.begin(CAUSE, at, (stream,))
    written.write(stream, *events)
    return store.save(Save(written))


def row(fingerprint: str = "f1") -> AlertRow:
    return AlertRow(
        id=ids.alert_id("default", "am", fingerprint),
        integration="am",
        fingerprint=fingerprint,
        status=AlertStatus.FIRING,
        severity=Severity.HIGH,
        rev=1,
        source_time=AT,
        received_at=AT,
        receipt="r-1",
        first_seen=AT,
        last_seen=AT,
        count=1,
        group="group-x",
        episode=1,
        incident=INCIDENT,
        payload="alert/r-1/0",
    )


def page(number: int, user: str = "ada", method: str = "email") -> str:
    return ids.page_stream("default", ESCALATION, number, 1, user, method)


def queue_page(store: Store, at: datetime = AT, user: str = "ada", number: int = 1, method: str = "email") -> str:
    """A page of one escalation; `number` is its round."""
    name = page(number, user, method)
    queued = book(store, name)
    queued.begin(CAUSE, AT)
    queued.write(name, pages.Queued(ESCALATION, INCIDENT, number, 1, user, method))
    queued.put_page(PageRow(name, ESCALATION, INCIDENT, user, method, at))
    store.save(Save(queued))
    return name


def claim(store: Store, now: datetime = AT, lease: float = 60) -> Sequence[ClaimedPage]:
    return store.claim_pages(now, lease, 10, 20).pages
