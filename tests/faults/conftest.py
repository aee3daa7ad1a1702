"""One installation for all cases: roles fail and are started again, the installation stays."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from streams.store import deciding
from tests.faults.outcomes import Outcome
from tests.faults.site import SETTINGS, Site
from tests.services import Services
from tests.stack import Installation


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def undisturbed(site: Site) -> Outcome:
    """What becomes of the story when nothing fails."""
    return site.outcome(site.tell())


@pytest.fixture
def haste(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Thousands of histories have too much to say, and nobody to wait for."""
    monkeypatch.setattr(deciding, "FIRST_PAUSE", 0.0)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
