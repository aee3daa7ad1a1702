"""Loading what a person's command on a single alert may look at."""

from domain.book import Book
from domain.groups import Group
from streams.store.base import Store
from streams.store.deciding import TZ_VERSION, add_escalations, add_inhibition


def open_alert_book(store: Store, org: str, alert: str) -> Book:
    """A book that holds an alert's row, if there is one, with its group, its incident and what belongs to that."""
    config, rows = store.config(), store.alerts([alert])
    streams = store.load({row.group for row in rows.values() if row.group})
    groups = [(row, streams[row.group].state) for row in rows.values() if row.group]
    found = {group.incident_of(row.episode) for row, group in groups if isinstance(group, Group)}
    streams |= store.load({incident for incident in found if incident})
    pending = add_escalations(store, org, streams)
    book = Book(org, config, streams, rows, pending, tz_version=TZ_VERSION)
    add_inhibition(store, book, ())
    return book
