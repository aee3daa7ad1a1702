"""Alerts that feed heartbeats: they say that somebody lives, and are nothing else.

Alertmanager's Watchdog fires always; that it does not come any more is the alert.
"""

from collections.abc import Sequence

from prometheus_client import Counter

from domain.alerts import AlertStatus
from domain.book import Book
from domain.heartbeats import Heartbeat
from domain.reporting import Report, alert_id_of, facts_of
from streams.store.base import Store

FED = Counter(
    "tocsin_heartbeat_fed_alerts_total",
    "Alerts that fed a heartbeat, firing or ended, and were nothing else: of them there is no event.",
    ["heartbeat"],
)


def unfed(store: Store, book: Book, reports: Sequence[Report]) -> Sequence[Report]:
    """The reports that are to be folded. The others ping their heartbeats and are counted, which may be done twice.

    Of an alert that fired already when it became food, the end is folded. `book` must hold the reports' alerts.
    """
    feeding = book.config.feeding
    if not feeding:
        return reports
    return [report for report in reports if not _feeds(store, book, report, feeding)]


def _feeds(store: Store, book: Book, report: Report, feeding: Sequence[Heartbeat]) -> bool:
    """Whether a report feeds heartbeats and nothing else; they are told."""
    facts = facts_of(book.config, report)
    fed = [heartbeat for heartbeat in feeding if all(matcher.matches(facts) for matcher in heartbeat.fed_by)]
    fires = report.alert.status is AlertStatus.FIRING
    for heartbeat in fed:
        tell = store.ping if fires else store.end_ping
        tell(heartbeat.id, report.receipt.received_at)
    row = book.alerts.get(alert_id_of(book.org, report))
    if not fires and row is not None and row.status is AlertStatus.FIRING:
        return False
    for heartbeat in fed:
        FED.labels(heartbeat.id).inc()
    return bool(fed)
