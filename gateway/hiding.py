"""What a silence would hide: critical incidents that fire, named before it is set."""

import structlog

from domain.config import Config
from domain.facts import facts
from domain.silences import Silence
from gateway.parts import Parts
from projections.critical_queries import ALERTS, INCIDENTS, CriticalAlert
from streams.store.base import Unavailable

log = structlog.get_logger()

NAMED = 20
"""Incidents that are named; of the others it is said how many there are."""


def warnings_of(parts: Parts, silence: Silence) -> tuple[str, ...]:
    """Sentences about the open critical incidents with firing alerts that a silence matches. Blocks.

    What cannot be found out is a warning too: a silence can be set while the database is busy with other things.
    """
    try:
        found = parts.queries.critical_alerts()
    except Unavailable as error:
        log.warning("what a silence hides was not found out", because=str(error))
        return ("Whether it hides a critical incident could not be found out.",)
    config = parts.store.config()
    hit = tuple(dict.fromkeys(alert.incident for alert in found.alerts if _is_hidden(alert, silence, config)))
    said = [f"{name} is critical and fires: of what matches nobody is told meanwhile." for name in hit[:NAMED]]
    if len(hit) > NAMED:
        said.append(f"So do others: {len(hit) - NAMED}.")
    if not found.complete:
        said.append(f"No more than {INCIDENTS:,} critical incidents and {ALERTS:,} alerts were looked at.")
    return tuple(said)


def _is_hidden(found: CriticalAlert, silence: Silence, config: Config) -> bool:
    """Whether the alert matches: of its labels, and of the facts that the silence names."""
    integration = config.integrations.get(found.integration)
    return silence.silences(
        facts(
            found.alert.labels,
            found.alert.annotations,
            severity=found.severity,
            source=integration.source if integration else "",
            integration=found.integration,
            services=config.services,
            read=[matcher.label for matcher in silence.matchers],
        )
    )
