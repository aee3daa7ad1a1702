"""The story told with one fault, and how its outcome differs from the undisturbed one."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import fields

from tests.faults.obstacles import frozen
from tests.faults.outcomes import Outcome
from tests.faults.site import PATIENCE, Fault, Site
from tests.faults.stories import PAGING, Story
from tests.stack import until

ALONE = 3.0
"""Seconds that a role stands still of which no other process takes the work: whoever holds a seat."""
LONGEST = 25.0
"""Seconds in which a worker is missed by Kafka and its partitions are given to another."""
SHARED = ("worker", "pager", "gateway")
"""Roles that take over from each other; a projector keeps its seats as long as its connections live."""


class NotReached(AssertionError):
    """The story came to its end without the fault."""


def told(site: Site, fault: Fault, story: Story = PAGING) -> Outcome:
    """What becomes of a story with `fault`. Raises NotReached, AssertionError when it does not come to an end."""
    with ExitStack() as spares, ThreadPoolExecutor(1) as helper:
        if fault.action == "stop" and fault.role == "gateway":  # whom people can turn to while they wait for the first
            spares.enter_context(site.spare(fault.role))
        site.arm(fault)
        try:
            meanwhile = helper.submit(_help, site, fault, spares)
            name = story.tell(site)
            if not reached(site):
                raise NotReached(f"{fault} did not happen")
        finally:
            site.disarm()
        meanwhile.result(PATIENCE)
        if fault.role == "projector":
            site.published(sealed=fault.point.startswith("seal"))
        site.rest(name)
        site.at_ease()
        return story.outcome(site, name)


def reached(site: Site) -> bool:
    """Whether the fault has happened. What is only done every ten seconds is waited for, as is a role that the case
    before has ended.
    """
    end = time.monotonic() + 13.0
    while time.monotonic() < end and not site.struck():
        time.sleep(0.1)
    return site.struck()


def _help(site: Site, fault: Fault, spares: ExitStack) -> None:
    """Do what the fault needs from outside."""
    if fault.action not in ("stop", "pause"):
        return
    until(f"{fault}", lambda: site.struck() or None, PATIENCE)
    after = _elsewhere(site) if fault.role in SHARED else _later(ALONE)
    with frozen(site.up(fault.role)) if fault.action == "stop" else nullcontext():
        if fault.role in ("worker", "pager"):
            spares.enter_context(site.spare(fault.role))
        if fault.action == "stop":
            until("somebody else to have done it", after, PATIENCE)
    site.go()


def _elsewhere(site: Site) -> Callable[[], bool | None]:
    """Whether somebody else has saved, or nothing is left to be saved."""
    head, over = site.head(), _later(LONGEST)
    return lambda: site.head() > head or over()


def _later(seconds: float) -> Callable[[], bool | None]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end or None


def difference(fault: Fault, outcome: Outcome, undisturbed: Outcome) -> str:
    """In which parts the outcome differs; empty when it is the same.

    A gateway that dies with an answer makes its sender post again: that report counts twice and decides nothing.
    """
    parts = [part.name for part in fields(Outcome) if getattr(outcome, part.name) != getattr(undisturbed, part.name)]
    if "counts" in parts and fault.role == "gateway" and len(outcome.counts) == len(undisturbed.counts):
        parts.remove("counts")
    return ", ".join(parts)
