"""Inhibition: while one thing is known to be broken, what follows from it is not spoken of.

Source: Alertmanager's configuration documentation, <inhibit_rule>.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Literal

from domain.matching import Matcher

REMEMBERED = 20_000
"""Keys that are not made again."""
INHIBIT = "inhibit"
"""The kind of deadline at which what stands at a place is looked at again; its key is `rule/key`."""


@dataclass(frozen=True, slots=True)
class InhibitionRule:
    """While an alert that matches all of `source` fires, nothing is said of those that match all of `target`.

    Only where both have the same values of the labels (or facts) `equal`; absent equals empty. An alert that matches
    both sides is not inhibited by one that does so too, itself included.
    """

    id: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()
    kind: Literal["inhibition_rule"] = "inhibition_rule"


Place = tuple[str, str]
"""A rule and a key: what stands at the same place has the same values of the rule's `equal`."""


@dataclass(frozen=True, slots=True)
class Side:
    """An alert stands at a place of a rule: what fires there inhibits, is inhibited, or is of both kinds."""

    place: Place
    is_source: bool
    is_target: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A firing alert that inhibits at a place: its group, and whether it could be inhibited there too."""

    group: str
    is_target: bool

    def can(self, side: Side) -> bool:
        """Whether it inhibits all that a source standing there does: one that is a target too does not inhibit such."""
        return side.is_target or not self.is_target


Sources = Mapping[Place, Mapping[str, Source]]
"""Firing alerts that inhibit, by place."""


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """The rule by which, and the firing alert (of a group) because of which, another is not spoken of."""

    rule: str
    alert: str
    group: str


def sides(rules: Iterable[InhibitionRule], facts: Mapping[str, str]) -> tuple[Side, ...]:
    """Where an alert with these labels and facts stands."""
    found = []
    for rule in rules:
        is_source = all(matcher.matches(facts) for matcher in rule.source)
        is_target = all(matcher.matches(facts) for matcher in rule.target)
        if is_source or is_target:
            found.append(Side((rule.id, key_of(rule, facts)), is_source, is_target))
    return tuple(found)


def key_of(rule: InhibitionRule, facts: Mapping[str, str]) -> str:
    """The values of the rule's `equal` as one short word, which does not tell them."""
    return _key(tuple([facts.get(name, "") for name in rule.equal]))


@lru_cache(REMEMBERED)
def _key(values: tuple[str, ...]) -> str:
    return sha256(json.dumps(values).encode()).hexdigest()[:32]


def inhibitor(alert: str, standing: Iterable[Side], sources: Sources) -> Inhibitor | None:
    """What inhibits an alert that stands there."""
    for side in standing:
        if side.is_target:
            here = sources.get(side.place, {})
            able = [name for name, of in here.items() if name != alert and not (of.is_target and side.is_source)]
            if able:
                return Inhibitor(side.place[0], min(able), here[min(able)].group)
    return None
