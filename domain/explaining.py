"""What would become of an alert, and why: the decisions of the fold, the review and the pager, made and not saved.

Nothing is decided here a second time: an alert is folded, on each of its ways, into a book that nobody saves, and the
escalations are walked to their ends by the pager's own steps. What those do not say (every matcher that was tried,
every rule that suppresses beside the one that counted) is asked of the functions that they ask.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Literal

from domain import escalations, folding, ids, incidents, reporting, reviewing, stepping
from domain.alerts import Alert, AlertRow, AlertStatus, Receipt
from domain.belonging import GroupAttached
from domain.book import Book, Due, Entry
from domain.config import Config
from domain.decision import PayloadRef
from domain.folding import Way
from domain.groups import EpisodeOpened, Group
from domain.inhibition import Inhibitor
from domain.matching import Matcher
from domain.reporting import Report
from domain.routing import Node, Routing
from domain.suppression import Past, Suppression, suppression

PAGES = 1_000
"""Pages that are foretold; a policy of many loops would have many more."""
POINTER = "explain/0/0@0"

Fate = Literal["opens", "reopens", "joins", "is_in", "waits", "feeds"]
"""What an alert would do: open the next incident of its group, reopen the one before, join the open one, go on in the
one it is in, wait outside any because nothing is to be said of it, or feed a heartbeat and be nothing else.
"""


@dataclass(frozen=True, slots=True)
class TriedMatcher:
    """A matcher, what the alert has there ("" if nothing), and whether that matches."""

    matcher: Matcher
    actual: str
    matched: bool


@dataclass(frozen=True, slots=True)
class TriedRoute:
    """A route that the alert came by. `taken`: it goes this way and no further down.

    `untried` says how many of the routes below were not looked at, because one before them ended the search.
    """

    node: Node
    matchers: tuple[TriedMatcher, ...]
    matched: bool
    taken: bool
    below: tuple["TriedRoute", ...] = ()
    untried: int = 0


@dataclass(frozen=True, slots=True)
class Paging:
    """A page as it would be queued: when (UTC), to whom, by what, because of which target of which step."""

    at: datetime
    user: str
    method: str
    target: str
    policy: str
    loop: int
    step: int


@dataclass(frozen=True, slots=True)
class Skipping:
    """A step that would reach nobody."""

    at: datetime
    policy: str
    loop: int
    step: int


@dataclass(frozen=True, slots=True)
class Future:
    """What an incident's escalation would do if nobody answered.

    `ends_at` is when it would have told everybody, or has, `repeats_at` when it would begin again; None: never, or
    beyond what is foretold. `unpaged` says why it pages nobody, if it does.
    """

    pages: tuple[Paging, ...] = ()
    skipped: tuple[Skipping, ...] = ()
    ends_at: datetime | None = None
    repeats_at: datetime | None = None
    unpaged: str | None = None


@dataclass(frozen=True, slots=True)
class Destiny:
    """What an alert would do with which incident. `stream`, `number` and `status` are None where there is none yet.

    `rule` is the correlation rule by which it joins one of another group, `because` says why.
    """

    fate: Fate
    stream: str | None = None
    number: int | None = None
    status: str | None = None
    rule: str | None = None
    because: str | None = None


@dataclass(frozen=True, slots=True)
class OnWay:
    """What would become of an alert on one of its ways, which is that of the route `routed`; `alert` is its id there.

    `suppressed_by` are the rules that suppress it there, the one that counts first. `quieted`: nothing is to be said of
    it there.
    """

    alert: str
    routed: Routing
    suppressed_by: tuple[Suppression, ...]
    quieted: bool
    destiny: Destiny
    future: Future = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Explained:
    """What would become of one alert at `at` (UTC).

    `routes` are those that it would take if it began now, `ways` those on which it is or begins, each with an incident
    of its own. `fed` are the heartbeats that it feeds: nothing else comes of it then, and it has no ways.
    """

    at: datetime
    report: Report
    facts: Mapping[str, str]
    tried: TriedRoute
    routes: tuple[Routing, ...]
    ways: tuple[OnWay, ...] = ()
    fed: tuple[str, ...] = ()

    @property
    def quieted(self) -> bool:
        """Whether nothing is to be said of it on any of its ways."""
        return bool(self.ways) and all(way.quieted for way in self.ways)

    @property
    def telling(self) -> tuple[OnWay, ...]:
        """The ways that lead to incidents: of several that lead to the same one, which tells all once, the first."""
        into: dict[str | None, OnWay] = {way.destiny.stream: way for way in reversed(self.ways) if way.destiny.stream}
        return tuple(way for way in self.ways if into.get(way.destiny.stream) is way)

    @property
    def pages(self) -> tuple[tuple[OnWay, Paging], ...]:
        """Who would be paged because of which way, on all of them, in the order of time; `PAGES` at most."""
        found = [(way, page) for way in self.telling for page in way.future.pages]
        return tuple(sorted(found, key=lambda each: each[1].at)[:PAGES])


def report_of(alert: Alert, integration: str, index: int, now: datetime) -> Report:
    """An alert as if it was reported at `now` (UTC) to begin to fire then."""
    fires = replace(alert, status=AlertStatus.FIRING, source_time=now, ends_at=None)
    return Report(fires, index, Receipt("explain", integration, now, POINTER))


def explain(book: Book, reports: Sequence[Report], now: datetime) -> tuple[Explained, ...]:
    """What would become of alerts that are reported together, in their order, and not be decided otherwise since.

    `book` must hold what `folding.fold` and `stepping.run` may look at; it is not to be saved. Raises ValueError when
    no usable routing tree is configured.
    """
    told = [_folded(book, report, now) for report in reports]
    streams = {way.destiny.stream for one in told for way in one.ways if way.destiny.stream}
    futures: dict[str | None, Future] = {stream: _future(book, stream, now) for stream in sorted(streams)}
    return tuple(
        replace(one, ways=tuple(replace(way, future=futures.get(way.destiny.stream, Future())) for way in one.ways))
        for one in told
    )


def tried(node: Node, facts: Mapping[str, str]) -> TriedRoute:
    """Every matcher that is tried on the way through the tree, as `routing.found` walks it."""
    matchers = tuple(TriedMatcher(m, facts.get(m.label, ""), m.matches(facts)) for m in node.route.matchers)
    if not node.matches(facts):
        return TriedRoute(node, matchers, matched=False, taken=False)
    below: list[TriedRoute] = []
    for child in node.children:
        below.append(tried(child, facts))
        if below[-1].matched and not child.route.continues:
            break
    taken = not any(child.matched for child in below)
    return TriedRoute(node, matchers, True, taken, tuple(below), len(node.children) - len(below))


def _folded(book: Book, report: Report, now: datetime) -> Explained:
    """Fold one report and tell what came of it, but for what escalates."""
    config, facts = book.config, reporting.facts_of(book.config, report)
    if config.tree is None:
        raise ValueError("no routing tree is configured")
    routes, way = config.routes(facts), tried(config.tree, facts)
    fed = tuple(beat.id for beat in config.feeding if all(matcher.matches(facts) for matcher in beat.fed_by))
    if fed:
        return Explained(now, report, facts, way, routes, fed=fed)
    return Explained(now, report, facts, way, routes, tuple(_on_ways(book, report, routes, now)))


def _on_ways(book: Book, report: Report, routes: Sequence[Routing], now: datetime) -> Iterator[OnWay]:
    """Fold a report on each of its ways, as `folding.fold` does, then look again at what fired already."""
    ways = folding.ways_of(book, report)
    before = {way.alert: book.alerts.get(way.alert) for way in ways}
    by = {way.alert: _routed(book, report, way, before[way.alert], routes) for way in ways}
    quieting: dict[str, tuple[Suppression, ...]] = {}
    entries: dict[str, list[Entry]] = {}
    for way in ways:
        quieting[way.alert] = tuple(_quieting(book, report, way.alert, by[way.alert], now))
        entries[way.alert] = _decided(book, partial(folding.fold_way, book, report, way))
    known = reviewing.Known(report.alert, PayloadRef("explain", ""))
    for name, row in before.items():
        if _fires(row):
            entries[name] += _decided(book, partial(reviewing.review, book, name, known, now))
    for name, row in before.items():
        quieted = book.alerts[name].suppressed is not None
        yield OnWay(name, by[name], quieting[name], quieted, _destiny(book, book.alerts[name], row, entries[name]))


def _routed(book: Book, report: Report, way: Way, row: AlertRow | None, routes: Sequence[Routing]) -> Routing:
    """The route of a way: what fires already is judged by that which has brought it into its group."""
    if row and _fires(row):
        return reviewing.way_of(book.config, book.org, reporting.facts_of(book.config, report), row)
    return way.routed or routes[0]


def _fires(row: AlertRow | None) -> bool:
    return row is not None and row.status is AlertStatus.FIRING


def _decided(book: Book, decide: Callable[[], None]) -> list[Entry]:
    """What `decide` writes into the book."""
    first = len(book.entries)
    decide()
    return book.entries[first:]


def _destiny(book: Book, row: AlertRow, before: AlertRow | None, entries: Iterable[Entry]) -> Destiny:
    events = [entry.event for entry in entries]
    joins = next((event for event in events if isinstance(event, GroupAttached)), None)
    if joins and row.incident:
        state = book.read(row.incident, incidents.Incident)
        return Destiny("joins", row.incident, state.number, state.status.value, joins.rule, joins.because)
    if any(isinstance(event, EpisodeOpened) for event in events):
        return Destiny("opens", row.incident)
    if not row.incident:
        return Destiny("waits")
    state = book.read(row.incident, incidents.Incident)
    fate: Fate = "is_in" if before and _fires(before) and before.incident else "joins"
    if any(isinstance(event, incidents.Reopened) for event in events):
        fate = "reopens"
    return Destiny(fate, row.incident, state.number, state.status.value)


# -- what suppresses ----------------------------------------------------------------------------------------------


def _quieting(book: Book, report: Report, alert: str, routed: Routing, now: datetime) -> Iterator[Suppression]:
    """Every rule that suppresses an alert on a way, the one that counts first: what would do so if those before it were
    gone.
    """
    config, row = book.config, book.alerts.get(alert)
    facts = reporting.facts_of(config, report)
    flips = (now,) if row is None else row.flips if _fires(row) else row.flipped(now)
    stream = row.group if row and row.group and _fires(row) else ids.group_stream(book.org, routed.group_key)
    past = Past(flips, book.read(stream, Group).ended_at)
    asked = _Asked(config, routed, book.inhibitor(alert, reporting.sides_of(config, report)), past)
    while why := suppression(asked.config, facts, asked.routed, asked.inhibitor, asked.past, now):
        yield why
        asked = asked.without(why)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `suppression` is asked about."""

    config: Config
    routed: Routing
    inhibitor: Inhibitor | None
    past: Past

    def without(self, why: Suppression) -> "_Asked":
        """The same, as if this rule were not there."""
        config = self.config
        match why.reason:
            case "silence":
                silences = {name: one for name, one in config.silences.items() if name != why.rule}
                return replace(self, config=replace(config, silences=silences))
            case "maintenance_window":
                windows = {name: one for name, one in config.windows.items() if name != why.rule}
                return replace(self, config=replace(config, windows=windows))
            case "inhibition":
                return replace(self, inhibitor=None)
            case "time_interval":
                mute = tuple(name for name in self.routed.mute_time_intervals if name != why.rule)
                active = () if mute == self.routed.mute_time_intervals else self.routed.active_time_intervals
                routed = replace(self.routed, mute_time_intervals=mute, active_time_intervals=active)
                return replace(self, routed=routed)
            case "flapping":
                return replace(self, past=replace(self.past, flips=()))
            case "suppression_window":
                return replace(self, past=replace(self.past, ended_at=None))


# -- who is paged -------------------------------------------------------------------------------------------------


def _future(book: Book, incident: str, now: datetime) -> Future:
    """Walk an incident's escalation from `now` (UTC) on, as the pager would when nobody answers."""
    known = book.read(incident, incidents.Incident)
    stream = ids.escalation_stream(book.org, incident, known.runs)
    state = book.read(stream, escalations.Escalation)
    if state.due_at is None:
        return _over(known, state, book.streams[stream].last_at)
    pages: list[Paging] = []
    skipped: list[Skipping] = []
    due_at: datetime | None = state.due_at
    policy = state.policy.id if state.policy else ""
    while due_at and len(pages) < PAGES:
        at = max(due_at, now)
        for event in _run(book, Due(stepping.ESCALATE, stream, due_at), at):
            match event:
                case escalations.StepNotified(loop=loop, step=step):
                    pages += [Paging(at, n.user, n.method, n.target, policy, loop, step) for n in event.notified]
                case escalations.StepSkipped(loop=loop, step=step):
                    skipped.append(Skipping(at, policy, loop, step))
                case escalations.Exhausted():
                    left = book.due_put.get((stepping.ESCALATE, stream))
                    return Future(tuple(pages), tuple(skipped), at, left.at if left else None)
        due_at = book.read(stream, escalations.Escalation).due_at
    return Future(tuple(pages), tuple(skipped))


def _over(incident: incidents.Incident, state: escalations.Escalation, ended_at: datetime | None) -> Future:
    """Of an escalation that is over, since `ended_at`: nobody is paged now."""
    if incident.status is not incidents.IncidentStatus.TRIGGERED:
        return Future(unpaged=f"{incident.name} is {incident.status.value.replace('_', ' ')}")
    if state.status is not escalations.EscalationStatus.EXHAUSTED:
        return Future(unpaged=f"nothing is said of {incident.name} for now")
    told = f"everybody was told of {incident.name}, and nobody answered"
    again = stepping.repeats_at(incident, ended_at) if ended_at else None
    why = told if again else f"{told}; its route has no repeat_interval"
    return Future(ends_at=ended_at, repeats_at=again, unpaged=why)


def _run(book: Book, due: Due, at: datetime) -> list[object]:
    """What a deadline that is met at `at` decides."""
    entries = _decided(book, partial(stepping.run, book, due, at))
    return [entry.event for entry in entries if entry.stream == due.key]
