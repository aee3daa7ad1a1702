"""Twelve faults, one of every kind, on every role: the story ends as if nothing had happened.

The whole matrix is `make test-faults`.
"""

import pytest

from tests.faults.outcomes import Outcome
from tests.faults.site import Fault, Site
from tests.faults.telling import difference, told

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
    Fault("pager", "save:begin", "stop"),
    Fault("projector", "project:commit", "kill"),
    Fault("projector", "relay:commit", "raise"),
]


@pytest.mark.parametrize("fault", CASES, ids=str)
def test_the_story_ends_as_if_nothing_had_happened(site: Site, undisturbed: Outcome, fault: Fault) -> None:
    outcome = told(site, fault)
    assert difference(fault, outcome, undisturbed) == "", outcome
