"""A pager that stands still until another has saved, with compare-and-set and without: what it is good for is seen.

Run by `make test-faults`; the story with it is one of the seeded cases.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.site import SETTINGS, Fault, Site
from tests.faults.telling import difference, told
from tests.services import Services
from tests.stack import ROOT, Installation

FROZEN = Fault("pager", "save:begin", "stop")
PACKAGES = ("domain", "schemas", "streams", "compose", "projections", "gateway", "tests")
WRITING = Path("streams/store/writing.py")
REQUIRED = "    if cursor.rowcount != rows:\n        raise Conflict(otherwise)\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the code in which a save asks for nothing to be as it was."""
    copy = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    source = (copy / WRITING).read_text(encoding="utf-8")
    assert source.count(REQUIRED) == 1, "the lines to change are not there any more"
    (copy / WRITING).write_text(source.replace(REQUIRED, "    return\n"), encoding="utf-8")
    return copy


def test_without_compare_and_set_the_story_ends_otherwise(
    tree: Path, real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> None:
    class Mistaken(Installation):
        root = tree

    plan = tmp_path / "plan"
    settings = {"FAILPOINTS": str(plan), **SETTINGS}
    installation = Mistaken(real_services, new_database(), topic_prefix, tmp_path, **settings)
    try:
        site = Site(installation, plan)
        undisturbed = site.outcome(site.tell())
        assert difference(FROZEN, told(site, FROZEN), undisturbed) != ""
        site.close()
    finally:
        installation.close()
