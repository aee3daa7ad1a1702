"""What a silence would hide: critical incidents that fire, named before it is set."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import structlog

from domain.config import Config
from domain.facts import facts
from domain.silences import Silence, SilenceState
from domain.suppression import whose
from domain.windows import active_at
from gateway.parts import Parts
from projections.critical_queries import ALERTS, INCIDENTS, CriticalAlert
from streams.store.base import Unavailable

log = structlog.get_logger()

NAMED = 20
"""Incidents that are named; of the others it is said how many there are."""


def warnings_of(parts: Parts, silence: Silence, now: datetime) -> tuple[str, ...]:
    """Sentences about the open critical incidents with firing alerts that a silence keeps quiet, or for longer than
    from `now` (UTC) on they are quiet without it. Blocks.

    What cannot be found out is a warning too: a silence can be set while the database is busy with other things.
    """
    try:
        found = parts.queries.critical_alerts()
    except Unavailable as error:
        log.warning("what a silence hides was not found out", because=str(error))
        return ("Whether it hides a critical incident could not be found out.",)
    config = parts.store.config()
    hit = tuple(dict.fromkeys(alert.incident for alert in found.alerts if _is_hidden(alert, silence, config, now)))
    said = [f"{name} is critical and fires: of what matches nobody is told meanwhile." for name in hit[:NAMED]]
    if len(hit) > NAMED:
        said.append(f"So do others: {len(hit) - NAMED}.")
    if not found.complete:
        said.append(f"No more than {INCIDENTS:,} critical incidents and {ALERTS:,} alerts were looked at.")
    return tuple(said)


def _is_hidden(found: CriticalAlert, silence: Silence, config: Config, now: datetime) -> bool:
    """Whether nothing is said of the alert because of the silence that would be said without it, now or later."""
    seen = _facts_of(found, config, [silence, *config.silences.values()])
    return silence.silences(seen) and _quiet_until(found, seen, config, now) < silence.ends_at


def _quiet_until(found: CriticalAlert, seen: Mapping[str, str], config: Config, now: datetime) -> datetime:
    """Until when something that stands keeps the alert quiet for sure: a silence, or a window; `now` if nothing does.

    What else suppresses it may end at any time.
    """
    active = (one for one in config.silences.values() if one.state_at(now) is SilenceState.ACTIVE)
    ends = [one.ends_at for one in active if one.silences(seen)]
    reason, _, rule = (found.suppressed or "").partition("/")
    window = config.windows.get(rule) if reason == "maintenance_window" else None
    if window and (open_ := active_at(window, now)):
        ends.append(open_.end)
    return max(ends, default=now)


def _facts_of(found: CriticalAlert, config: Config, silences: Iterable[Silence]) -> Mapping[str, str]:
    """Its labels, and of the facts those that the silences name; whose it is, is what its incident says."""
    integration = config.integrations.get(found.integration)
    seen = facts(
        found.alert.labels,
        found.alert.annotations,
        severity=found.alert.severity.value,
        source=integration.source if integration else found.integration,
        integration=found.integration,
        services=config.services,
        read={matcher.label for silence in silences for matcher in silence.matchers},
    )
    return {**seen, **whose(config, seen, found)}
