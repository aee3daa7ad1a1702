"""One installation for all cases of a module: roles fail and are started again, the installation stays."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.site import SETTINGS, Outcome, Site
from tests.services import Services
from tests.stack import Installation


@pytest.fixture(scope="module")
def site(
    real_services: Services, new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("faults")
    plan = folder / "plan"
    dsn = new_database()
    prefix = dsn.rpartition("/")[2].replace("_", "-") + "-"
    installation = Installation(real_services, dsn, prefix, folder, FAILPOINTS=str(plan), **SETTINGS)
    try:
        made = Site(installation, plan)
        yield made
        made.close()
    finally:
        installation.close()


@pytest.fixture(scope="module")
def undisturbed(site: Site) -> Outcome:
    """What becomes of the story when nothing fails."""
    return site.outcome(site.tell())
