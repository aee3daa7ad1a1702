"""A database that is slow to answer: everything takes longer, and ends the same.

Run by `make test-faults`.
"""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.faults.site import SETTINGS, Fault, Site
from tests.faults.telling import difference
from tests.services import Services
from tests.stack import Installation

LATE = 0.02
"""Seconds by which each answer of the database is late."""


class Slowly:
    """A way to a server on which answers are late, once it is told so."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.late = 0.0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._to) as far, suppress(OSError):
            while True:
                for one in select.select([near, far], [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    if one is far:
                        time.sleep(self.late)
                    (near if one is far else far).sendall(data)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def slowly(real_services: Services) -> Iterator[Slowly]:
    at = urlsplit(real_services.dsn)
    made = Slowly(at.hostname or "", at.port or 0)
    yield made
    made.close()


def test_the_story_ends_as_with_a_fast_one(
    slowly: Slowly, real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> None:
    at = urlsplit(new_database())
    netloc = f"{at.netloc.rpartition('@')[0]}@127.0.0.1:{slowly.port}"
    dsn = urlunsplit(at._replace(netloc=netloc))
    installation = Installation(real_services, dsn, topic_prefix, tmp_path, **SETTINGS)
    try:
        site = Site(installation, tmp_path / "plan")
        fast = site.outcome(site.tell())
        slowly.late = LATE
        slow = site.outcome(site.tell())
        slowly.late = 0.0
        assert difference(Fault("none", "none", "none"), slow, fast) == "", slow
        site.close()
    finally:
        installation.close()
