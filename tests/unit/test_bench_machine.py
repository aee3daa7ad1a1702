"""What the bench says that processes use."""

import os
import subprocess
import sys
from pathlib import Path

from compose.processes import MARK, mark_of
from tests.bench.figures import Use
from tests.bench.machine import Machine, used, uses

BUSY = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
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
    assert found["worker"].cpu >= 0.2 and found["worker"].memory > 1_000_000


def test_only_what_was_used_between_two_looks_counts() -> None:
    before = {"worker": Use(3.0, 10)}
    after = {"worker": Use(4.5, 20), "pager": Use(1.0, 5)}
    assert used(before, after) == {"pager": Use(1.0, 5), "worker": Use(1.5, 20)}


def test_the_machine_says_what_numbers_depend_on() -> None:
    text = str(Machine.here())
    assert " cores, " in text and "Python 3." in text
