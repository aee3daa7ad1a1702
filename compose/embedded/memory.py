"""How much memory there is for the servers that we start."""

from collections.abc import Iterator
from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
SHARE = 16
LEAST, MOST = 128, 1024
"""MB."""


def shared_buffers(memory: int) -> str:
    """What Postgres keeps of its tables in memory when there are `memory` bytes, as it wants to be told.

    A sixteenth: it is not alone here, and takes it only as it needs it. Once the indexes of what is open do not fit,
    everything takes a fifth longer.
    """
    return f"{min(max(memory // SHARE // 2**20, LEAST), MOST)}MB"


def memory() -> int:
    """Bytes that this process and its children may use: the machine's, or what a control group leaves them.

    Source: "Control Group v2", memory.max, in the documentation of Linux. A limit of version 1 is not seen.
    """
    return min([psutil.virtual_memory().total, *_limits()])


def _limits() -> Iterator[int]:
    """The limits of this process's control group and of those that it is in, as far as they have any."""
    lines = OWN_GROUP.read_text().splitlines() if OWN_GROUP.exists() else []
    for path in [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]:
        group = GROUPS / path
        for limit in [each / "memory.max" for each in (group, *group.parents) if each.is_relative_to(GROUPS)]:
            if limit.exists() and (said := limit.read_text().strip()) != "max":
                yield int(said)
