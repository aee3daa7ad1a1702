"""The full matrix: each role x each point that a story reaches x each action; if asked, some later passages, too.

Results are kept in a file as they come, so that a run that was ended goes on where it was.
"""

import json
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from streams.failpoints import OBSERVE
from tests.faults.operating import OPERATOR
from tests.faults.outcomes import Outcome
from tests.faults.site import ROLES, Fault, Site
from tests.faults.stories import STORIES, Story
from tests.faults.telling import NotReached, difference, told

ACTIONS = ("kill", "term", "cancel", "raise", "lose", "stop", "pause")
LATER = ("kill", "lose")
"""What happens at later passages."""
COPIED = 2.0
"""Seconds within which a seal is on its topic."""
COUNTED = 40
"""Passages in a telling up to which the last one is struck, too; who comes by more often only looks for work."""
ON_THE_LOOP = {"forward", "seek", "seek_assigned"}
"""Effects of a worker that are none of a thread."""
SAME, NOT_REACHED = "same", "not reached"

Reached = dict[str, dict[str, int]]
"""Story -> `role point` -> how often its undisturbed telling comes there; of each point only the first story's."""


class Results:
    """What became of each case, in a file that is written after every one. Several threads may use it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.of: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def put(self, case: str, result: str) -> None:
        """Keep a result."""
        with self._lock:
            self.of[case] = result
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps(self.of, indent=1))
            fresh.replace(self._path)

    def good(self) -> bool:
        """Whether all ended as if nothing had happened; a later passage may not come."""
        return all(
            result == SAME or (result == NOT_REACHED and len(case.split()) > len(("role", "point", "action")))
            for case, result in self.of.items()
        )


def observed(site: Site, story: Story, plan: Path) -> dict[str, int]:
    """How often an undisturbed telling comes to each `role point`."""
    for role in (*ROLES, OPERATOR):
        plan.with_suffix(f".{role}").unlink(missing_ok=True)
    plan.write_text(OBSERVE)
    site.rest(story.tell(site))
    site.published(sealed=True)
    time.sleep(COPIED)
    site.disarm()
    found = Counter[str]()
    for role in (*ROLES, OPERATOR):
        seen = plan.with_suffix(f".{role}")
        found.update(f"{role} {point}" for point in (seen.read_text().split() if seen.exists() else ()))
    return dict(sorted(found.items()))


def firsts(seen: Reached) -> Reached:
    """Each role and point in one story: the one that is there for it, else the first that comes there."""
    known: set[str] = set()
    found: Reached = {}
    for story in STORIES:
        others = [other for other in STORIES if other is not story]
        fit = {
            place: count
            for place, count in seen[story.name].items()
            if is_for(story, place) or not any(is_for(other, place) for other in others)
        }
        found[story.name] = {place: count for place, count in fit.items() if place not in known}
        known |= set(fit)
    return found


def is_for(story: Story, place: str) -> bool:
    """Whether faults at `role point` are to happen in this story."""
    role, point = place.split()
    effect = point.partition(":")[0]
    return bool({effect, f"{role} {effect}"} & story.aims)


def cases(places: dict[str, int]) -> Iterator[Fault]:
    """Every fault of a story's places, at the first passage."""
    for action in ACTIONS:
        for place in places:
            role, point = place.split()
            if applies(role, point, action):
                yield Fault(role, point, action)


def later_cases(places: dict[str, int]) -> Iterator[Fault]:
    """Faults at later passages of a story's places."""
    for action in LATER:
        for place, count in places.items():
            role, point = place.split()
            for nth in later(count):
                yield Fault(role, point, action, nth)


def applies(role: str, point: str, action: str) -> bool:
    """Whether a fault can happen.

    A pause for a rebalance is for threads of those who have partitions: who pauses on the event loop takes part in
    none, which is `stop`. A command is no task that could be cancelled.
    """
    if action == "pause":
        return role == "worker" and point.partition(":")[0] not in ON_THE_LOOP
    return not (action == "cancel" and role == OPERATOR)


def later(count: int) -> list[int]:
    """Which passages are struck besides the first: the middle one and the last."""
    wanted = {(count + 1) // 2, count if count <= COUNTED else 1}
    return sorted(wanted - {0, 1})


def run(site: Site, undisturbed: Outcome, fault: Fault, story: Story) -> str:
    """What became of one case, in a word or a sentence."""
    try:
        outcome = told(site, fault, story)
    except NotReached:
        return NOT_REACHED
    except AssertionError as error:
        return f"did not end: {(str(error).splitlines() or ['an assertion'])[0]}"
    except Exception as error:
        return f"broken: {type(error).__name__}: {traceback.format_exception_only(error)[-1].strip()[:200]}"
    differs = difference(fault, outcome, undisturbed)
    return f"differs: {differs}" if differs else SAME
