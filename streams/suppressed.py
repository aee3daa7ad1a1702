"""How many alerts were suppressed or released, by those who decide so: the worker when they fire, the pager later."""

from prometheus_client import Counter

from domain.book import Book
from domain.groups import AlertReleased, AlertSuppressed

SUPPRESSED = Counter(
    "tocsin_alerts_suppressed_total",
    "Alerts that a rule suppressed or released, by reason; the pager counts what fired already, and heartbeats.",
    ["reason", "change"],
)


def count_suppressed(book: Book) -> None:
    """Count the alerts that the decisions of a book, which is saved, suppress or release."""
    for entry in book.entries:
        match entry.event:
            case AlertSuppressed(reason=reason):
                SUPPRESSED.labels(reason, "suppressed").inc()
            case AlertReleased(reason=reason):
                SUPPRESSED.labels(reason, "released").inc()
