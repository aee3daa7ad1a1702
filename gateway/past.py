"""How things stood at a past instant: every stream, the configuration and the alerts, from their events up to then.

A stream's times never run backwards, so what it was then is what its events up to then make of it. What fired elsewhere
and inhibited is found among what still fires and what has ended since.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import takewhile

from domain import answers, belonging, groups, inhibition
from domain.alerts import AlertRow, AlertStatus, PriorAlert
from domain.book import Loaded
from domain.changes import ObjectPut
from domain.config import Config, Standing
from domain.correlating import Candidates, Spot
from domain.events import evolve
from domain.inhibition import Place, Side, Source
from gateway.config_history import newest_first
from gateway.past_openings import Openings, first_after
from schemas.payloads import read_alert
from streams.configuring import Key, objects_of
from streams.store import configuration
from streams.store.base import Recorded, Store

SINCE = 20_000
"""Events since then that are read for what has ended meanwhile."""
FIRING = 2_000
"""Alerts that fire now and are looked at."""
MOVES = 20
"""Groups that an alert was in, at most, back to then."""
READ = 1_000
TOGETHER = 200
"""Events of one report that are read for the ways on which it began."""
SKEW = timedelta(minutes=1)
"""How far the times of changes by several gateways may run backwards."""

Began = groups.AlertFired | groups.AlertRefired
Ended = groups.AlertResolved | groups.AlertExpired | answers.AlertClosed
Kept = groups.AlertSuppressed | groups.AlertReleased | answers.AlertAcknowledged | answers.AlertUnacknowledged
Went = belonging.AlertLeft | belonging.AlertJoined
OfAlert = Began | groups.AlertSeverityChanged | Ended | Kept | Went


@dataclass(frozen=True, slots=True)
class _Then:
    """An alert as it was, and the payload that tells its labels."""

    row: AlertRow
    payload: str


@dataclass
class Past:
    """See `streams.looking.View`. `at` is UTC; `notes` say what could not be found out, once it was asked for."""

    store: Store
    at: datetime
    notes: list[str] = field(default_factory=list)
    _read: dict[str, list[Recorded]] = field(default_factory=dict)

    def config(self) -> Config:
        """The configuration as it was then; personal data that was erased since is not in it."""
        return self._config

    @cached_property
    def _config(self) -> Config:
        """What is configured now, with every object that was changed since as it was."""
        now = self.store.config()
        objects: dict[Key, Standing] = {**objects_of(now), **{(s.kind, s.id): s for s in now.silences.values()}}
        revision = 0
        for event in newest_first(self.store):
            if event.decision.decided_at > self.at:
                self._undo(objects, event)
                continue
            revision = max(revision, event.position)
            if event.decision.decided_at <= self.at - SKEW:
                break
        return Config.of(revision, objects)

    def _undo(self, objects: dict[Key, Standing], later: Recorded) -> None:
        """Bring an object back to what it was then."""
        if isinstance(later.event, ObjectPut):
            objects.pop((later.event.object.kind, later.event.object.id), None)
        for event in self._until_then(later.stream)[-1:]:
            private = event.event.private if isinstance(event.event, ObjectPut) else None
            configuration.apply(objects, event.event, self.store.payload(private.ref) if private else None)

    def load(self, streams: Collection[str]) -> dict[str, Loaded]:
        """The streams as they stood then."""
        return {stream: self._loaded(stream) for stream in streams}

    def _loaded(self, stream: str) -> Loaded:
        loaded = Loaded.absent(stream)
        for event in self._until_then(stream):
            state = evolve(stream, loaded.state, event.event)
            loaded = Loaded(state, event.version, event.hash, event.decision.decided_at)
        return loaded

    def _until_then(self, stream: str) -> list[Recorded]:
        return [event for event in self._history(stream) if event.decision.decided_at <= self.at]

    def _history(self, stream: str) -> list[Recorded]:
        """Every event of a stream, read once."""
        if stream not in self._read:
            self._read[stream] = self.store.history(stream)
        return self._read[stream]

    def alerts(self, ids: Collection[str]) -> dict[str, AlertRow]:
        """The rows of those alerts that had been heard of."""
        found = self._alerts(self.store.alerts(ids).values())
        return {name: replace(then.row, ways=self._ways(then.row)) for name, then in found}

    def _ways(self, row: AlertRow) -> tuple[str, ...]:
        """The ways of an alert then: those that began with it, which the log has next to it, and those that fired on.

        Its row has those that it took since, which may be others.
        """
        told = [event for event in self._told(row.id, row.group or "") if event.decision.decided_at <= self.at]
        began = next((event for event in reversed(told) if isinstance(event.event, Began)), None)
        after = self.store.tail(began.position, TOGETHER) if began else []
        same = takewhile(lambda event: began is not None and event.decision.cause == began.decision.cause, after)
        found = [event.event.alert for event in same if isinstance(event.event, Began)]
        others = self._alerts(self.store.alerts(row.ways).values())
        found += [name for name, then in others if then.row.status is AlertStatus.FIRING]
        return tuple(dict.fromkeys(found))

    def _alerts(self, rows: Iterable[AlertRow]) -> Iterator[tuple[str, _Then]]:
        for row in rows:
            then = self._then(row) if row.first_seen <= self.at else None
            if then is not None:
                yield row.id, then

    def _then(self, row: AlertRow) -> _Then | None:
        """An alert as it was then, followed back through the groups that it was in since."""
        group: str | None = row.group
        for _ in range(MOVES):
            history = self._told(row.id, group) if group else []
            before = [event for event in history if event.decision.decided_at <= self.at]
            if before:
                then = _row(row, before)
                return replace(then, row=self._placed(then.row)) if then else None
            prior = getattr(history[0].event, "prior", None) if history else None
            if not isinstance(prior, PriorAlert) or prior.group == group:
                return None
            group = prior.group
        return None

    def _placed(self, row: AlertRow) -> AlertRow:
        """The row with the incident to which its episode belonged then."""
        group = self._loaded(row.group or "").state
        if row.status is not AlertStatus.FIRING or not isinstance(group, groups.Group):
            return row
        return replace(row, incident=group.incident_of(row.episode))

    def _told(self, alert: str, group: str) -> list[Recorded]:
        """What happened to an alert in a group; before that in the one that it was split off from, if it was."""
        own = [event for event in self._history(group) if _alert_of(event) == alert]
        first = own[0].event if own else None
        if not isinstance(first, belonging.AlertJoined):
            return own
        return [*(e for e in self._told(alert, first.came_from) if e.position < own[0].position), *own]

    def standing(self, alerts: Collection[str]) -> dict[str, tuple[Side, ...]]:
        """Where alerts stood only matters to what is saved."""
        return {}

    def sources(self, places: Collection[Place]) -> dict[Place, dict[str, Source]]:
        """The alerts that fired then and inhibited at these places."""
        rules = tuple(self._config.inhibition_rules.values())
        found: dict[Place, dict[str, Source]] = {}
        for name, then in self._alerts(self._candidates()) if places else ():
            body = self.store.payload(then.payload)
            if then.row.status is not AlertStatus.FIRING or body is None:
                continue
            alert = read_alert(body)
            facts = self._config.facts(alert.labels, alert.annotations, alert.severity.value, then.row.integration)
            for side in inhibition.sides(rules, facts):
                if side.is_source and side.place in places:
                    found.setdefault(side.place, {})[name] = Source(then.row.group or "", side.is_target)
        return found

    def candidates(self, spots: Mapping[Spot, datetime]) -> Candidates:
        """The incidents that stood at these spots, and were open."""
        return Openings(self.store, self._config, self.at, self._loaded, self.notes).candidates(spots)

    def _candidates(self) -> Iterator[AlertRow]:
        """What may have fired then: what fires now, and what has ended since."""
        firing = self.store.firing(None, FIRING + 1)
        ended = {event.event.alert for event in self._since() if isinstance(event.event, Ended)}
        if len(firing) > FIRING:
            self.notes.append(f"Of what fires, the latest {FIRING:,} alerts were looked at for what inhibits.")
        yield from (alert.row for alert in firing[:FIRING])
        yield from self.store.alerts(ended - {alert.row.id for alert in firing}).values()

    def _since(self) -> Iterator[Recorded]:
        """The events that were decided after that instant, the oldest first, up to a bound."""
        after = first_after(self.store, self.at)
        limit = after + SINCE
        while after < limit and (read := self.store.tail(after, min(READ, limit - after))):
            yield from (event for event in read if event.decision.decided_at > self.at)
            after = read[-1].position
        if after >= limit and self.store.head() > after:
            self.notes.append(f"What ended more than {SINCE:,} events later was not looked at for what inhibited.")


def _alert_of(event: Recorded) -> str | None:
    return event.event.alert if isinstance(event.event, OfAlert) else None


def _row(now: AlertRow, events: list[Recorded]) -> _Then | None:
    """The row after an alert's events. What no decision reads of it is as it is now."""
    then: _Then | None = None
    for recorded in events:
        event, at = recorded.event, recorded.decision.decided_at
        if isinstance(event, Began):
            then = _Then(_begun(now, event, recorded.stream, at), event.payload.ref)
        elif isinstance(event, groups.AlertSeverityChanged) and then:
            then = _Then(_saying(then.row, event), event.payload.ref)
        elif isinstance(event, belonging.AlertJoined) and then:
            joined = replace(then.row, group=recorded.stream, episode=event.episode, incident=event.incident)
            then = replace(then, row=joined)
        elif isinstance(event, Ended) and then:
            then = replace(then, row=_over(then.row, event, at))
        elif isinstance(event, answers.AlertAcknowledged | answers.AlertUnacknowledged) and then:
            actor = recorded.decision.cause.actor
            by = f"{actor.kind}:{actor.id}" if isinstance(event, answers.AlertAcknowledged) else None
            then = replace(then, row=replace(then.row, acknowledged=by))
        elif isinstance(event, groups.AlertSuppressed | groups.AlertReleased) and then:
            quiet = f"{event.reason}/{event.rule}" if isinstance(event, groups.AlertSuppressed) else None
            row = replace(then.row, suppressed=quiet, episode=event.episode, incident=event.incident or None)
            then = replace(then, row=row)
    return then


def _over(row: AlertRow, event: Ended, at: datetime) -> AlertRow:
    """The row of an alert that has ended. That a person says so is no change of the alert itself."""
    row = replace(row, status=AlertStatus.RESOLVED, suppressed=None, acknowledged=None)
    match event:
        case answers.AlertClosed(prior=prior):
            return replace(row, closed=prior.source_time)
        case groups.AlertResolved(source_time=source_time, received_at=received_at, receipt=receipt):
            row = replace(row, source_time=source_time, received_at=received_at, receipt=receipt)
    return replace(row, flips=row.flipped(at))


def _saying(row: AlertRow, event: Began | groups.AlertSeverityChanged) -> AlertRow:
    """The row of an alert with what it was reported to say."""
    return replace(
        row,
        severity=event.severity,
        source_time=event.source_time,
        received_at=event.received_at,
        receipt=event.receipt,
        payload=event.payload.ref,
    )


def _begun(now: AlertRow, event: Began, group: str, at: datetime) -> AlertRow:
    """The row of an alert that began to fire in a group."""
    return replace(
        _saying(now, event),
        status=AlertStatus.FIRING,
        group=group,
        episode=event.episode,
        incident=event.incident or None,
        suppressed=None,
        acknowledged=None,
        closed=None,
        flips=replace(now, flips=event.prior.flips if event.prior else ()).flipped(at),
    )
