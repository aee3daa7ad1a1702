"""What is explained is what then happens: routes, what suppresses, the incident, who is paged if nobody answers."""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain import escalations, groups, incidents
from domain.alerts import Alert, AlertRow
from domain.belonging import GroupAttached
from domain.explaining import Explained, OnWay, TriedRoute
from domain.reporting import alert_id_of
from domain.routing import found
from gateway.past import Past
from schemas.sources import SOURCES
from schemas.sources.parsed import DEFAULT_LIMITS
from streams.looking import Blank, View, look
from streams.store.base import Recorded
from streams.store.memory import MemoryStore
from tests.memory_world import ORG, MemoryWorld
from tests.world import CONFIG, alert, webhook

CASES: list[tuple[str, dict[str, Any]]] = [
    ("Net", {"service": "payments"}),
    ("Net", {"service": "payments", "severity": "warning"}),
    ("Disk", {"service": "catalogue", "patience": "yes"}),
    ("NobodyHome", {"service": "payments", "severity": "info"}),
    ("Nightly", {"service": "catalogue"}),
    ("Net", {"service": "payments", "instance": "2"}),
    ("Twice", {"service": "payments"}),
    ("Twice", {"service": "catalogue", "severity": "warning"}),
]
RULES = """
inhibition_rules:
  worse: {source_matchers: ['severity="critical"'], target_matchers: ['severity=~"warning|info"'], equal: [service]}
correlation_rules:
  upstream: {within: 10m, incident_matchers: ['severity="critical"']}
time_intervals:
  small-hours: [{times: [{start_time: "03:20", end_time: "03:40"}]}]
maintenance_windows:
  disks: {start: "2026-03-02T03:10:00Z", duration: 10m, services: [catalogue]}
"""
SAYING = """
    - {matchers: ['alertname="Nightly"'], mute_time_intervals: [small-hours]}
    - {matchers: ['alertname="Net", severity="critical"'], flap_threshold: 3, flap_window: 1h, reopen_within: 5m}
    - {matchers: ['alertname="NobodyHome"'], suppress_for: 10m, policy: nobody-then-grace, repeat_interval: 20m}
    - {matchers: ['alertname="Twice"'], team: search, policy: search-only, mute_time_intervals: [small-hours],
       continue: true}
    - {matchers: ['alertname=~"Twice|Thrice", severity="critical"'], suppress_for: 10m, continue: true}
    - {matchers: ['alertname=~"Twice|Thrice"'], flap_threshold: 3, flap_window: 1h, policy: nobody-then-grace}
"""
MUTED = """
    - {matchers: ['alertname="Both"'], team: search, policy: search-only, mute_time_intervals: [night], continue: true}
    - {matchers: ['severity="critical"'], team: platform, policy: bob-only}
"""
BOB = (
    CONFIG.replace("users:\n", "users:\n  bob: {name: Bob Example, email: bob@example.test}\n")
    .replace(
        "escalation_policies:\n",
        "escalation_policies:\n  bob-only: {steps: [{targets: [{user: bob}], escalate_after: 5m}]}\n",
    )
    .replace("  routes:\n", "  routes:" + MUTED)
    + "time_intervals:\n  night: [{times: [{start_time: '02:00', end_time: '05:00'}]}]\n"
)
RICH = (
    CONFIG.replace("  routes:\n", "  routes:" + SAYING)
    .replace("escalate_after: 10m", "escalate_after: 150s")
    .replace("catalogue: {", "catalogue: {dependencies: [payments], ")
    + RULES
)
SEEN: Counter[str] = Counter()

numbers = st.integers(0, len(CASES) - 1)
turns = st.one_of(
    st.tuples(st.just("fire"), numbers),
    st.tuples(st.just("fire"), numbers),
    st.tuples(st.just("end"), numbers),
    st.tuples(st.just("hush"), numbers),
    st.tuples(st.just("ack"), numbers),
    st.tuples(st.just("wait"), st.sampled_from([5, 60, 310, 600])),
)
histories = st.lists(turns, max_size=14)


def led_up_to(number: int, *verbs: str) -> list[tuple[str, int]]:
    return [(verb, number) if not verb.isdigit() else ("wait", int(verb)) for verb in verbs]


twice, brief = st.sampled_from([6, 7]), st.lists(turns, max_size=3)
scenes = st.one_of(
    st.tuples(histories, numbers),
    st.builds(lambda past: ([*past, *led_up_to(0, "fire", "end", "fire", "end", "fire", "end")], 0), histories),
    st.builds(lambda past: ([*past, *led_up_to(0, "fire", "end", "310")], 0), histories),
    st.builds(lambda past: ([*past, *led_up_to(0, "fire", "end")], 5), st.lists(turns, max_size=3)),
    st.builds(lambda past: ([*past, *led_up_to(0, "fire")], 5), st.lists(turns, max_size=3)),
    st.builds(lambda past: ([*past, *led_up_to(3, "fire", "end")], 3), st.lists(turns, max_size=3)),
    st.builds(lambda past: ([*past, *led_up_to(0, "fire")], 2), st.lists(turns, max_size=3)),
    st.sampled_from([(led_up_to(4, "600", "600", "5"), 4), (led_up_to(2, "600", "5"), 2)]),
    st.tuples(histories, twice),
    st.builds(lambda past, number: ([*past, *led_up_to(number, "600", "600", "5")], number), brief, twice),
    st.builds(lambda past, number: ([*past, *led_up_to(number, "fire", "end", "fire", "end")], number), brief, twice),
)
"""What happened, and the alert that is asked about; turns that lead somewhere more often than chance would."""


def world_of() -> MemoryWorld:
    store = MemoryStore()
    world = MemoryWorld(store, RICH)
    store.wall = world.now
    return world


def live(world: MemoryWorld, history: list[tuple[str, int]]) -> None:
    for verb, number in history:
        name, labels = CASES[number] if verb != "wait" else ("", {})
        match verb:
            case "fire":
                world.fire(name, **labels)
            case "end":
                world.end(name, **labels)
            case "hush":
                world.silence(7, 0, alertname=name)
            case "ack":
                open_ = [seen.name for seen in world.incidents() if seen.status == "triggered"]
                if open_:
                    world.ack(open_[number % len(open_)])
            case _:
                world.advance(seconds=number)
        world.advance(seconds=5)


def of(world: MemoryWorld, number: int) -> tuple[Alert, ...]:
    name, labels = CASES[number]
    body = webhook([alert(name, labels, world.now())])
    return SOURCES["alertmanager"](json.dumps(body).encode(), DEFAULT_LIMITS).alerts


def explained(world: MemoryWorld, number: int, view: View | None = None, at: datetime | None = None) -> Explained:
    (one,) = look(view or world.store, ORG, "alertmanager", of(world, number), at or world.now())
    return one


def notified(events: list[Recorded], escalation: set[str]) -> list[tuple[datetime, str, str, str]]:
    return [
        (event.decision.decided_at, said.user, said.method, said.target)
        for event in events
        if isinstance(event.event, escalations.StepNotified) and event.stream in escalation
        for said in event.event.notified
    ]


def taken(route: TriedRoute) -> list[str]:
    return [route.node.path] * route.taken + [path for below in route.below for path in taken(below)]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(scenes)
def test_what_is_explained_is_what_then_happens(scene: tuple[list[tuple[str, int]], int]) -> None:
    history, number = scene
    world = world_of()
    live(world, history)
    before = world.store.head()
    said = explained(world, number)
    assert world.store.head() == before, "explaining saves nothing"
    name, labels = CASES[number]
    world.fire(name, **labels)
    happened = world.store.tail(before, 1_000)
    rows = {found.row.id: found.row for found in world.store.firing_among([way.alert for way in said.ways])}
    assert [way.alert for way in said.ways] == fold_ways_of(said, rows)
    for way in said.ways:
        row = rows[way.alert]
        SEEN[way.destiny.fate] += 1
        SEEN.update(why.reason for why in way.suppressed_by)
        assert way.quieted == (row.suppressed is not None)
        assert [str(why) for why in way.suppressed_by[:1]] == [row.suppressed] * way.quieted
        assert way.destiny.stream == row.incident
    fates = [way.destiny.fate for way in said.ways]
    opening = [way.routed.path for way in said.ways if way.destiny.fate == "opens" or way.destiny.rule]
    attached = [e.event.because for e in happened if isinstance(e.event, GroupAttached)]
    assert attached == [way.destiny.because for way in said.ways if way.destiny.rule]
    SEEN["correlation"] += len(attached)
    assert [e.event.route for e in happened if isinstance(e.event, groups.EpisodeOpened)] == opening
    assert len([e for e in happened if isinstance(e.event, incidents.Reopened)]) == fates.count("reopens")
    SEEN["several ways"] += len(said.ways) > 1
    SEEN["one of several is quiet"] += len({way.quieted for way in said.ways}) > 1
    _pages_as_told(world, said, before)


def fold_ways_of(said: Explained, rows: Mapping[str, AlertRow]) -> list[str]:
    """The alerts that it is by now, its own first."""
    own = alert_id_of(ORG, said.report)
    return [own, *rows[own].ways]


def _is_foretold_otherwise(way: OnWay) -> bool:
    """Whether something that nobody foretells (the end of a silence) may announce it again before the last page."""
    return bool(way.suppressed_by) or way.destiny.fate == "is_in"


def _pages_as_told(world: MemoryWorld, said: Explained, before: int) -> None:
    """Nobody answers, and nothing else happens: for as long as what suppresses stays as it is."""
    telling = [way for way in said.telling if not _is_foretold_otherwise(way)]
    pages = [page for way in telling for page in way.future.pages]
    assert [page for way, page in said.pages if way in telling] == sorted(pages, key=lambda page: page.at)
    start, last = world.now(), max((page.at for page in pages), default=world.now())
    world.advance(seconds=(last - start).total_seconds() + 60)
    log, everything = world.store.tail(before, 10_000), world.store.tail(0, 10_000)
    changed = [e.event for e in log if isinstance(e.event, groups.AlertSuppressed | groups.AlertReleased)]
    attached = {e.stream for e in log if isinstance(e.event, GroupAttached)}
    touched = attached | {event.incident for event in changed if event.alert not in {way.alert for way in said.ways}}
    touched |= {event.incident for event in changed if isinstance(event, groups.AlertReleased)}
    for way in telling:
        incident = way.destiny.stream
        if incident in touched:
            continue
        SEEN["pages"] += bool(way.future.pages)
        SEEN["pages beside a quiet way"] += bool(way.future.pages) and way is not said.ways[0] and said.ways[0].quieted
        escalating = {
            e.stream for e in everything if isinstance(e.event, escalations.Started) and e.event.incident == incident
        }
        told = [(page.at, page.user, page.method, page.target) for page in way.future.pages]
        assert notified(log, escalating)[: len(told)] == told
        if way.future.ends_at is None or way.future.repeats_at is None:
            assert len(notified(log, escalating)) == len(told)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(scenes, histories)
def test_a_past_instant_is_explained_as_it_was_then(
    scene: tuple[list[tuple[str, int]], int], later: list[tuple[str, int]]
) -> None:
    history, number = scene
    world = world_of()
    live(world, history)
    at, then = world.now(), explained(world, number)
    world.advance(seconds=5)
    live(world, later)
    world.configure(RICH.replace("policy: two-steps", "policy: search-only"))
    past = Past(world.store, at)
    assert told_of(explained(world, number, past, at)) == told_of(then)
    assert not past.notes


def says(world: MemoryWorld, severity: str) -> None:
    """An alert of payments that keeps its fingerprint, as other sources than Prometheus have it, says a severity."""
    began = world._fired_at.setdefault("says", world.now())
    member = alert("Says", {"service": "payments"}, began)
    world.advance(seconds=5)
    world.post(webhook([{**member, "labels": {**member["labels"], "severity": severity}}]))


def test_a_past_instant_has_the_severity_that_an_alert_said_then() -> None:
    world, seen = world_of(), []
    for severity in ("info", "critical", "low"):
        says(world, severity)
        (found,) = world.store.firing(None, 10)
        seen.append((world.now(), found.row, told_of(explained(world, 1))))
    assert [row.severity for _, row, _ in seen] == ["info", "critical", "low"]
    assert len({told[1][0].quieted for _, _, told in seen}) == 2, "what is critical inhibits"
    for at, row, told in seen:
        past = Past(world.store, at)
        (then,) = past.alerts([row.id]).values()
        assert said_of(then) == said_of(row)
        assert told_of(explained(world, 1, past, at)) == told


def test_the_severity_of_a_past_instant_outlives_the_alert() -> None:
    world = world_of()
    says(world, "info")
    says(world, "critical")
    (found,) = world.store.firing(None, 10)
    at, told = world.now(), told_of(explained(world, 1))
    world.advance(seconds=5)
    world.end("Says", service="payments")
    past = Past(world.store, at)
    (then,) = past.alerts([found.row.id]).values()
    assert said_of(then) == said_of(found.row)
    assert told_of(explained(world, 1, past, at)) == told


def said_of(row: AlertRow) -> tuple[object, ...]:
    return (row.status, row.severity, row.source_time, row.received_at, row.receipt, row.payload, row.suppressed)


def test_the_ways_of_a_past_instant_are_those_of_then() -> None:
    world = world_of()
    world.fire("Twice", service="payments")
    world.advance(seconds=5)
    at, then = world.now(), explained(world, 6)
    assert len(then.ways) == 3
    world.advance(seconds=5)
    world.end("Twice", service="payments")
    world.configure(CONFIG)
    world.fire("Twice", service="payments")
    assert len(explained(world, 6).ways) == 1
    assert told_of(explained(world, 6, Past(world.store, at), at)) == told_of(then)


def test_a_way_that_fired_on_is_one_of_a_past_instant() -> None:
    world = world_of()
    world.fire("Twice", service="payments")
    world.command_alert("resolve", "Twice", service="payments")
    world.advance(minutes=1)
    world.post(webhook([alert("Twice", {"service": "payments"}, world.now())]))
    at, then = world.now(), explained(world, 6)
    assert [way.destiny.fate for way in then.ways] == ["is_in"] * 3
    world.advance(seconds=5)
    world.end("Twice", service="payments")
    assert told_of(explained(world, 6, Past(world.store, at), at)) == told_of(then)


def told_of(one: Explained) -> tuple[Any, ...]:
    return (one.routes, one.ways, taken(one.tried))


labels_of_routes = st.fixed_dictionaries(
    {"alertname": st.sampled_from(["Net", "NobodyHome", "Disk"])},
    optional={"severity": st.sampled_from(["critical", "info"]), "patience": st.just("yes")},
)


@settings(deadline=None, derandomize=True)
@given(labels_of_routes)
def test_the_routes_that_are_shown_as_taken_are_those_that_are_found(labels: dict[str, str]) -> None:
    config = MemoryWorld(config=RICH.replace("reopen_within: 5m}", "reopen_within: 5m, continue: true}")).store.config()
    body = {"version": "4", "alerts": [{"status": "firing", "labels": labels}]}
    alerts = SOURCES["alertmanager"](json.dumps(body).encode(), DEFAULT_LIMITS).alerts
    (one,) = look(Blank(config), ORG, "alertmanager", alerts, MemoryWorld().now())
    assert config.tree is not None
    assert taken(one.tried) == [node.path for node in found(config.tree, one.facts)] == [r.path for r in one.routes]


def test_every_rule_that_suppresses_is_told_the_one_that_counts_first() -> None:
    world = world_of()
    for _ in range(3):
        world.fire("Net", service="payments")
        world.advance(seconds=5)
        world.end("Net", service="payments")
        world.advance(seconds=5)
    short = world.silence(5, 0, service="payments")
    long = world.silence(9, 0, alertname="Net")
    (way,) = explained(world, 0).ways
    rules = [(why.reason, why.rule) for why in way.suppressed_by]
    route = explained(world, 0).routes[0].path
    assert rules == [("silence", long), ("silence", short), ("flapping", route)]


def test_what_fires_is_explained_for_a_time_to_come() -> None:
    world = world_of()
    world.fire("Net", service="payments")
    silence = world.silence(30, 10, service="payments")
    assert not explained(world, 0).quieted
    later = explained(world, 0, at=world.now() + timedelta(minutes=15))
    (way,) = later.ways
    assert (later.quieted, way.destiny.fate, later.pages) == (True, "is_in", ())
    assert [why.rule for why in way.suppressed_by] == [silence]


def test_a_way_that_is_muted_does_not_hide_who_is_paged_on_the_next() -> None:
    world = MemoryWorld(config=BOB)
    body = webhook([alert("Both", {"service": "payments"}, world.now())])
    alerts = SOURCES["alertmanager"](json.dumps(body).encode(), DEFAULT_LIMITS).alerts
    (said,) = look(world.store, ORG, "alertmanager", alerts, world.now())
    muted, loud = said.ways
    assert [(why.reason, why.rule) for why in muted.suppressed_by] == [("time_interval", "night")]
    assert (muted.quieted, muted.destiny.fate, loud.quieted, loud.destiny.fate) == (True, "waits", False, "opens")
    assert not said.quieted, "it is spoken of on one of its ways"
    assert [(way, page.user) for way, page in said.pages] == [(loud, "bob")]
    world.fire("Both", service="payments")
    world.expect_page("bob", "INC-1")
    world.advance(minutes=5)
    world.close()


def test_what_one_incident_says_of_several_ways_it_says_once() -> None:
    world = world_of()
    world.fire("Twice", service="payments")
    world.merge("INC-1", "INC-2")
    world.merge("INC-3", "INC-2")
    said = explained(world, 6)
    assert [way.destiny.number for way in said.ways] == [2, 2, 2]
    assert [(way, page.user) for way, page in said.pages] == [(said.ways[0], who) for who in ("grace", "ada", "grace")]


def test_a_way_that_a_person_closed_begins_again_beside_those_that_fire() -> None:
    world = world_of()
    world.fire("Twice", service="payments")
    world.command_alert("resolve", "Twice", service="payments")
    world.advance(minutes=1)
    assert [way.destiny.fate for way in explained(world, 6).ways] == ["opens", "is_in", "is_in"]


def test_a_deadline_that_was_missed_is_met_now() -> None:
    world = world_of()
    world.receive_only("Net")
    world._now += timedelta(minutes=20)
    said = explained(world, 0)
    assert [(page.at - world.now(), page.user) for _, page in said.pages][:2] == [
        (timedelta(), "ada"),
        (timedelta(minutes=5), "grace"),
    ]
    before = world.store.head()
    world.settle()
    assert notified(world.store.tail(before, 100), {e.stream for e in world.store.tail(before, 100)}) == [
        (world.now(), "ada", "email", "team:platform/primary")
    ]


def test_of_whom_nobody_is_told_it_is_said_why() -> None:
    world = world_of()
    world.fire("NobodyHome", service="payments", severity="info")
    world.advance(minutes=19)
    [way] = explained(world, 3).ways
    told_at, again = way.future.ends_at, way.future.repeats_at
    assert told_at and again and told_at < world.now() < again == told_at + timedelta(minutes=20)
    assert (way.future.pages, way.future.unpaged) == ((), "everybody was told of INC-1, and nobody answered")
    before = world.store.head()
    world.advance(seconds=(again - world.now()).total_seconds())
    assert "incident.reannounced.v1" in {event.type for event in world.store.tail(before, 100)}
    world.ack("INC-1")
    [way] = explained(world, 3).ways
    assert (way.future.pages, way.future.unpaged) == ((), "INC-1 is acknowledged")


def test_the_histories_went_everywhere() -> None:
    """Runs after the property: what it did not reach, it did not check."""
    fates = {"opens", "joins", "is_in", "reopens", "waits", "pages", "correlation"}
    fates |= {"several ways", "one of several is quiet", "pages beside a quiet way"}
    reasons = {"silence", "inhibition", "maintenance_window", "time_interval", "flapping", "suppression_window"}
    assert not (fates | reasons) - {name for name, count in SEEN.items() if count}, SEEN
