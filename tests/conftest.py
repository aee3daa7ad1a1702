"""What every test may ask for. Services start once, the first time that a test needs them."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import Phase, settings
from psycopg.sql import SQL, Identifier

from streams.store.migrate import migrate
from streams.store.postgres import SCHEMA
from tests.services import Services, services

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")
settings.register_profile("mutant", settings.get_profile("fixed"), phases=[Phase.explicit, Phase.generate])
"""For runs that are to fail: nobody reads the smallest example."""

_numbers = itertools.count(1)
_missing: set[str] = set()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of a real peer that is not installed is not run, and says so; with TOCSIN_TEST_PEERS=require it fails."""
    require = os.environ.get("TOCSIN_TEST_PEERS") == "require"
    for item in items:
        for mark in item.iter_markers("peer"):
            command, package = mark.args
            if shutil.which(command) is None and not require:
                _missing.add(package)
                item.add_marker(pytest.mark.skip(reason=f"apt install {package}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not run, and what to do about it, where it is seen: at the end."""
    for package in sorted(_missing):
        terminalreporter.write_line(f"not run: apt install {package}")


@pytest.fixture(autouse=True)
def peers_are_there(request: pytest.FixtureRequest) -> None:
    """Fail a test whose required peer is not installed."""
    for mark in request.node.iter_markers("peer"):
        command, package = mark.args
        assert shutil.which(command), f"{command} is required: apt install {package}"


@pytest.fixture(scope="session")
def real_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A real Kafka and a real Postgres, empty."""
    with services(tmp_path_factory.mktemp("services")) as started:
        yield started


@pytest.fixture(scope="session")
def new_database(real_services: Services) -> Callable[[], str]:
    """Makes an empty database and returns its address."""

    def make() -> str:
        name = f"test_{next(_numbers)}"
        with psycopg.connect(real_services.dsn, autocommit=True) as connection:
            connection.execute(SQL("create database {}").format(Identifier(name)))
        return urlunsplit(urlsplit(real_services.dsn)._replace(path=f"/{name}"))

    return make


@pytest.fixture
def postgres_dsn(new_database: Callable[[], str]) -> str:
    """The address of an empty database of this test's own."""
    return new_database()


@pytest.fixture
def store_dsn(postgres_dsn: str) -> str:
    """The address of a database of this test's own, with the write side's tables."""
    migrate(postgres_dsn, "streams.store", SCHEMA)
    return postgres_dsn


@pytest.fixture
def kafka_bootstrap(real_services: Services) -> str:
    """The broker, as host:port."""
    return real_services.kafka


@pytest.fixture
def topic_prefix() -> str:
    """What this test's topics begin with."""
    return f"test{next(_numbers)}-"
