"""The whole way of one alert, as the people on call live through it."""

from datetime import timedelta

from tests.world import World


def test_an_alert_opens_an_incident_and_pages_the_first_step(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_incident(
        "INC-1", title="ServiceDown (payments)", status="triggered", severity="critical", team="platform"
    )
    page = world.expect_page("ada", "INC-1")
    assert "ServiceDown" in page.subject
    assert "tocsin ack INC-1" in page.text


def test_nobody_answers_and_the_next_step_is_paged(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.advance(minutes=4)
    world.expect_nothing()
    world.advance(minutes=2)
    page = world.expect_page("grace", "INC-1")
    assert "nobody has acknowledged" in page.text


def test_the_policy_goes_round_twice_and_then_gives_up(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    for minutes, user in ((0, "ada"), (6, "grace"), (11, "ada"), (6, "grace")):
        world.advance(minutes=minutes)
        world.expect_page(user, "INC-1")
    world.advance(hours=2)
    world.expect_nothing()
    world.expect_incident("INC-1", status="triggered")


def test_an_acknowledgement_stops_the_paging(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1", by="ada")
    world.expect_incident("INC-1", status="acknowledged")
    world.advance(hours=2)
    world.expect_nothing()


def test_an_acknowledgement_before_the_first_page_means_that_nobody_is_paged(world: World) -> None:
    world.fire("ServiceDown", service="payments", patience="yes")
    world.expect_incident("INC-1", status="triggered")
    world.ack("INC-1", by="grace")
    world.advance(hours=1)
    world.expect_nothing()


def test_giving_it_back_pages_again_from_the_first_step(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.advance(minutes=30)
    assert world.command("unack", "INC-1") == "triggered"
    world.expect_page("ada", "INC-1")


def test_the_last_alert_ends_and_so_does_the_incident(world: World) -> None:
    world.fire("ServiceDown", service="payments", instance="a")
    world.fire("ServiceDown", service="payments", instance="b")
    world.expect_page("ada", "INC-1")
    world.advance(minutes=1)
    world.end("ServiceDown", service="payments", instance="a")
    world.expect_incident("INC-1", status="triggered")
    world.end("ServiceDown", service="payments", instance="b")
    world.expect_incident("INC-1", status="resolved")
    world.advance(hours=1)
    world.expect_nothing()


def test_repeats_are_counted_and_say_nothing(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    before = world.event_types("INC-1")
    for _ in range(3):
        world.fire("ServiceDown", service="payments")
    assert world.event_types("INC-1") == before
    world.expect_incidents(1)


def test_a_refire_after_the_end_is_the_next_incident(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.advance(minutes=1)
    world.end("ServiceDown", service="payments")
    world.advance(minutes=5)
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-2")
    world.expect_incident("INC-1", status="resolved")
    world.expect_incident("INC-2", status="triggered")


def test_what_a_person_resolved_stays_resolved_while_the_alert_repeats(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.resolve("INC-1", by="ada")
    world.advance(minutes=5)
    world.fire("ServiceDown", service="payments")
    world.expect_incidents(1)
    world.fire("ServiceDown", service="payments", instance="another")
    world.expect_page("ada", "INC-2")
    world.expect_incident("INC-2", title="ServiceDown (payments)", status="triggered")


def test_a_late_resolve_of_an_earlier_episode_changes_nothing(world: World) -> None:
    early = world.now()
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.advance(seconds=10)
    world.end("ServiceDown", service="payments")
    world.advance(seconds=10)
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-2")
    world.end("ServiceDown", service="payments", at=early + timedelta(seconds=10))
    world.expect_incident("INC-2", status="triggered")


def test_the_service_catalogue_says_who_is_paged(world: World) -> None:
    world.fire("IndexCorrupt", service="catalogue")
    world.expect_incident("INC-1", team="search", service="catalogue")
    world.expect_page("edsger", "INC-1")


def test_a_step_that_reaches_nobody_is_skipped_at_once(world: World) -> None:
    world.fire("NobodyHome", service="unknown")
    world.expect_page("grace", "INC-1")
    assert "escalation.step_skipped.v1" in world.event_types("INC-1")


def test_group_wait_delays_the_page_and_never_the_incident(world: World) -> None:
    world.fire("SlowQueries", service="payments", patience="yes")
    world.expect_incident("INC-1", status="triggered")
    world.expect_nothing()
    world.advance(seconds=31)
    world.expect_page("ada", "INC-1")


def test_a_worse_alert_makes_the_incident_worse(world: World) -> None:
    world.fire("Disk", service="payments", severity="warning", instance="a")
    world.expect_page("ada", "INC-1")
    world.expect_incident("INC-1", severity="medium")
    world.fire("Disk", service="payments", severity="critical", instance="b")
    world.expect_incident("INC-1", severity="critical")


def test_alerts_of_different_groups_are_different_incidents(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.fire("DiskFull", service="payments")
    world.expect_page("ada", "INC-1")
    world.expect_page("ada", "INC-2")


def test_the_timeline_tells_the_story(world: World) -> None:
    world.fire("ServiceDown", service="payments")
    world.expect_page("ada", "INC-1")
    world.ack("INC-1")
    world.resolve("INC-1")
    told = world.event_types("INC-1")
    order = [
        "incident.opened.v1",
        "escalation.started.v1",
        "escalation.step_notified.v1",
        "page.sent.v1",
        "escalation.stopped.v1",
        "incident.acknowledged.v1",
        "incident.resolved.v1",
    ]
    assert [name for name in told if name in order] == order
