"""What would be decided, decided and not saved: a book on whatever can tell how things stand, read as it is looked at.

That is a store as it is now, a store as it was, or a configuration alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Protocol

from domain import reporting
from domain.alerts import Alert, AlertRow
from domain.book import Book, Lazily, Loaded
from domain.config import Config
from domain.correlating import Candidates, Spot
from domain.explaining import Explained, explain, report_of
from domain.inhibition import Place, Side, Source
from streams.store.deciding import TZ_VERSION


class View(Protocol):
    """How things stand; every `Store` is one. Every call may block and raise Unavailable."""

    def config(self) -> Config:
        """The configuration."""

    def load(self, streams: Collection[str]) -> dict[str, Loaded]:
        """The streams asked for; those without events as `Loaded.absent`."""

    def alerts(self, ids: Collection[str]) -> dict[str, AlertRow]:
        """The alert rows that exist among `ids`."""

    def sources(self, places: Collection[Place]) -> dict[Place, dict[str, Source]]:
        """The firing alerts that inhibit at these places."""

    def standing(self, alerts: Collection[str]) -> dict[str, tuple[Side, ...]]:
        """Where these alerts stand, if they inhibit or are inhibited."""

    def candidates(self, spots: Mapping[Spot, datetime]) -> Candidates:
        """The incidents that are open at these spots, if they were opened at that time (UTC) or later."""


@dataclass(frozen=True, slots=True)
class Blank:
    """A configuration, and nothing that ever happened."""

    given: Config

    def config(self) -> Config:
        """The configuration that was given."""
        return self.given

    def load(self, streams: Collection[str]) -> dict[str, Loaded]:
        """No stream has events."""
        return {stream: Loaded.absent(stream) for stream in streams}

    def alerts(self, ids: Collection[str]) -> dict[str, AlertRow]:
        """Nobody heard of any."""
        return {}

    def sources(self, places: Collection[Place]) -> dict[Place, dict[str, Source]]:
        """Nothing inhibits."""
        return {}

    def standing(self, alerts: Collection[str]) -> dict[str, tuple[Side, ...]]:
        """None stands anywhere."""
        return {}

    def candidates(self, spots: Mapping[Spot, datetime]) -> Candidates:
        """Nothing is open."""
        return Candidates()


def look(view: View, org: str, integration: str, alerts: Sequence[Alert], now: datetime) -> tuple[Explained, ...]:
    """What would become of alerts that `integration` reported together at `now` (UTC), as `view` says things stand.

    Raises ValueError when no usable routing tree is configured, Unavailable when the view does not answer.
    """
    reports = [report_of(alert, integration, index, now) for index, alert in enumerate(alerts)]
    rows = view.alerts({reporting.alert_id_of(org, report) for report in reports})
    config = view.config()
    rows |= view.alerts(reporting.ways_involved(org, config, reports, rows))
    book = Book(
        org,
        config,
        Lazily(lambda stream: view.load([stream])[stream]),
        dict(rows),
        numbers=repeat(0),
        tz_version=TZ_VERSION,
    )
    spots = reporting.spots_involved(org, config, reports, {})
    if spots:
        book.candidates = view.candidates(spots)
    if config.inhibition_rules:
        book.standing |= view.standing(rows)
        book.sources |= view.sources(reporting.places_involved(config, reports))
    return explain(book, reports, now)
