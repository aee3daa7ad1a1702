"""Facts: what matchers may read of an alert besides its labels, under names that begin with `@`.

`@severity`, `@source` (the format it came in), `@integration`, `@service`, `@environment`, `@team`, and
`@annotation.NAME`. Facts of the catalogue stand behind what the alert says itself.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

FACTS = ("@severity", "@source", "@integration", "@service", "@environment", "@team")
ANNOTATION = "@annotation."
EVERY = "..."
"""In group_by: every label."""


class Catalogued(Protocol):
    """What a service says of itself."""

    @property
    def team(self) -> str:
        """The team that owns it."""

    @property
    def environment(self) -> str | None:
        """Where it runs, e.g. `production`."""


def is_fact(name: str) -> bool:
    """Whether a matcher of this name reads a fact, not a label."""
    return name in FACTS or name.startswith(ANNOTATION)


def facts(
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    *,
    severity: str,
    source: str,
    integration: str,
    services: Mapping[str, Catalogued],
    read: Iterable[str],
) -> Mapping[str, str]:
    """The labels, and of the facts those among the names `read`.

    Service, environment and team are what the alert's labels of these names say, else what the catalogue says of its
    service.
    """
    wanted = [name for name in read if is_fact(name)]
    if not wanted:
        return labels
    service = services.get(labels.get("service", ""))
    known = {
        "@severity": severity,
        "@source": source,
        "@integration": integration,
        "@service": labels.get("service", ""),
        "@environment": labels.get("environment") or (service and service.environment) or "",
        "@team": labels.get("team") or (service.team if service else ""),
    }
    told = {n: known[n] if n in known else annotations.get(n.removeprefix(ANNOTATION), "") for n in wanted}
    return {**labels, **told}


def recorded(names: Iterable[str]) -> frozenset[str]:
    """Which of these labels and facts an event may hold: annotations may be personal data, and never stand in one."""
    return frozenset(name for name in names if not name.startswith(ANNOTATION))
