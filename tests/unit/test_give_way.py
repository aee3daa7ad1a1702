"""Who gives way to others does so where the kernel looks: by its process and, on Linux, by its session."""

import subprocess
import sys
from pathlib import Path

import pytest

from compose.processes import AUTOGROUP

SAYS = """
import os
from compose import processes
from pathlib import Path
processes.AUTOGROUP = Path({autogroup!r})
processes.give_way(7)
print(os.nice(0), end=" ")
"""


def niceness(autogroup: Path) -> tuple[str, str]:
    """How nice a process in a session of its own, as every child is, and that session are after it gave way."""
    says = SAYS.format(autogroup=str(autogroup)) + f"print(Path({str(AUTOGROUP)!r}).read_text().split()[-1])"
    said = subprocess.run(
        [sys.executable, "-c", says], start_new_session=True, capture_output=True, text=True, timeout=30, check=True
    )
    process, session = said.stdout.split()
    return process, session


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not schedule by session")
def test_the_session_gives_way_with_its_process() -> None:
    assert niceness(AUTOGROUP) == ("7", "7")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not schedule by session")
def test_a_session_that_cannot_give_way_leaves_the_process_doing_so() -> None:
    assert niceness(Path("/proc/self/no-such-file")) == ("7", "0")
