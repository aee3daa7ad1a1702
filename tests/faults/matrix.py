"""The full matrix: each role x each point that the story reaches x each action.

Results are kept in a file as they come, so that a run that was ended goes on where it was.
"""

import json
import traceback
from collections.abc import Iterator
from pathlib import Path

from streams.failpoints import OBSERVE
from tests.faults.outcomes import Outcome
from tests.faults.site import ROLES, Fault, Site
from tests.faults.telling import NotReached, difference, told

ACTIONS = ("kill", "term", "cancel", "raise", "lose", "stop", "pause")
SAME, NOT_REACHED = "same", "not reached"


class Results:
    """What became of each case, in a file that is written after every one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.reached: list[tuple[str, str]] = []
        self.of: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def put(self, fault: Fault, result: str) -> None:
        """Keep a result."""
        self.of[str(fault)] = result
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self.of, indent=1))
        fresh.replace(self._path)


def observed(site: Site, plan: Path) -> list[tuple[str, str]]:
    """Each (role, point) that an undisturbed story reaches."""
    plan.write_text(OBSERVE)
    site.tell()
    site.linger()
    site.disarm()
    found = []
    for role in ROLES:
        seen = plan.with_suffix(f".{role}")
        found += [(role, point) for point in sorted(set(seen.read_text().split()))] if seen.exists() else []
    return found


def cases(reached: list[tuple[str, str]]) -> Iterator[Fault]:
    """Every fault of the matrix; a pause for a rebalance is for those who have partitions."""
    for action in ACTIONS:
        for role, point in reached:
            if action != "pause" or (role == "worker" and not point.startswith("seek")):
                yield Fault(role, point, action)


def run(site: Site, undisturbed: Outcome, fault: Fault) -> str:
    """What became of one case, in a word or a sentence."""
    try:
        outcome = told(site, fault)
    except NotReached:
        return NOT_REACHED
    except AssertionError as error:
        return f"did not end: {(str(error).splitlines() or ['an assertion'])[0]}"
    except Exception as error:
        return f"broken: {type(error).__name__}: {traceback.format_exception_only(error)[-1].strip()[:200]}"
    differs = difference(fault, outcome, undisturbed)
    return f"differs: {differs}" if differs else SAME
