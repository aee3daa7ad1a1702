"""Somebody stands still until another has saved, with compare-and-set and without: what it is good for is seen.

Run by `make test-faults`; stories with it are among the seeded cases.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.obstacles import frozen
from tests.faults.site import PATIENCE, SETTINGS, Fault, Site
from tests.faults.telling import difference, told
from tests.services import Services
from tests.stack import ROOT, Installation, until

FROZEN = Fault("pager", "save:begin", "stop")
OVERTAKEN = Fault("worker", "save:begin", "stop")
PACKAGES = ("domain", "schemas", "streams", "compose", "projections", "gateway", "tests")
STORE = Path("streams/store")
CONDITIONS = (
    (STORE / "statements.py", "            if cursor.rowcount != rows:\n", "            if False:\n"),
    (STORE / "writing.py", ' and "offset" = %s returning "offset"', ' and %s::bigint is not null returning "offset"'),
)
"""What a save requires: as many rows as it was to change, and the position as it was read."""
AGES = 3.0
"""Seconds within which a worker that goes on has saved what it had decided, or not."""

NOTE = (
    "create table public.set_back (moved bigint)",
    "create function public.note() returns trigger language plpgsql as"
    ' $$ begin insert into public.set_back values (new."offset" - old."offset"); return new; end $$',
    'create trigger note after update on tocsin.tracking for each row when (new."offset" <= old."offset")'
    " execute function public.note()",
)
"""Writes down whenever a position is set back."""

Open = Callable[[Path], Site]


@pytest.fixture
def unchecked(tmp_path: Path) -> Path:
    """A copy of the code in which a save asks for nothing to be as it was."""
    copy = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, condition, nothing in CONDITIONS:
        source = (copy / file).read_text(encoding="utf-8")
        assert source.count(condition) == 1, f"not there any more: {condition}"
        (copy / file).write_text(source.replace(condition, nothing), encoding="utf-8")
    return copy


@pytest.fixture
def opened(
    real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> Iterator[Open]:
    """Makes the installation of a tree, and a site of it."""

    @contextmanager
    def running(tree: Path) -> Iterator[Site]:
        class OfTree(Installation):
            root = tree

        plan = tmp_path / "plan"
        settings = {"FAILPOINTS": str(plan), **SETTINGS}
        installation = OfTree(real_services, new_database(), topic_prefix, tmp_path, **settings)
        try:
            site = Site(installation, plan)
            yield site
            site.close()
        finally:
            installation.close()

    with ExitStack() as stack:
        yield lambda tree: stack.enter_context(running(tree))


def overtaken(site: Site) -> int:
    """A worker reads a repeat and stands still; another folds it, and the end of the alert; the first goes on.

    Returns how often a position was set back. Whoever does that reads again from there, so in the end nothing is
    missing; but for a while others go on from what was not so.
    """
    name = site.named()
    site.fires(name, "a")
    site.rest(name)
    with site.spare("worker"):
        site.change(*NOTE)
        site.arm(OVERTAKEN)
        site.fires(name, "a")
        until("the worker to stand still", lambda: site.struck() or None)
        head = site.head()
        with frozen(site.up("worker")):
            site.ends()
            until("another to fold it", lambda: site.head() > head or None, PATIENCE)
        time.sleep(AGES)
        site.disarm()
        site.rest(name)
    return int(site.ask("select count(*) from public.set_back"))


def test_a_pager_that_was_overtaken_tells_otherwise_without_compare_and_set(opened: Open, unchecked: Path) -> None:
    site = opened(unchecked)
    assert difference(FROZEN, told(site, FROZEN), site.outcome(site.tell())) != ""


def test_a_worker_that_was_overtaken_sets_no_position_back(opened: Open) -> None:
    assert overtaken(opened(ROOT)) == 0


def test_a_worker_that_was_overtaken_sets_one_back_without_compare_and_set(opened: Open, unchecked: Path) -> None:
    assert overtaken(opened(unchecked)) > 0
