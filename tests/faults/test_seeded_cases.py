"""Twelve faults, one of every kind, on every role: the story ends as if nothing had happened.

The whole matrix is `make test-faults`.
"""

from pathlib import Path

import pytest

from tests.faults.site import Fault, Outcome, Site

CASES = [
    Fault("gateway", "accept:after", "kill"),
    Fault("gateway", "save:committed", "lose"),
    Fault("worker", "save:commit", "raise"),
    Fault("worker", "save:committed", "lose"),
    Fault("worker", "save:committed", "term"),
    Fault("worker", "numbers:after", "cancel"),
    Fault("pager", "save:committed", "kill"),
    Fault("pager", "send_page:after", "kill"),
    Fault("pager", "claim_pages:after", "lose"),
    Fault("projector", "project:commit", "kill"),
    Fault("projector", "relay:commit", "raise"),
]


@pytest.mark.parametrize("fault", CASES, ids=str)
def test_the_story_ends_as_if_nothing_had_happened(site: Site, undisturbed: Outcome, fault: Fault) -> None:
    site.arm(fault)
    name = site.tell()
    assert site.disarm(), "the fault did not happen"
    assert site.outcome(name) == undisturbed


def test_dbg(site: Site, undisturbed: Outcome) -> None:
    print(undisturbed)
    site._plan.write_text("observe")
    site.tell()
    import time

    time.sleep(12)
    site.disarm()
    for f in Path(site._plan.parent).glob("plan.*"):
        print(f.name, f.read_text().split())
