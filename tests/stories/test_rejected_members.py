"""A webhook full of members that cannot be alerts costs what it is long, not that times as many as they are."""

from schemas.received import AlertReceived
from schemas.sources.parsed import Rejected
from streams.fold import MAX_ALERTS, MAX_CHARACTERS, Arrival, Unreadable, batches
from tests.memory_world import MemoryWorld
from tests.world import START, alert, webhook

MEMBERS = 500


def test_the_body_is_kept_once_however_many_members_are_rejected() -> None:
    world = MemoryWorld()
    bad = [
        {**alert(f"Bad{number}", {"service": "payments"}, world.now()), "status": "FIRING"} for number in range(MEMBERS)
    ]
    world.post(webhook([*bad, alert("Good", {"service": "payments"}, world.now())]))
    letters = world.store.dead_letters("r-000001")
    assert [letter.index for letter in letters] == list(range(MEMBERS))
    assert all("status" in letter.reason for letter in letters)
    first, *rest = letters
    assert b"Bad499" in first.body and not any(letter.body for letter in rest)
    world.expect_page("ada", "INC-1", "INC-2")
    world.ack("INC-1")
    world.ack("INC-2")
    world.expect_nothing()
    world.close()


def arrival(rejected: int, raw: str = "{}") -> Arrival:
    members = tuple(Rejected(number, "status", "is wrong") for number in range(rejected))
    return Arrival(AlertReceived("r", "alertmanager", START, (), raw, "", "00", rejected=members), "default/alerts/0@1")


def sizes(*arrivals: Arrival | Unreadable) -> list[int]:
    return [len(batch) for batch in batches(list(enumerate(arrivals)))]


def test_a_save_holds_so_many_members_whether_they_are_alerts_or_not() -> None:
    assert sizes(*(arrival(MAX_ALERTS // 2) for _ in range(5))) == [2, 2, 1]
    assert sizes(arrival(3 * MAX_ALERTS), arrival(1)) == [1, 1]


def test_a_save_holds_so_much_of_what_was_sent() -> None:
    half = "x" * (MAX_CHARACTERS // 2)
    assert sizes(*(arrival(1, raw=half) for _ in range(5))) == [2, 2, 1]
    unread = Unreadable("default/alerts/0@1", "am", half.encode(), "it is no record")
    assert sizes(unread, unread, unread) == [2, 1]
