"""An incident of many alert groups: merged, taken apart again, split, attached and detached."""

from collections.abc import Iterator

import pytest

from domain import commands, ids
from domain.commands import Create, PersonCommand, Words
from domain.decision import Refused
from domain.incidents import Incident
from domain.merging import Attach, Detach, Merge, Split, Unmerge
from streams.fold import Unreadable
from streams.store.base import Save
from streams.store.deciding import open_command
from tests.memory_world import ORG, PERSON, MemoryWorld
from tests.world import CONFIG, alert

SECURITY = "    - {matchers: ['alertname=\"Intrusion\"'], ack: refused}\n"


@pytest.fixture
def world() -> Iterator[MemoryWorld]:
    made = MemoryWorld(config=CONFIG.replace("  routes:\n", "  routes:\n" + SECURITY))
    yield made
    made.close()


def do(world: MemoryWorld, incident: str, command: PersonCommand, by: str = "ada") -> Incident:
    """A person commands something, and what follows is done."""
    after = world.order(command, incident, by)
    world.settle()
    return after


def merge(world: MemoryWorld, loser: str, winner: str) -> Incident:
    return do(world, loser, Merge(world._streams()[winner]))


def refused(world: MemoryWorld, incident: str, command: PersonCommand, code: str) -> Refused:
    """The command is refused, and nothing has changed."""
    before = world.store.head()
    with pytest.raises(Refused) as caught:
        world.order(command, incident)
    assert (caught.value.code, world.store.head()) == (code, before)
    return caught.value


def group_of(world: MemoryWorld, name: str, service: str = "payments") -> str:
    """The group of the alert in its routes' groups."""
    return next(
        e.stream
        for e in world.store.tail(0, 1_000_000)
        if getattr(e.event, "labels", {}).get("alertname") == name and e.event.labels.get("service") == service
    )


def alert_of(world: MemoryWorld, name: str, **labels: str) -> str:
    return ids.alert_id(ORG, "alertmanager", alert(name, labels, world.now())["fingerprint"])


def open_by_hand(world: MemoryWorld, command: Create) -> None:
    """A person opens an incident that no alert reports."""
    stream = ids.incident_stream(ORG, "by hand", 1)
    book = open_command(world.store, ORG, stream, command)
    book.numbers = iter(world.store.next_numbers(1))
    commands.execute(book, stream, command, PERSON, world.now())
    world.store.save(Save(book))
    world.settle()


def down_and_slow(world: MemoryWorld) -> None:
    """Two incidents of one trouble, and ada knows of both."""
    world.fire("Down", service="payments")
    world.fire("Slow", service="payments")
    world.expect_page("ada", "INC-1")
    world.expect_page("ada", "INC-2")


def test_a_merged_incident_pages_nobody_and_the_other_ends_with_the_last_of_both(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    world.expect_incident("INC-2", status="merged")
    world.advance(minutes=6)
    world.expect_page("grace", "INC-1")
    world.ack("INC-1", by="grace")
    world.end("Down", service="payments")
    world.expect_incident("INC-1", status="acknowledged")
    world.end("Slow", service="payments")
    world.expect_incident("INC-1", status="resolved")
    world.expect_incident("INC-2", status="merged")


def test_what_fires_in_a_merged_group_joins_the_one_that_is_worked_on(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    world.ack("INC-1")
    world.fire("Slow", service="payments", instance="b")
    world.end("Slow", service="payments")
    world.end("Slow", service="payments", instance="b")
    world.fire("Slow", service="payments", instance="c")
    world.expect_incidents(2)
    world.end("Down", service="payments")
    world.expect_incident("INC-1", status="acknowledged")
    world.end("Slow", service="payments", instance="c")
    world.expect_incident("INC-1", status="resolved")


def test_the_worse_severity_counts(world: MemoryWorld) -> None:
    world.fire("Slow", service="payments", severity="warning")
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.expect_page("ada", "INC-2")
    merge(world, "INC-2", "INC-1")
    world.expect_incident("INC-1", severity="critical")
    world.ack("INC-1")


def test_unmerged_it_is_what_it_was_and_escalates_again(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    world.ack("INC-1")
    after = do(world, "INC-2", Unmerge())
    assert after.status == "triggered"
    world.expect_page("ada", "INC-2")
    world.ack("INC-2", by="grace")
    world.end("Down", service="payments")
    world.expect_incident("INC-1", status="resolved")
    world.expect_incident("INC-2", status="acknowledged")
    world.end("Slow", service="payments")
    world.expect_incident("INC-2", status="resolved")


def test_unmerged_it_stays_with_whoever_had_it(world: MemoryWorld) -> None:
    down_and_slow(world)
    world.command("start", "INC-2", "grace")
    merge(world, "INC-2", "INC-1")
    world.ack("INC-1")
    assert do(world, "INC-2", Unmerge()).status == "in_progress"
    world.advance(minutes=30)
    world.expect_nothing()


def test_unmerged_without_an_alert_left_it_is_over(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    world.ack("INC-1")
    world.end("Slow", service="payments")
    assert do(world, "INC-2", Unmerge()).status == "resolved"
    world.expect_incident("INC-1", status="acknowledged")


def test_only_what_is_still_there_comes_back(world: MemoryWorld) -> None:
    down_and_slow(world)
    world.fire("Full", service="payments")
    world.expect_page("ada", "INC-3")
    for name in ("INC-1", "INC-2", "INC-3"):
        world.ack(name)
    merge(world, "INC-2", "INC-1")
    do(world, "INC-3", Attach(group=group_of(world, "Slow")))
    assert do(world, "INC-2", Unmerge()).status == "resolved"
    world.end("Full", service="payments")
    world.expect_incident("INC-3", status="acknowledged")
    world.end("Slow", service="payments")
    world.expect_incident("INC-3", status="resolved")


def test_merging_goes_no_rings_and_is_undone_from_the_end(world: MemoryWorld) -> None:
    down_and_slow(world)
    world.fire("Full", service="payments")
    world.expect_page("ada", "INC-3")
    streams = world._streams()
    refused(world, "INC-1", Merge(streams["INC-1"]), "bad_request_fields")
    merge(world, "INC-3", "INC-2")
    merge(world, "INC-2", "INC-1")
    assert "INC-2" in refused(world, "INC-1", Merge(streams["INC-3"]), "incident_merged").args[0]
    assert "INC-1" in refused(world, "INC-3", Unmerge(), "incident_merged").args[0]
    do(world, "INC-2", Unmerge())
    do(world, "INC-3", Unmerge())
    world.expect_page("ada", "INC-2")
    world.expect_page("ada", "INC-3")
    for name in ("INC-1", "INC-2", "INC-3"):
        world.resolve(name)


def test_done_twice_it_is_done_once(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    head = world.store.head()
    merge(world, "INC-2", "INC-1")
    assert world.store.head() == head
    do(world, "INC-2", Unmerge())
    world.expect_page("ada", "INC-2")
    head = world.store.head()
    do(world, "INC-2", Unmerge())
    assert world.store.head() == head
    world.resolve("INC-1")
    world.resolve("INC-2")


def test_nothing_is_done_about_a_merged_incident(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    for verb in ("ack", "unack", "start", "resolve", "reopen", "assign"):
        with pytest.raises(Refused, match="INC-1"):
            world.command(verb, "INC-2")
    assert world.command("comment", "INC-2") == "merged"
    world.resolve("INC-1")


def test_what_is_over_is_not_merged(world: MemoryWorld) -> None:
    down_and_slow(world)
    world.resolve("INC-1")
    streams = world._streams()
    refused(world, "INC-2", Merge(streams["INC-1"]), "incident_resolved")
    refused(world, "INC-1", Merge(streams["INC-2"]), "incident_resolved")
    world.resolve("INC-2")


def test_an_unmerge_waits_until_what_it_is_part_of_is_open(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    world.resolve("INC-1")
    refused(world, "INC-2", Unmerge(), "incident_resolved")


def test_a_merge_into_what_is_resolved_is_undone_once_that_is_open_again(world: MemoryWorld) -> None:
    world.fire("Slow", service="payments", severity="warning")
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.expect_page("ada", "INC-2")
    merge(world, "INC-2", "INC-1")
    world.resolve("INC-1")
    refused(world, "INC-2", Unmerge(), "incident_resolved")
    world.command("reopen", "INC-1")
    world.expect_page("ada", "INC-1")
    do(world, "INC-2", Unmerge())
    world.expect_page("ada", "INC-2")
    world.expect_incident("INC-1", status="triggered", severity="critical")
    world.resolve("INC-1")
    world.resolve("INC-2")


def test_what_cannot_be_acknowledged_is_not_hidden_in_what_can(world: MemoryWorld) -> None:
    world.fire("Intrusion", service="payments")
    world.fire("Slow", service="payments")
    world.expect_page("ada", "INC-1")
    world.expect_page("ada", "INC-2")
    refused(world, "INC-1", Merge(world._streams()["INC-2"]), "ack_not_allowed")
    merge(world, "INC-2", "INC-1")
    world.resolve("INC-1")


def test_split_off_alerts_are_an_incident_of_their_own_until_they_end(world: MemoryWorld) -> None:
    world.fire("Slow", service="payments", instance="a")
    world.fire("Slow", service="payments", instance="b")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    do(world, "INC-1", Split((alert_of(world, "Slow", service="payments", instance="b"),)))
    world.expect_incident("INC-2", status="acknowledged", team="platform", service="payments")
    world.end("Slow", service="payments", instance="a")
    world.expect_incident("INC-1", status="resolved")
    world.expect_incident("INC-2", status="acknowledged")
    world.end("Slow", service="payments", instance="b")
    world.expect_incident("INC-2", status="resolved")
    world.fire("Slow", service="payments", instance="b")
    world.expect_page("ada", "INC-3")
    world.resolve("INC-3")


def test_what_nobody_has_is_paged_when_it_is_split_off(world: MemoryWorld) -> None:
    world.fire("Slow", service="payments", instance="a")
    world.fire("Slow", service="payments", instance="b", severity="warning")
    world.expect_page("ada", "INC-1")
    do(world, "INC-1", Split((alert_of(world, "Slow", service="payments", instance="b", severity="warning"),)))
    world.expect_page("ada", "INC-2")
    world.expect_incident("INC-2", severity="medium")
    merge(world, "INC-2", "INC-1")
    world.resolve("INC-1")


def test_a_split_leaves_something(world: MemoryWorld) -> None:
    down_and_slow(world)
    slow = alert_of(world, "Slow", service="payments")
    refused(world, "INC-2", Split((slow,)), "nothing_left")
    refused(world, "INC-1", Split((slow,)), "bad_request_fields")
    refused(world, "INC-1", Split(("5b2f0c9e-0000-5000-8000-000000000001",)), "bad_request_fields")
    refused(world, "INC-1", Split(()), "bad_request_fields")
    world.resolve("INC-1")
    world.resolve("INC-2")


def test_a_suppressed_alert_stays_so_where_it_goes(world: MemoryWorld) -> None:
    world.fire("Slow", service="payments", instance="a")
    world.fire("Slow", service="payments", instance="b")
    world.expect_page("ada", "INC-1")
    silence = world.silence(minutes=60, instance="b")
    do(world, "INC-1", Split((alert_of(world, "Slow", service="payments", instance="b"),)))
    world.advance(minutes=2)
    world.expect_nothing()
    world.end_silence(silence)
    world.expect_page("ada", "INC-2")
    world.resolve("INC-1")
    world.resolve("INC-2")


def test_a_group_is_attached_and_detached(world: MemoryWorld) -> None:
    down_and_slow(world)
    world.fire("Full", service="payments")
    world.expect_page("ada", "INC-3")
    for name in ("INC-1", "INC-2", "INC-3"):
        world.ack(name)
    merge(world, "INC-2", "INC-1")
    slow = group_of(world, "Slow")
    do(world, "INC-3", Attach(group=slow))
    world.end("Down", service="payments")
    world.expect_incident("INC-1", status="resolved")
    do(world, "INC-3", Detach(slow))
    world.expect_incident("INC-4", status="acknowledged")
    world.end("Full", service="payments")
    world.expect_incident("INC-3", status="resolved")
    world.end("Slow", service="payments")
    world.expect_incident("INC-4", status="resolved")


def test_what_was_taken_away_is_put_back(world: MemoryWorld) -> None:
    for instance in "ab":
        world.fire("Slow", service="payments", instance=instance)
    world.fire("Down", service="payments")
    for name in ("INC-1", "INC-2"):
        world.expect_page("ada", name)
        world.ack(name)
    slow = alert_of(world, "Slow", service="payments", instance="b")

    do(world, "INC-1", Split((slow,)))
    refused(world, "INC-1", Attach(alerts=(slow,)), "nothing_left")
    merge(world, "INC-3", "INC-1")

    do(world, "INC-2", Attach(alerts=(slow,)))
    do(world, "INC-1", Attach(alerts=(slow,)))

    do(world, "INC-2", Attach(alerts=(slow,)))
    do(world, "INC-2", Detach(world.store.alerts([slow])[slow].group or ""))
    merge(world, "INC-4", "INC-1")

    world.end("Down", service="payments")
    world.expect_incident("INC-2", status="resolved")
    world.end("Slow", service="payments", instance="a")
    world.expect_incident("INC-1", status="acknowledged")
    world.end("Slow", service="payments", instance="b")
    world.expect_incident("INC-1", status="resolved")
    for name in ("INC-3", "INC-4"):
        world.expect_incident(name, status="merged")


def test_the_only_group_is_merged_not_attached(world: MemoryWorld) -> None:
    down_and_slow(world)
    said = refused(world, "INC-1", Attach(group=group_of(world, "Slow")), "nothing_left")
    assert said.remedy == "Merge INC-2 into INC-1 instead."
    refused(world, "INC-1", Detach(group_of(world, "Down")), "nothing_left")
    refused(world, "INC-1", Detach(group_of(world, "Slow")), "bad_request_fields")
    world.resolve("INC-1")
    world.resolve("INC-2")


def test_an_alert_is_attached_to_another_incident(world: MemoryWorld) -> None:
    world.fire("Down", service="payments")
    world.fire("Slow", service="payments", instance="a", severity="warning")
    world.fire("Slow", service="payments", instance="b", severity="warning")
    world.expect_page("ada", "INC-1")
    world.expect_page("ada", "INC-2")
    world.ack("INC-1")
    world.ack("INC-2")
    do(world, "INC-1", Attach(alerts=(alert_of(world, "Slow", service="payments", instance="b", severity="warning"),)))
    world.end("Down", service="payments")
    world.expect_incident("INC-1", status="acknowledged")
    world.end("Slow", service="payments", instance="b", severity="warning")
    world.expect_incident("INC-1", status="resolved")
    world.expect_incident("INC-2", status="acknowledged")


def test_a_silence_over_all_of_it_keeps_it_quiet(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    first = world.silence(minutes=60, alertname="Down")
    world.advance(minutes=6)
    world.expect_page("grace", "INC-1")
    world.silence(minutes=10, alertname="Slow")
    world.advance(minutes=9)
    world.expect_nothing()
    world.advance(minutes=2)
    world.expect_page("ada", "INC-1")
    world.end_silence(first)
    world.resolve("INC-1")


def test_its_alerts_expire_like_any_others(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    world.ack("INC-1")
    world.advance(hours=9)
    world.expect_incident("INC-1", status="resolved")


def test_trouble_is_not_over_because_it_was_merged_for_a_while(world: MemoryWorld) -> None:
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.fold.save([Unreadable("default/alerts/0@99", "alertmanager", b"{", "it is no record")])
    world.settle()
    world.expect_page("ada", "INC-2")
    merge(world, "INC-2", "INC-1")
    do(world, "INC-2", Unmerge())
    world.expect_page("ada", "INC-2")
    world.end("Down", service="payments")
    world.expect_incident("INC-1", status="resolved")
    world.resolve("INC-2")


def test_what_a_person_opened_does_not_end_with_alerts(world: MemoryWorld) -> None:
    world.fire("Slow", service="payments", instance="a")
    world.fire("Slow", service="payments", instance="b")
    world.expect_page("ada", "INC-1")
    words = Words("the example shop is slow", b"pepper")
    open_by_hand(world, Create(words, service="payments"))
    world.expect_page("ada", "INC-2")
    world.ack("INC-1")
    world.ack("INC-2")
    do(world, "INC-2", Attach(alerts=(alert_of(world, "Slow", service="payments", instance="b"),)))
    world.end("Slow", service="payments", instance="b")
    world.expect_incident("INC-2", status="acknowledged")
    merge(world, "INC-1", "INC-2")
    world.end("Slow", service="payments", instance="a")
    world.expect_incident("INC-2", status="acknowledged")


def test_alerts_of_an_incident_that_somebody_closed_go_on_elsewhere(world: MemoryWorld) -> None:
    down_and_slow(world)
    world.resolve("INC-2")
    do(world, "INC-1", Attach(group=group_of(world, "Slow")))
    world.end("Down", service="payments")
    world.expect_incident("INC-1", status="triggered")
    world.end("Slow", service="payments")
    world.expect_incident("INC-1", status="resolved")


def test_both_streams_tell_of_it(world: MemoryWorld) -> None:
    down_and_slow(world)
    merge(world, "INC-2", "INC-1")
    world.ack("INC-1")
    do(world, "INC-2", Unmerge())
    world.expect_page("ada", "INC-2")
    assert {"incident.absorbed.v1", "incident.parted.v1"} <= set(world.event_types("INC-1"))
    assert {"incident.merged.v1", "incident.unmerged.v1", "incident.reannounced.v1"} <= set(world.event_types("INC-2"))
    world.resolve("INC-2")
