"""What the bench says that processes use."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from compose.processes import MARK, mark_of
from tests.bench.figures import Use
from tests.bench.machine import Machine, used, uses

BUSY = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BUSY!r}], env={{}})"


def test_a_process_counts_under_its_mark_together_with_what_it_started(tmp_path: Path) -> None:
    marked = {**os.environ, MARK: mark_of(tmp_path / "data", "worker", os.getpid())}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PARENT], env=marked, stdin=pipe, stdout=pipe) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == b"done\n"
        found, elsewhere = uses(tmp_path), uses(tmp_path / "other")
        process.stdin.write(b"\n")
    assert set(found) == {"worker"} and not elsewhere
    # less than it took: the system counts whole ticks, of user and system time apart
    assert found["worker"].cpu >= 0.2 and found["worker"].memory > 1_000_000


def test_a_child_may_have_a_smaller_pid_than_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pids begin again at the smallest when they have come to the largest."""

    class Process:
        def __init__(self, pid: int, parent: int, name: str = "") -> None:
            self.pid, self._parent, self._name = pid, parent, name

        def environ(self) -> dict[str, str]:
            return {MARK: mark_of(tmp_path, self._name, 1)} if self._name else {}

        def ppid(self) -> int:
            return self._parent

        def cpu_times(self) -> tuple[float, ...]:
            return (1.0, 0.5, 0.0, 0.0)

        def memory_info(self) -> SimpleNamespace:
            return SimpleNamespace(rss=30, shared=10)

    running = [Process(1, 0), Process(7, 900), Process(8, 1), Process(900, 1, "postgres")]
    monkeypatch.setattr(psutil, "process_iter", lambda: running)
    assert uses(tmp_path) == {"postgres": Use(3.0, 50)}


def test_only_what_was_used_between_two_looks_counts() -> None:
    before = {"worker": Use(3.0, 10)}
    after = {"worker": Use(4.5, 20), "pager": Use(1.0, 5)}
    assert used(before, after) == {"pager": Use(1.0, 5), "worker": Use(1.5, 20)}


def test_the_machine_says_what_numbers_depend_on() -> None:
    text = str(Machine.here())
    assert " cores, " in text and "Python 3." in text
