"""The review: what is said of alerts that fire already, when a rule that suppresses begins, ends or is changed.

There is one deadline for all of it, at the next time at which any rule begins or ends; a change of the rules brings it
forward. Looking twice at an alert decides nothing twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from domain import groups, ids, incidents, inhibition, joining, stepping
from domain.alerts import Alert, AlertRow, AlertStatus, PriorAlert
from domain.book import Book
from domain.config import Config
from domain.correlating import Spot
from domain.decision import Actor, Cause, PayloadRef
from domain.episodes import Place, episode_of, open_incident, place_in, suppressed_by, wait_for_quiet
from domain.routing import Routing
from domain.suppression import Past, Suppression, suppression

REVIEW = "review"
"""The kind of deadline at which firing alerts are looked at again; its key is the organisation."""


@dataclass(frozen=True, slots=True)
class Known:
    """A firing alert as it was reported: the payload that its row points at."""

    alert: Alert
    payload: PayloadRef


def review(book: Book, alert_id: str, known: Known, now: datetime) -> None:
    """Decide whether an alert that fires is spoken of from `now` (UTC) on, into `book`.

    `book` must hold the alert's row, its group, the latest incident of this and the alert's own, these incidents'
    escalations and pending pages.
    """
    book.end()
    row = book.alerts[alert_id]
    if row.status is not AlertStatus.FIRING or not row.group:
        return
    latest = book.read(row.group, groups.Group).incident
    cause = Cause(Actor("system", "pager"), "pager", f"due/{REVIEW}/{alert_id}", alert_id, row.receipt)
    now = book.begin(cause, now, _looked_at(book, row, latest))
    facts = facts_of(book.config, row, known)
    routed = way_of(book.config, book.org, facts, row)
    sides = inhibition.sides(book.config.inhibition_rules.values(), facts)
    book.place(alert_id, row.group, sides, now)
    group = book.read(row.group, groups.Group)
    before, past = group.suppressed.get(alert_id), Past(row.flips, group.ended_at)
    why = suppression(book.config, facts, routed, book.inhibitor(alert_id, sides), past, now)
    if why and (before is None or replace(why, by_group=before.by_group) != before):
        _suppress(book, row, known, why, now)
    elif before and not why:
        _release(book, row, known, before, routed, now)
    book.end()


def facts_of(config: Config, row: AlertRow, known: Known) -> Mapping[str, str]:
    """What matchers read of an alert that fires."""
    alert = known.alert
    return config.facts(alert.labels, alert.annotations, alert.severity.value, row.integration)


def way_of(config: Config, org: str, facts: Mapping[str, str], row: AlertRow) -> Routing:
    """The route that has brought an alert into its group; the first that it takes now, if none would any more."""
    routes = config.routes(facts)
    return next((way for way in routes if ids.group_stream(org, way.group_key) == row.group), routes[0])


def places_involved(
    config: Config, rows: Mapping[str, AlertRow], known: Mapping[str, Known]
) -> frozenset[inhibition.Place]:
    """The places of inhibition rules at which a review of these alerts looks for sources."""
    rules = tuple(config.inhibition_rules.values())
    at = (inhibition.sides(rules, facts_of(config, rows[name], alert)) for name, alert in known.items())
    return frozenset(side.place for sides in at for side in sides)


def spots_involved(
    config: Config, org: str, rows: Mapping[str, AlertRow], known: Mapping[str, Known], now: datetime
) -> dict[Spot, datetime]:
    """Where a review of these alerts may look for an incident to join, and since when (UTC) that was opened: those
    that are suppressed, and in no incident or one that is over.
    """
    found: dict[Spot, datetime] = {}
    waiting = [(name, alert) for name, alert in known.items() if rows[name].suppressed or not rows[name].episode]
    for name, alert in waiting if config.correlation_rules else ():
        facts = facts_of(config, rows[name], alert)
        for look in joining.looks(config, facts, way_of(config, org, facts, rows[name])):
            since = now - look.within
            found[look.spot] = min(since, found.get(look.spot, since))
    return found


def _looked_at(book: Book, row: AlertRow, latest: str | None) -> list[str]:
    group = row.group or ""
    incident = book.read(group, groups.Group).incident_of(row.episode)
    stops = bool(row.suppressed) or stepping.would_stop(book, group, row.episode, [row.id])
    own, other = stepping.involved(book, group, incident, stops), stepping.involved(book, group, latest, stops)
    return sorted({*own, *other})


def _suppress(book: Book, row: AlertRow, known: Known, why: Suppression, now: datetime) -> None:
    group = row.group or ""
    state = book.read(group, groups.Group)
    row = replace(row, incident=state.incident_of(row.episode))
    book.write(group, suppressed_by(why, row, state.key, known.payload, PriorAlert.of(row)))
    book.put_alert(replace(row, rev=row.rev + 1, suppressed=str(why)))
    stepping.settle(book, row.incident, now)
    wait_for_quiet(book, group, why)


def _release(book: Book, row: AlertRow, known: Known, was: Suppression, routed: Routing, now: datetime) -> None:
    """Say again what was not said: the incident is announced, or opened if the alert has none."""
    group = row.group or ""
    state = book.read(group, groups.Group)
    place = _place_of(book, group, row.episode)
    routed, facts = replace(routed, group_key=state.key), facts_of(book.config, row, known)
    if place.is_new and (joins := joining.join(book, facts, routed, row.integration, row.fingerprint, now)):
        place = replace(place, incident=joins.incident, joins=joins)
        now = book.involve(joining.involved(book, group, joins))
    if place.is_new:
        book.write(group, episode_of(routed, place))
    book.write(group, _released(row, known, was, place))
    new = replace(row, rev=row.rev + 1, episode=place.episode, incident=place.incident, suppressed=None)
    book.put_alert(new)
    if place.joins:
        joining.attach(book, new, place.joins, now)
    elif place.is_new:
        open_incident(book, known.alert, new, place, routed, row.source_time, now)
        stepping.start(book, place.incident or "", 1, routed.policy, now)
        joining.stand(book, facts, routed, new, now)
    else:
        incident = place.incident or ""
        worse = stepping.make_worse(book, incident, new.severity, new.id)
        stepping.settle(book, incident, now)
        stepping.tell_news(book, incident, worse, now)


def _place_of(book: Book, group: str, episode: int) -> Place:
    """Where an alert belongs that is spoken of again: where it was; if that is over by now, nobody has heard of it
    since, and it belongs where one does that begins to fire.
    """
    incident = book.read(group, groups.Group).incident_of(episode) if episode else None
    if incident and book.read(incident, incidents.Incident).is_open:
        return Place(episode, incident)
    return place_in(book, group, opens=True)


def _released(row: AlertRow, known: Known, was: Suppression, place: Place) -> groups.AlertReleased:
    return groups.AlertReleased(
        alert=row.id,
        integration=row.integration,
        fingerprint=row.fingerprint,
        episode=place.episode,
        incident=place.incident or "",
        reason=was.reason,
        rule=was.rule,
        payload=known.payload,
        prior=PriorAlert.of(row),
    )
