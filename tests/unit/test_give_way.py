"""Who gives way to others does so where the kernel looks: by its process and, on Linux, by its session."""

import subprocess
import sys
from pathlib import Path

import pytest

from compose.processes import AUTOGROUP

pytestmark = pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not schedule by session")

SAYS = """
import os
{before}
from compose import processes
from pathlib import Path
kernel, processes.AUTOGROUP = processes.AUTOGROUP, Path({told!r})
processes.give_way(7)
print(os.nice(0), kernel.read_text().split()[-1])
"""
FORK = "if os.fork(): os.wait(); os._exit(0)"


def niceness(told: Path = AUTOGROUP, before: str = "") -> list[str]:
    """How nice a process in a session of its own, as every child is, and that session are after it gave way."""
    says = [sys.executable, "-c", SAYS.format(told=str(told), before=before)]
    return subprocess.run(
        says, start_new_session=True, capture_output=True, text=True, timeout=30, check=True
    ).stdout.split()


def test_the_session_gives_way_with_the_process_that_leads_it() -> None:
    assert niceness() == ["7", "7"]


def test_the_session_of_another_is_left_as_it_is() -> None:
    assert niceness(before=FORK) == ["7", "0"]


def test_where_the_session_cannot_give_way_the_process_does() -> None:
    assert niceness(told=Path("/proc/self/no-such-file")) == ["7", "0"]
