"""`up`: one owner per data directory, existing services are used, and killing anything loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from compose import datadir

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds


class Up:
    """`tocsin up` with pretended roles, in a process of its own."""

    def __init__(self, directory: Path, **environ: str) -> None:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fake_roles"],
            cwd=ROOT,
            env={**ours, **environ, "TOCSIN_DATA_DIR": str(directory)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until_ready(self) -> dict[str, int]:
        """The pids in run.json, once it is there."""
        wait_for(lambda: (self.directory / "run.json").exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()[0]
        return self.pids()

    def pids(self) -> dict[str, int]:
        return {name: pid for name, pid in json.loads((self.directory / "run.json").read_text())["pids"].items() if pid}

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output


ELSEWHERE = {
    "TOCSIN_KAFKA_BOOTSTRAP": "127.0.0.1:9",
    "TOCSIN_POSTGRES_DSN": "postgresql://tocsin:secret@127.0.0.1:9/tocsin",
}


@pytest.fixture
def run_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(**environ: str) -> Up:
        started.append(Up(tmp_path / "data", **environ))
        return started[-1]

    yield start
    for up in started:
        up.process.kill()
        up.process.wait(PATIENCE)
        if up.process.stdout:
            up.process.stdout.close()
    datadir.remove(tmp_path / "data")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_up_with_given_services_starts_none(run_up: Callable[..., Up]) -> None:
    up = run_up(**ELSEWHERE)
    assert set(up.until_ready()) == {"gateway", "worker", "pager", "projector"}
    running = datadir.read_running(up.directory)
    assert running
    assert running.kafka_bootstrap == "127.0.0.1:9"
    assert running.mailbox == "file:///mail"
    code, output = up.end(signal.SIGINT)
    assert code == 0, output
    assert not (up.directory / "run.json").exists()


def test_a_worker_without_partitions_is_waited_for_and_then_named(run_up: Callable[..., Up]) -> None:
    up = run_up(**ELSEWHERE, TOCSIN_TEST_FOLDS="never")
    up.until_ready()
    running = datadir.read_running(up.directory)
    assert running
    code, output = up.end(signal.SIGINT)
    assert code == 0, output
    said = "The worker has been given no partitions within 1 s: alerts are taken and kept, but open no incident before "
    assert f"{said}it is. See {up.directory.resolve()}/logs/worker.log." in output
    assert set(running.metrics) == {"gateway", "worker", "pager", "projector"}


def test_metrics_ports_follow_the_one_that_is_set(run_up: Callable[..., Up]) -> None:
    up = run_up(**ELSEWHERE, TOCSIN_METRICS_PORT="19464")
    up.until_ready()
    running = datadir.read_running(up.directory)
    assert running
    urls = {name: f"http://127.0.0.1:{port}/metrics" for name, port in (("worker", 19464), ("pager", 19465))}
    assert {name: running.metrics[name] for name in urls} == urls


def test_a_second_up_is_refused_and_the_first_does_not_notice(run_up: Callable[..., Up]) -> None:
    first = run_up(**ELSEWHERE)
    pids = first.until_ready()
    second = run_up(**ELSEWHERE)
    output, _ = second.process.communicate(timeout=PATIENCE)
    url = json.loads((first.directory / "run.json").read_text())["gateway_url"]
    assert second.process.returncode == 1
    assert output.strip() == (
        f"Tocsin already runs on {first.directory} (pid {first.process.pid}, {url}): "
        "stop it with Ctrl-C there, or set TOCSIN_DATA_DIR to another directory."
    )
    assert first.pids() == pids


def test_a_killed_role_comes_back_and_run_json_knows(run_up: Callable[..., Up]) -> None:
    up = run_up(**ELSEWHERE)
    before = up.until_ready()
    os.kill(before["pager"], signal.SIGKILL)
    wait_for(lambda: up.pids().get("pager", before["pager"]) != before["pager"])
    assert {**up.pids(), "pager": 0} == {**before, "pager": 0}


@pytest.mark.timeout(600)
def test_killing_everything_at_once_loses_nothing(run_up: Callable[..., Up]) -> None:
    up = run_up()
    pids = up.until_ready()
    before = datadir.read_running(up.directory)
    assert before
    with psycopg.connect(before.postgres_dsn) as connection:
        connection.execute("create table kept as select 1 as i")
    up.process.kill()
    up.process.wait(PATIENCE)
    if sys.platform == "linux":
        wait_for(lambda: all(map(gone, pids.values())))
    (up.directory / "run.json").unlink(missing_ok=True)
    again = run_up()
    again.until_ready()
    after = datadir.read_running(up.directory)
    assert after
    assert (after.gateway_url, after.kafka_bootstrap, after.postgres_dsn, after.api_keys) == (
        before.gateway_url,
        before.kafka_bootstrap,
        before.postgres_dsn,
        before.api_keys,
    )
    with psycopg.connect(after.postgres_dsn) as connection:
        assert connection.execute("select i from kept").fetchone() == (1,)
    children = again.pids()
    code, output = again.end()
    assert code == 0, output
    assert all(map(gone, children.values()))
