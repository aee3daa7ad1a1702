"""What each role counts can be asked for, and a role that `up` calls ready folds at once."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from compose.exposing import exposed
from compose.health import folds, health
from gateway.server import ServeError
from schemas.settings import Settings
from tests.services import Services
from tests.stack import CALM, ROOT, Installation, RealWorld, free_port, until

OWN = {
    "gateway": "tocsin_webhook_alerts_total",
    "worker": "tocsin_fold_records_total",
    "pager": "tocsin_pages_total",
    "projector": "tocsin_projection_events_total",
}
"""A metric that only this role has, and counts while an alert becomes a page."""


@pytest.fixture
def installation(
    real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> Iterator[Installation]:
    made = Installation(real_services, new_database(), topic_prefix, tmp_path, **CALM)
    try:
        yield made
    finally:
        made.close()


def counted(url: str) -> dict[str, float]:
    """The samples at a URL by name, those of one name added up."""
    found: dict[str, float] = {}
    text = httpx.get(url, timeout=5.0, trust_env=False).raise_for_status().text
    for name, value in re.findall(r"^(tocsin_\w+?)(?:\{.*\})? (\S+)$", text, re.MULTILINE):
        found[name] = found.get(name, 0.0) + float(value)
    return found


def once_counted(url: str, name: str) -> dict[str, float]:
    """The samples at a URL, once `name` was counted: a role saves first, and counts a moment later."""

    def look() -> dict[str, float] | None:
        found = counted(url)
        return found if found.get(name, 0.0) >= 1.0 else None

    found: dict[str, float] = until(f"{name} to be counted", look)
    return found


def test_every_role_tells_what_it_counts_and_not_what_others_do(installation: Installation) -> None:
    metrics = installation.running.metrics
    assert set(metrics) == set(OWN)
    assert counted(metrics["worker"])["tocsin_fold_partitions"] == 4.0, "up was ready before the worker was"
    world = RealWorld(installation)
    try:
        world.fire("ServiceDown", service="payments")
        world.expect_page("ada", "INC-1")
    finally:
        world.close()
    for role, own in OWN.items():
        found = once_counted(metrics[role], own)
        assert found.keys().isdisjoint(set(OWN.values()) - {own}), role
    said = {role.role: role.dependencies[0].detail for role in health(installation.running)}
    assert all(said[role].endswith(metrics[role]) for role in OWN)
    assert httpx.get(metrics["pager"].replace("/metrics", "/healthz")).text == "ok\n"
    assert httpx.head(metrics["pager"]).status_code == 200
    assert httpx.get(metrics["pager"].replace("/metrics", "/other")).status_code == 404


def test_a_role_whose_port_is_taken_says_so_in_a_sentence(real_services: Services, store_dsn: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {
            "TOCSIN_POSTGRES_DSN": store_dsn,
            "TOCSIN_METRICS_PORT": str(port),
            "PATH": os.environ["PATH"],
        }
        command = [sys.executable, "-m", "compose.cli", "pager"]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use."


async def test_without_a_port_nothing_listens() -> None:
    async with exposed(Settings()):
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "metrics"]


async def test_a_listener_that_is_taken_ends_the_role_before_it_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServeError, match="cannot listen"):
        async with exposed(Settings(metrics_port=taken.getsockname()[1])):
            raise AssertionError("the role works")


async def test_a_worker_without_partitions_does_not_fold_yet() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    assert not await folds(url)
    async with exposed(Settings(metrics_port=port)):
        assert not await folds(url)
