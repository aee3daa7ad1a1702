"""What is said of many incidents at once: how many, where, how bad, and how to see and acknowledge the rest.

A message may speak of ten thousand incidents. It is read on a phone: counts come first, the worst are named, and
nothing in it grows without bound.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

from domain.severity import Severity
from streams.channels.base import PageLine
from streams.channels.untrusted import one_line

_SEVERITIES = tuple(severity.value for severity in Severity)
LISTED = 50
"""Incidents that a message names; of the others it gives the number."""
COUNTED = 20
"""Services that a message counts by name."""
SEEN_AT_ONCE = 20
"""Incidents that need no counting: a message of more counts them by service, and says how to act on all of them."""
SERVICE_LIMIT = 30
"""Characters of a service's name."""


def rank(severity: str) -> int:
    """Where a severity stands, the worst first."""
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def headline(lines: Sequence[PageLine]) -> str:
    """`214 incidents in payments, 3 critical`; `lines` are worst first, one to an incident."""
    worst = lines[0].severity
    count = sum(line.severity == worst for line in lines)
    return f"{len(lines):,} incidents{_where(lines)}, {count:,} {one_line(worst, 10)}"


def by_service(lines: Sequence[PageLine]) -> tuple[str, ...]:
    """`payments: 3 critical, 211 high`, a line to a service, the one with the worst first; none for few incidents."""
    if len(lines) <= SEEN_AT_ONCE:
        return ()
    found: dict[str, Counter[str]] = {}
    for line in lines:
        found.setdefault(line.service, Counter())[one_line(line.severity, 10)] += 1
    ordered = sorted(found.items(), key=_urgency)
    counted = [f"{_named(service) or 'no service'}: {_counts(each)}" for service, each in ordered[:COUNTED]]
    if others := ordered[COUNTED:]:
        counted.append(f"{len(others):,} more services: {_counts(sum((each for _, each in others), Counter()))}")
    return tuple(counted)


def commands(lines: Sequence[PageLine]) -> tuple[tuple[str, str], ...]:
    """What shows and acknowledges many incidents at once: (what it does, command line) pairs; none for few."""
    if len(lines) <= SEEN_AT_ONCE:
        return ()
    services, teams = ({getattr(line, name) for line in lines} for name in ("service", "team"))
    listing = "tocsin list --limit 200"
    if len(services) == 1 and (service := _argument(services)):
        return (
            ("List them", f"{listing} --service {service}"),
            ("Acknowledge all of the service", f"tocsin ack --service {service}"),
        )
    if len(teams) == 1 and (team := _argument(teams)):
        listing += f" --team {team}"
    worst = _argument([lines[0].service])
    acknowledging = (("Acknowledge all of a service", f"tocsin ack --service {worst}"),) if worst else ()
    return ("List them", listing), *acknowledging


def _urgency(counted: tuple[str, Counter[str]]) -> tuple[int, int, str]:
    """A service's worst severity, then how often it has that."""
    service, each = counted
    worst = min(each, key=rank)
    return rank(worst), -each[worst], service


def _counts(each: Counter[str]) -> str:
    return ", ".join(f"{each[severity]:,} {severity}" for severity in sorted(each, key=rank))


def _where(lines: Sequence[PageLine]) -> str:
    services = {line.service for line in lines}
    if len(services) > 1:
        return f" in {len(services):,} services"
    return "".join(f" in {service}" for service in map(_named, services) if service)


def _named(service: str) -> str:
    return one_line(service, SERVICE_LIMIT)


def _argument(names: Iterable[str]) -> str:
    """A name as an argument of a command line; empty when it cannot be given as one."""
    name = next(iter(names))
    return shlex.quote(name) if name and name == one_line(name, 100) and not name.startswith("-") else ""
