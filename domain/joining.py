"""Joining: an alert that would open an incident belongs to one that is open already, if a correlation rule says so.

What is decided here is the hook of the fold and of the review; the rules and the choice are `domain.correlating`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from domain import correlating, incidents, stepping
from domain.alerts import AlertRow
from domain.belonging import GroupAttached
from domain.book import Book
from domain.config import Config
from domain.correlating import Candidate, Joining, Look, Spot, opener_of
from domain.routing import Ack, Routing
from domain.suppression import Owned, whose

MERGED = 10
"""Incidents that one is merged into, which are merged into others, that are followed at most."""


class Answerable(Owned, Protocol):
    """What also says whether people may acknowledge."""

    @property
    def ack(self) -> Ack:
        """What its route says."""


def looks(config: Config, facts: Mapping[str, str], routed: Routing) -> tuple[Look, ...]:
    """Where an alert with these labels and facts, on this way, looks for an incident to join.

    What may not be acknowledged joins nothing and nothing joins it: it escalates until it is over.
    """
    if not config.correlation_rules or routed.ack == "refused":
        return ()

    def find() -> tuple[Look, ...]:
        rules, about = config.correlation_rules.values(), {**facts, **whose(config, facts, routed)}
        return correlating.looks(rules, config.kinships, about, routed.service)

    said = [facts.get(name) for name in config.correlated]
    return config.looks((routed.service, routed.team, facts.get("environment"), *said), find)


def join(
    book: Book, facts: Mapping[str, str], routed: Routing, integration: str, fingerprint: str, now: datetime
) -> Joining | None:
    """The incident that this alert joins instead of opening one at `now` (UTC).

    When there is none, the save refuses if one was opened meanwhile. `book` must hold the candidates at its `looks`,
    the incidents of these and what belongs to them.
    """
    looked = looks(book.config, facts, routed)
    at = {look.spot: _standing(book, look.spot) for look in looked}
    opener, state_of = opener_of(integration, fingerprint), _states(book)
    found = correlating.choose(looked, at, opener, now, lambda one: leads_to(state_of, one.incident) is not None)
    if found is None:
        for look in looked:
            since = now - look.within
            book.alone[look.spot] = min(since, book.alone.get(look.spot, since))
        return None
    look, candidate = found
    incident = leads_to(state_of, candidate.incident) or ""
    name = state_of(candidate.incident).name
    if incident != candidate.incident:
        name += f" (merged into {state_of(incident).name})"
    return Joining(incident, look.spot[0], look.why(name, now - candidate.opened_at))


def _standing(book: Book, spot: Spot) -> list[Candidate]:
    """The incidents at a spot, less those that have ended in this book: the store would not know of them any more."""
    there = (*book.candidates.at.get(spot, ()), *book.opened.get(spot, ()))
    states = {each.incident: book.streams[each.incident].state for each in there if each.incident in book.streams}
    over = {name for name, state in states.items() if isinstance(state, incidents.Incident) and state.is_over}
    return [candidate for candidate in there if candidate.incident not in over]


def _states(book: Book) -> Callable[[str], incidents.Incident]:
    """How incidents stand in a book; whatever is looked at counts as read."""
    return lambda name: book.read(name, incidents.Incident)


def leads_to(state_of: Callable[[str], incidents.Incident], incident: str) -> str | None:
    """The incident itself, or the one that it is merged into; None when that is over or may not be acknowledged.

    `state_of` tells how an incident stands; what it raises for one that it does not know is raised.
    """
    for _ in range(MERGED):
        state = state_of(incident)
        if state.into is None:
            return incident if state.is_open and state.ack == "allowed" else None
        incident = state.into
    return None


def attach(book: Book, row: AlertRow, joins: Joining, now: datetime) -> None:
    """The new episode of an alert belongs to the incident that it joins, which is as severe as the worse of both, and
    announced again if nobody was to hear of it, or if this is news of it.
    """
    attached = GroupAttached(row.group or "", row.episode, "correlation", rule=joins.rule, because=joins.because)
    book.write(joins.incident, attached)
    worse = stepping.make_worse(book, joins.incident, row.severity, row.id)
    if stepping.is_quiet(book, joins.incident):
        stepping.settle(book, joins.incident, now)
    stepping.tell_news(book, joins.incident, worse, now)


def involved(book: Book, group: str, joins: Joining) -> list[str]:
    """The streams whose times joining may not precede."""
    if stepping.is_quiet(book, joins.incident):
        return stepping.involved(book, group, joins.incident)
    return stepping.of_incident(book, joins.incident, stops=True)


def stand(book: Book, facts: Mapping[str, str], routed: Routing, row: AlertRow, now: datetime) -> None:
    """The incident that an alert has opened at `now` (UTC) may be joined by others from now on."""
    candidate = Candidate(row.incident or "", now, opener_of(row.integration, row.fingerprint))
    for spot in spots(book.config, facts, routed):
        book.opened[spot] = (*book.opened.get(spot, ()), candidate)


def spots(config: Config, facts: Mapping[str, str], opened: Answerable) -> tuple[Spot, ...]:
    """Where an incident stands that an alert with these labels and facts has opened."""
    if not config.correlation_rules or opened.ack == "refused":
        return ()
    about = {**facts, **whose(config, facts, opened)}
    return correlating.spots(config.correlation_rules.values(), about, opened.service)
