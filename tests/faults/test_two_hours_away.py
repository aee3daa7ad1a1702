"""Two hours away: what is still open reaches each person in one message, what is over reaches nobody."""

import os
import signal
from datetime import timedelta

from tests.faults.site import Site
from tests.memory_world import MemoryWorld
from tests.stack import until
from tests.world import alert, webhook

STILL_OPEN = ("Disk", "Net", "Queue")
OVER = ("Blip", "Flap")


def test_a_message_per_person_about_what_is_open_now() -> None:
    world = MemoryWorld()
    for number, name in enumerate((*STILL_OPEN, *OVER)):
        world.receive_only(name, "catalogue" if name == "Queue" else "payments")
        world._now += timedelta(minutes=number)
    fired = world.now()
    world.receive(webhook([alert(name, {"service": "payments"}, fired, world.now()) for name in OVER]), world.now())
    world.jump(hours=2)
    world.advance(minutes=1)
    world.expect_page("ada", "INC-1", "INC-2")
    world.expect_page("edsger", "INC-3")
    world.expect_nothing()
    world.close()


def ended_of(site: Site) -> set[str]:
    """The alerts whose incidents are over."""
    return {seen.title.partition(" ")[0] for seen in site.incidents() if seen.status == "resolved"}


def test_nobody_worked_for_two_hours_on_the_real_thing(site: Site) -> None:
    pids = [site.pid(role) or 0 for role in ("worker", "pager")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    before, heard, fired = len(site.incidents()), site.leftover(), site.now()
    for name in (*STILL_OPEN, *OVER):
        site.posts(webhook([alert(name, {"service": "payments"}, fired)]))
    site.installation.clock.move(timedelta(minutes=5))
    ended = [alert(name, {"service": "payments"}, fired, site.now()) for name in OVER]
    site.posts(webhook(ended))
    site.installation.clock.move(timedelta(hours=2))
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    until("everything to be decided", lambda: len(site.incidents()) == before + 5 or None)
    until(
        "what is over to be known", lambda: set(OVER) <= ended_of(site) or None
    )  # no rest: pages are held, each its own
    site.installation.clock.move(timedelta(seconds=31))
    site.rest("the first pages")
    mails = [said for said in site.leftover() if said not in heard]
    assert [(said.user, len(said.incidents)) for said in mails] == [("ada", len(STILL_OPEN))]
    assert all(name in mails[0].text for name in STILL_OPEN)
    assert not any(name in mails[0].text for name in OVER)
    site.posts(webhook([alert(name, {"service": "payments"}, fired, site.now()) for name in STILL_OPEN]))
    until("the story to be over for those after it", lambda: set(STILL_OPEN) <= ended_of(site) or None)
