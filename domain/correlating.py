"""Correlation: of what depends on each other and breaks together, one incident is enough.

A rule says which alerts may join an incident that is open, how long after it was opened, and what the two have to have
in common: services that depend on each other, or equal labels. What is asked of an incident is known from the alert
that opened it, and never changes. `domain.joining` is what becomes of it in a book.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, Protocol

from domain.matching import Matcher
from domain.spans import span

Over = Literal["dependency", "same"]
Direction = Literal["upstream", "downstream", "both"]
KIN = 200
"""Services that one is kin to, at most: the nearest."""
CANDIDATES = 5
"""Incidents at one place that are looked at, at most: those that were opened first."""


@dataclass(frozen=True, slots=True)
class CorrelationRule:
    """An alert that matches all of `matchers` joins an incident that was opened up to `within` seconds before by an
    alert that matches all of `incident_matchers`.

    `over` dependency: its service depends, in at most `depth` steps, on the incident's (`direction` upstream), or the
    incident's on its (downstream). `over` same: whatever their services are. In either case both alerts have the same
    values of the labels (or facts) `same`; absent equals empty.
    """

    id: str
    within: float
    matchers: tuple[Matcher, ...] = ()
    incident_matchers: tuple[Matcher, ...] = ()
    over: Over = "dependency"
    direction: Direction = "upstream"
    depth: int = 2
    same: tuple[str, ...] = ()
    kind: Literal["correlation_rule"] = "correlation_rule"

    @property
    def reads(self) -> frozenset[str]:
        """The labels and facts that it reads of an alert."""
        return frozenset(matcher.label for matcher in self.matchers + self.incident_matchers).union(self.same)


class Dependent(Protocol):
    """What a service says of itself."""

    @property
    def dependencies(self) -> tuple[str, ...]:
        """The services that it cannot work without."""


@dataclass(frozen=True, slots=True)
class Kin:
    """A service that another depends on (`upstream`), or that depends on the other, `through` these between them."""

    service: str
    upstream: bool
    through: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """How far away it is."""
        return len(self.through) + 1


class Kinships:
    """Which services of a catalogue depend on each other; what was found out once is remembered."""

    def __init__(self, services: Mapping[str, Dependent] | None = None) -> None:
        self._up = {name: service.dependencies for name, service in (services or {}).items()}
        self._down: dict[str, list[str]] = {}
        for name, dependencies in sorted(self._up.items()):
            for dependency in dependencies:
                self._down.setdefault(dependency, []).append(name)
        self._known: dict[tuple[str, Direction, int], tuple[Kin, ...]] = {}

    def of(self, service: str, direction: Direction, depth: int) -> tuple[Kin, ...]:
        """The services that `service` is kin to in at most `depth` steps, the nearest first; itself is not among them.

        One that is kin in both directions is kin in the shorter; if they are as long, upstream.
        """
        asked = (service, direction, depth)
        if asked not in self._known:
            self._known[asked] = tuple(self._found(*asked))
        return self._known[asked]

    def _found(self, service: str, direction: Direction, depth: int) -> list[Kin]:
        found: dict[str, Kin] = {}
        up = self._walked(service, self._up, True, depth) if direction != "downstream" else ()
        down = self._walked(service, self._down, False, depth) if direction != "upstream" else ()
        for kin in sorted((*up, *down), key=lambda kin: (kin.steps, not kin.upstream)):
            found.setdefault(kin.service, kin)
        return list(found.values())[:KIN]

    @staticmethod
    def _walked(service: str, edges: Mapping[str, Sequence[str]], upstream: bool, depth: int) -> Iterator[Kin]:
        """Breadth first, in order of names."""
        ring: dict[str, tuple[str, ...]] = {name: () for name in sorted(edges.get(service, ())) if name != service}
        seen = {service, *ring}
        for _ in range(depth):
            yield from (Kin(name, upstream, through) for name, through in ring.items())
            further: dict[str, tuple[str, ...]] = {}
            for before, through in ring.items():
                for name in sorted(edges.get(before, ())):
                    if name not in seen:
                        further.setdefault(name, (*through, before))
            seen |= further.keys()
            ring = further


Spot = tuple[str, str, str]
"""A rule, a key and a service: an incident stands at one spot of a rule, an alert looks for incidents at several.

The key stands for the values of the rule's `same`; a rule over `same` does not mind the service, which is "" then.
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An incident at a spot: opened at `opened_at` (UTC) by the alert `opener`."""

    incident: str
    opened_at: datetime
    opener: str


def opener_of(integration: str, fingerprint: str) -> str:
    """What an alert is known as that opens an incident: the same on each of its ways."""
    return f"{integration}/{fingerprint}"


@dataclass(frozen=True, slots=True)
class Candidates:
    """The incidents that are open at some spots, those of each in order of their opening, `CANDIDATES` at most.

    `seen` is the number of the last that came to any spot: what has a greater one came later.
    """

    at: Mapping[Spot, tuple[Candidate, ...]] = field(default_factory=dict)
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Joining:
    """The incident that a new episode joins instead of opening one: by which rule, and a sentence that says why."""

    incident: str
    rule: str
    because: str


@dataclass(frozen=True, slots=True)
class Look:
    """Where an alert looks for incidents by a rule, and why there: `kin` is None if the rule is not over services."""

    spot: Spot
    within: timedelta
    service: str
    same: tuple[str, ...]
    kin: Kin | None = None

    def why(self, incident: str, lead: timedelta) -> str:
        """The sentence that says so. `incident` is what people call it, `lead` how long before it was opened."""
        began = f"{span(lead)} before" if lead >= timedelta(seconds=1) else "at the same time"
        if self.kin is None:
            return f"{incident}, which was opened {began}, has the same {_and(self.same)}"
        other, through = self.kin.service, self.kin.through
        if self.kin.upstream:
            return f"{self.service} depends{_through(through)} on {other}, whose {incident} was opened {began}"
        return f"{other}, whose {incident} was opened {began}, depends{_through(through[::-1])} on {self.service}"


def looks(
    rules: Iterable[CorrelationRule], kinships: Kinships, facts: Mapping[str, str], service: str
) -> tuple[Look, ...]:
    """Where an alert with these labels and facts, about `service`, looks for incidents: by rule, in order of ids."""
    found = []
    for rule in sorted(rules, key=lambda rule: rule.id):
        if all(matcher.matches(facts) for matcher in rule.matchers):
            key, within = _key(rule, facts), timedelta(seconds=rule.within)
            if rule.over == "same":
                found.append(Look((rule.id, key, ""), within, service, rule.same))
            else:
                kindred = kinships.of(service, rule.direction, rule.depth)
                found += [Look((rule.id, key, kin.service), within, service, rule.same, kin) for kin in kindred]
    return tuple(found)


def spots(rules: Iterable[CorrelationRule], facts: Mapping[str, str], service: str) -> tuple[Spot, ...]:
    """Where an incident stands that an alert with these labels and facts, about `service`, has opened."""
    may = (rule for rule in rules if all(matcher.matches(facts) for matcher in rule.incident_matchers))
    return tuple((rule.id, _key(rule, facts), service if rule.over == "dependency" else "") for rule in may)


def choose(
    looked: Iterable[Look],
    candidates: Mapping[Spot, Iterable[Candidate]],
    opener: str,
    now: datetime,
    usable: Callable[[Candidate], bool],
) -> tuple[Look, Candidate] | None:
    """The incident that an alert which would open one at `now` (UTC) joins, and why; None: it opens its own.

    By the first rule by which there is any: the nearest in the catalogue; of those that was opened first. None that
    the same alert (`opener`) opened on another of its ways.
    """
    by_rule: dict[str, list[tuple[Look, Candidate]]] = {}
    for look in looked:
        for candidate in candidates.get(look.spot, ()):
            if candidate.opened_at >= now - look.within and candidate.opener != opener:
                by_rule.setdefault(look.spot[0], []).append((look, candidate))
    ordered = (pair for rule in sorted(by_rule) for pair in sorted(by_rule[rule], key=_preferred))
    return next((pair for pair in ordered if usable(pair[1])), None)


def _preferred(pair: tuple[Look, Candidate]) -> tuple[int, datetime, str]:
    look, candidate = pair
    return look.kin.steps if look.kin else 0, candidate.opened_at, candidate.incident


def _key(rule: CorrelationRule, facts: Mapping[str, str]) -> str:
    """The values of the rule's `same` as one short word, which does not tell them."""
    values = json.dumps([facts.get(name, "") for name in rule.same])
    return sha256(values.encode()).hexdigest()[:32]


def _through(services: Sequence[str]) -> str:
    return f", through {_and(services)}," if services else ""


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
