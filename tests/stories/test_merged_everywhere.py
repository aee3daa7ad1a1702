"""Two incidents that are the same and then are not, in memory and on the real stack."""

from tests.world import World


def test_one_of_two_is_merged_and_taken_out_again(world: World) -> None:
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    world.fire("Slow", service="payments")
    world.expect_page("ada", "INC-2")
    world.merge("INC-2", "INC-1")
    world.expect_incident("INC-2", status="merged")
    world.advance(minutes=6)
    world.expect_page("grace", "INC-1")
    world.ack("INC-1", by="grace")
    world.fire("Slow", service="payments", instance="b")
    world.expect_incidents(2)
    assert world.command("unmerge", "INC-2") == "triggered"
    world.expect_page("ada", "INC-2")
    world.ack("INC-2")
    world.end("Down", service="payments")
    world.expect_incident("INC-1", status="resolved")
    world.end("Slow", service="payments")
    world.end("Slow", service="payments", instance="b")
    world.expect_incident("INC-2", status="resolved")
    assert world.event_types("INC-2")[-1] == "incident.resolved.v1"
