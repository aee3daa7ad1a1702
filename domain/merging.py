"""What people do to what belongs to an incident: merge and unmerge, split off, attach and detach. All can be undone.

An episode of an alert group belongs to one incident, which its group's stream names; alerts that leave their episode go
on in a group of their own. Whatever is moved, both incidents are written in one save, so nothing is in two of them, and
nothing in none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from domain import belonging, expiry, ids, incidents, stepping
from domain.alerts import AlertRow, AlertStatus, PriorAlert
from domain.belonging import AlertJoined, AlertLeft, Moved, OpenStatus, Part
from domain.book import Book
from domain.decision import Refused
from domain.episodes import wait_for_quiet
from domain.groups import EpisodeOpened, Group
from domain.incidents import Incident, IncidentStatus, Opened
from domain.severity import Severity

OPEN: Mapping[IncidentStatus, OpenStatus] = {
    IncidentStatus.TRIGGERED: "triggered",
    IncidentStatus.ACKNOWLEDGED: "acknowledged",
    IncidentStatus.IN_PROGRESS: "in_progress",
}
MOST_ALERTS = 200
"""Alerts that one command moves at most; a whole group is moved however many it has."""


@dataclass(frozen=True, slots=True)
class Merge:
    """It is the same as the incident `into`: nobody is paged about it any more, but about that one."""

    into: str


@dataclass(frozen=True, slots=True)
class Unmerge:
    """It is not the same after all."""


@dataclass(frozen=True, slots=True)
class Split:
    """These alerts are something else: they become an incident of their own."""

    alerts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attach:
    """This belongs to the incident: a whole alert group, or some alerts of another incident."""

    group: str | None = None
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Detach:
    """This alert group does not belong to the incident: it becomes one of its own."""

    group: str


BelongingCommand = Merge | Unmerge | Split | Attach | Detach


def execute(book: Book, incident: str, command: BelongingCommand, now: datetime) -> None:
    """Decide a command about what belongs to an incident, in the book's current decision.

    `book` must hold what `involved` says. Raises Refused.
    """
    match command:
        case Merge(into=into):
            _merge(book, incident, into, now)
        case Unmerge():
            _unmerge(book, incident, now)
        case Split(alerts=alerts):
            _split(book, incident, alerts, now)
        case Attach(group=str() as group):
            _attach(book, incident, group, now)
        case Attach(alerts=alerts):
            _attach_alerts(book, incident, alerts, now)
        case Detach(group=group):
            _detach(book, incident, group, now)


# -- what a command looks at -------------------------------------------------------------------------------------------


def groups_named(command: object) -> frozenset[str]:
    """The group streams that a command names itself."""
    group = command.group if isinstance(command, Attach | Detach) else None
    return frozenset([group] if group else [])


def alerts_named(command: object) -> frozenset[str]:
    """The alerts that a command names itself."""
    return frozenset(command.alerts if isinstance(command, Split | Attach) else ())


def incidents_of(command: object, incident: Incident, groups: Iterable[Group]) -> frozenset[str]:
    """The incidents that a command on this one touches besides it, given the groups that it or its alerts name."""
    found = {stream for group in groups for stream in (group.incident, *group.earlier.values()) if stream}
    if isinstance(command, Merge):
        found.add(command.into)
    if isinstance(command, Unmerge) and incident.into:
        found.add(incident.into)
    return frozenset(found)


def involved(book: Book, incident: str, command: BelongingCommand) -> list[str]:
    """The streams whose times the decision may not precede: both incidents, and all that may be moved or stopped."""
    alerts = [book.alerts[name].group for name in sorted(alerts_named(command)) if name in book.alerts]
    groups = {name for name in (*alerts, *groups_named(command)) if name}
    states = [state for name in sorted(groups) if isinstance(state := book.streams[name].state, Group)]
    other = incidents_of(command, book.read(incident, Incident), states)
    names = [name for name in sorted({incident, *other}) if name in book.streams]
    groups |= {part.group for name in names for part in book.read(name, Incident).groups}
    return [*sorted(groups), *(stream for name in names for stream in stepping.of_incident(book, name, stops=True))]


# -- merging -----------------------------------------------------------------------------------------------------------


def _merge(book: Book, loser: str, winner: str, now: datetime) -> None:
    lost, won = book.read(loser, Incident), book.read(winner, Incident)
    if lost.into == winner:
        return
    if loser == winner:
        raise Refused(
            "bad_request_fields", f"{lost.name} cannot be merged into itself.", "Name another incident.", field="into"
        )
    if not book.streams[winner].version:
        raise Refused("bad_request_fields", "There is no such incident.", "Name one that there is.", field="into")
    _must_be_open(lost)
    _must_be_open(won)
    _must_not_be_silenced(lost, won, f"Merge {won.name} into {lost.name} instead.")
    stepping.stop(book, loser, "merged")
    parts = tuple(stepping.parts(book, loser))
    book.write(loser, belonging.Merged(winner, won.number))
    _move(book, parts, loser, winner)
    book.write(winner, belonging.Absorbed(loser, lost.number, parts))
    _raise(book, winner, lost.severity)
    stepping.settle(book, winner, now)


def _unmerge(book: Book, loser: str, now: datetime) -> None:
    lost = book.read(loser, Incident)
    if lost.into is None or lost.before is None:
        return
    winner, won = lost.into, book.read(lost.into, Incident)
    _must_be_open(won)
    back = tuple(p for p in lost.groups if book.read(p.group, Group).incident_of(p.episode) == winner)
    book.write(loser, belonging.Unmerged(winner, won.number, OPEN[lost.before], back))
    _move(book, back, winner, loser)
    book.write(winner, belonging.Parted(loser, lost.number, back))
    stepping.settle(book, loser, now)
    stepping.settle(book, winner, now)


# -- groups ------------------------------------------------------------------------------------------------------------


def _attach(book: Book, incident: str, group: str, now: datetime) -> None:
    state, episodes = book.read(incident, Incident), book.read(group, Group)
    source = episodes.incident_of(episodes.episode)
    if source is None or not episodes.is_open:
        raise _nothing_fires(group)
    if source == incident:
        return
    before, part = book.read(source, Incident), Part(group, episodes.episode)
    _must_be_open(state)
    _must_not_be_silenced(before, state, f"Merge {state.name} into {before.name} instead.")
    _must_leave(book, source, [part], 0, f"Merge {before.name} into {state.name} instead.")
    book.write(incident, belonging.GroupAttached(group, part.episode, "person", source))
    _move(book, [part], source, incident)
    book.write(source, belonging.GroupDetached(group, part.episode, incident, state.number))
    _raise(book, incident, before.severity)
    stepping.settle(book, source, now)
    stepping.settle(book, incident, now)


def _detach(book: Book, incident: str, group: str, now: datetime) -> None:
    state, episodes = book.read(incident, Incident), book.read(group, Group)
    part = Part(group, episodes.episode)
    _must_be_open(state)
    if part not in stepping.parts(book, incident):
        raise Refused(
            "bad_request_fields",
            f"That alert group does not belong to {state.name}.",
            f"See the groups of {state.name}.",
            field="group",
        )
    if not episodes.is_open:
        raise _nothing_fires(group)
    _must_leave(book, incident, [part], 0, "It has nothing else: there is nothing to detach it from.")
    made = ids.incident_stream(book.org, _key(book, incident), part.episode)
    number = book.next_number()
    book.write(incident, belonging.GroupDetached(group, part.episode, made, number))
    _open(book, made, number, state, state.severity, state.opened_at or now, part, now)
    _move(book, [part], incident, made)
    stepping.settle(book, made, now)
    stepping.settle(book, incident, now)


# -- alerts ------------------------------------------------------------------------------------------------------------


def _split(book: Book, incident: str, alerts: tuple[str, ...], now: datetime) -> None:
    state, rows = book.read(incident, Incident), _rows(book, alerts)
    _must_be_open(state)
    for row in rows:
        if _incident_of(book, row) != incident:
            raise _no_alert(row.id, f"It is no part of {state.name}.")
    _must_leave(book, incident, (), len(rows), "They are all that it has: there is nothing to split off.")
    key = _key(book, incident)
    group = ids.group_stream(book.org, key)
    made, number = ids.incident_stream(book.org, group, 1), book.next_number()
    book.write(incident, belonging.AlertsSplit(tuple(row.id for row in rows), group, made, number))
    since = min(row.source_time for row in rows)
    _open(book, made, number, state, _worst(rows), since, Part(group, 1), now)
    _take(book, rows, incident, made, key)
    stepping.settle(book, made, now)
    stepping.settle(book, incident, now)


def _attach_alerts(book: Book, incident: str, alerts: tuple[str, ...], now: datetime) -> None:
    state, rows = book.read(incident, Incident), _rows(book, alerts)
    sources = {_incident_of(book, row) or "" for row in rows}
    if sources == {incident}:
        return
    _must_be_open(state)
    if len(sources) > 1:
        raise _no_alert(rows[0].id, "It and the others do not belong to one and the same incident.")
    source = sources.pop()
    if not source:
        raise _no_alert(rows[0].id, "It belongs to no incident: nothing is said of it.")
    before = book.read(source, Incident)
    _must_not_be_silenced(before, state, f"Merge {state.name} into {before.name} instead.")
    _must_leave(book, source, (), len(rows), f"Merge {before.name} into {state.name} instead.")
    key = _key(book, source)
    group = ids.group_stream(book.org, key)
    book.write(source, belonging.AlertsSplit(tuple(row.id for row in rows), group, incident, state.number))
    book.write(incident, belonging.GroupAttached(group, 1, "person", source))
    _take(book, rows, source, incident, key)
    _raise(book, incident, _worst(rows))
    stepping.settle(book, source, now)
    stepping.settle(book, incident, now)


def _take(book: Book, rows: list[AlertRow], source: str, incident: str, key: str) -> None:
    """Have alerts leave their groups for one of their own, whose only episode belongs to `incident`."""
    state, group = book.read(source, Incident), ids.group_stream(book.org, key)
    book.write(group, EpisodeOpened(1, incident, key, (), "", state.service, state.team, state.policy))
    for row in rows:
        before = book.read(row.group or "", Group)
        why, taken = before.suppressed.get(row.id), row.id in before.acknowledged
        named = (row.id, row.integration, row.fingerprint)
        book.write(row.group or "", AlertLeft(*named, row.episode, source, group, PriorAlert.of(row)))
        book.write(group, AlertJoined(*named, 1, incident, row.group or "", why, taken))
        moved = replace(row, rev=row.rev + 1, group=group, episode=1, incident=incident)
        book.put_alert(moved)
        expiry.watch(book, moved)
        if why:
            wait_for_quiet(book, group, why)


def _rows(book: Book, alerts: tuple[str, ...]) -> list[AlertRow]:
    """The rows of these alerts, each once, which all fire. Raises Refused."""
    if not 0 < len(alerts) <= MOST_ALERTS:
        limit = f"Name 1 to {MOST_ALERTS} alerts; a whole group is attached or detached as one."
        raise Refused("bad_request_fields", "That many alerts are not moved at once.", limit, field="alerts")
    rows = []
    for name in dict.fromkeys(alerts):
        row = book.alerts.get(name)
        if row is None or row.status is not AlertStatus.FIRING or not row.group:
            raise _no_alert(name, "It does not fire.")
        rows.append(row)
    return rows


def _worst(rows: Iterable[AlertRow]) -> Severity:
    return min((row.severity for row in rows), key=lambda severity: severity.rank)


def _incident_of(book: Book, row: AlertRow) -> str | None:
    return book.read(row.group or "", Group).incident_of(row.episode)


# -- what all of them do -----------------------------------------------------------------------------------------------


def _key(book: Book, incident: str) -> str:
    """The group key of what leaves an incident now: no other ever has the same."""
    return f"{incident}/{book.streams[incident].version + 1}"


def _move(book: Book, parts: Iterable[Part], before: str, after: str) -> None:
    """Have episodes belong to another incident, with all their alerts."""
    for part in parts:
        book.write(part.group, Moved(part.episode, before, after))
        book.move_alerts(part, before, after)


def _raise(book: Book, incident: str, severity: Severity) -> None:
    """What is put together is as severe as the worse of both."""
    state = book.read(incident, Incident)
    if severity.worse_than(state.severity):
        book.write(incident, *incidents.decide(incidents.SetSeverity(severity), state))


def _open(
    book: Book,
    incident: str,
    number: int,
    model: Incident,
    severity: Severity,
    since: datetime,
    part: Part,
    now: datetime,
) -> None:
    """Open the incident of what has left another, its `model`: who is responsible stays as it was.

    It escalates from the first step, unless somebody has the model, who then has both.
    """
    opened = Opened(
        number=number,
        title=model.title,
        severity=severity,
        service=model.service,
        team=model.team,
        policy=model.policy,
        started_at=since,
        opened_at=now,
        group=part.group,
        episode=part.episode,
        ack=model.ack,
        runbook=model.runbook,
        repeat_interval=model.repeat_interval,
        group_interval=model.group_interval,
    )
    book.write(incident, opened)
    stepping.start(book, incident, 1, stepping.policy_of(book.config, model), now)
    if model.status is not IncidentStatus.TRIGGERED:
        taken = incidents.Acknowledged() if model.status is IncidentStatus.ACKNOWLEDGED else incidents.Started()
        book.write(incident, taken)
        stepping.stop(book, incident, "acknowledged")


# -- what is refused ---------------------------------------------------------------------------------------------------


def _must_be_open(incident: Incident) -> None:
    if incident.status is IncidentStatus.MERGED:
        raise incidents.merged(incident)
    if incident.status is IncidentStatus.RESOLVED:
        raise incidents.resolved(incident)


def _must_not_be_silenced(gives: Incident, takes: Incident, remedy: str) -> None:
    """What escalates until it is resolved does not become part of something that one can acknowledge."""
    if gives.ack == "refused" and takes.ack != "refused":
        detail = f"{gives.name} cannot be acknowledged, and as a part of {takes.name} it could be."
        raise Refused("ack_not_allowed", detail, remedy)


def _must_leave(book: Book, incident: str, parts: Iterable[Part], alerts: int, remedy: str) -> None:
    """Something of the incident still fires without these of its parts and that many alerts; unless it is over, or does
    not end with its alerts.
    """
    state, gone = book.read(incident, Incident), {*parts}
    left = (book.read(p.group, Group).firing_in(p.episode) for p in stepping.parts(book, incident) if p not in gone)
    if state.is_open and sum(left) <= alerts and stepping.ends_with_alerts(book, state):
        raise Refused("nothing_left", f"No other alert of {state.name} fires.", remedy)


def _nothing_fires(group: str) -> Refused:
    detail, remedy = f"No alert of {group} fires.", "Name a group with alerts that fire; see the incident's groups."
    return Refused("bad_request_fields", detail, remedy, field="group")


def _no_alert(alert: str, detail: str) -> Refused:
    remedy = "Name alerts of the incident that fire, by their ids."
    return Refused("bad_request_fields", f"Alert {alert}: {detail}", remedy, field="alerts")
