"""Reports: alerts as they came, what the configuration makes of each, and what folding them may look at.

Read next: `folding`, which decides what they change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain import groups, ids, inhibition, joining, routing
from domain.alerts import Alert, AlertRow, AlertStatus, Receipt
from domain.config import Config
from domain.correlating import Spot
from domain.decision import Cause


@dataclass(slots=True)
class _Sorted:
    """What an organisation and its configuration make of a report: found out once, looked at often."""

    config: Config | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[routing.Routing, ...] | None = None
    sides: tuple[inhibition.Side, ...] | None = None
    ways: tuple[str, ...] | None = None
    own: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One alert of a receipt, as it came off the `alerts` topic or the inbox.

    `body` is the alert as bytes, which are kept when it leads to an event. `salt` and `raw_digest` are the receipt's:
    what its texts are digested with, and the digest of its redacted body.
    `hold` is when, at the earliest, an incident opened by it may page: None means after the route's group_wait. A held
    page is brought forward when the partition it came from has caught up. `cause` is what it was read for, unless that
    is a webhook.
    """

    alert: Alert
    index: int
    receipt: Receipt
    body: bytes = b""
    salt: bytes = b""
    raw_digest: str = ""
    hold: datetime | None = None
    cause: Cause | None = None
    _sorted: _Sorted = field(default_factory=_Sorted, init=False, repr=False, compare=False)


def facts_of(config: Config, report: Report) -> Mapping[str, str]:
    """What matchers read of a reported alert."""
    return _sorted(config, report).facts


def _sorted(config: Config, report: Report) -> _Sorted:
    known, alert = report._sorted, report.alert
    if known.config is not config:
        known.config, known.routes, known.sides, known.ways = config, None, None, None
        known.facts = config.facts(alert.labels, alert.annotations, alert.severity.value, report.receipt.integration)
    return known


def routes_of(config: Config, report: Report) -> tuple[routing.Routing, ...]:
    """Where the configuration sends an alert. Raises ValueError when no usable routing tree is configured."""
    known = _sorted(config, report)
    if known.routes is None:
        known.routes = config.routes(known.facts)
    return known.routes


def sides_of(config: Config, report: Report) -> tuple[inhibition.Side, ...]:
    """Where a reported alert stands in inhibition."""
    known = _sorted(config, report)
    if known.sides is None:
        known.sides = inhibition.sides(config.inhibition_rules.values(), known.facts)
    return known.sides


def way_ids(org: str, config: Config, report: Report) -> tuple[str, ...]:
    """The identities of an alert for each route that it takes: its own first. An organisation has one configuration."""
    known = _sorted(config, report)
    if known.ways is None:
        own = alert_id_of(org, report)
        known.ways = (own, *(ids.alert_way(own, routed.path) for routed in routes_of(config, report)[1:]))
    return known.ways


def places_involved(config: Config, reports: Iterable[Report]) -> frozenset[inhibition.Place]:
    """The places of inhibition rules at which folding `reports` may look for sources."""
    if not config.inhibition_rules:
        return frozenset()
    firing = (report for report in reports if report.alert.status is AlertStatus.FIRING)
    return frozenset(side.place for report in firing for side in sides_of(config, report))


def spots_involved(
    org: str, config: Config, reports: Iterable[Report], rows: Mapping[str, AlertRow]
) -> dict[Spot, datetime]:
    """Where folding `reports` may look for an incident to join, and since when (UTC) that was opened at the earliest.

    What fires already and goes on does not look, unless one of its ways may begin.
    """
    found: dict[Spot, datetime] = {}
    if not config.correlation_rules:
        return found
    reported = [(alert_id_of(org, report), report) for report in reports]
    ends = {name for name, report in reported if report.alert.status is AlertStatus.RESOLVED}
    for name, report in reported:
        row = rows.get(name)
        goes_on = row and row.status is AlertStatus.FIRING and not row.ways and name not in ends
        if report.alert.status is AlertStatus.FIRING and not goes_on:
            for routed in routes_of(config, report):
                for look in joining.looks(config, facts_of(config, report), routed):
                    since = report.receipt.received_at - look.within
                    found[look.spot] = min(since, found.get(look.spot, since))
    return found


def groups_involved(
    org: str, config: Config, reports: Iterable[Report], rows: Mapping[str, AlertRow]
) -> frozenset[str]:
    """The group streams that folding `reports` may look at: load these, then what `incidents_involved` says."""
    streams: set[str] = set()
    for report in reports:
        row = rows.get(alert_id_of(org, report))
        known = (row, *(rows.get(name) for name in row.ways)) if row else ()
        streams |= {each.group for each in known if each and each.group}
        if report.alert.status is AlertStatus.FIRING:
            streams |= {ids.group_stream(org, routed.group_key) for routed in routes_of(config, report)}
    return frozenset(streams)


def ways_involved(org: str, config: Config, reports: Iterable[Report], rows: Mapping[str, AlertRow]) -> frozenset[str]:
    """The alerts that folding `reports` may look at besides their own, whose `rows` are there."""
    found: set[str] = set()
    for report in reports:
        row = rows.get(alert_id_of(org, report))
        found |= {*row.ways} if row else set()
        if report.alert.status is AlertStatus.FIRING:
            found |= {*way_ids(org, config, report)[1:]}
    return frozenset(found)


def incidents_involved(org: str, found: Iterable[groups.Group], rows: Iterable[AlertRow]) -> frozenset[str]:
    """The incident streams that folding may look at, given the groups and the rows of its alerts."""
    belonging = {incident for group in found for incident in (group.incident, *group.earlier.values())}
    return frozenset(stream for stream in belonging | {row.incident for row in rows} if stream)


def alert_id_of(org: str, report: Report) -> str:
    """The identity of a report's alert."""
    known = report._sorted
    if not known.own:
        known.own = ids.alert_id(org, report.receipt.integration, report.alert.fingerprint)
    return known.own
