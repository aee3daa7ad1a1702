"""What the machine is, and what each process on it uses.

Tocsin's children carry a mark with their name (see `compose.processes`); what they start counts as theirs, so Postgres
is all of its processes together. CPU of a child that has ended is in its parent's account.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from compose.processes import MARK
from tests.bench.figures import Use

DEEPEST = 10
"""Generations that are looked at above a process."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What numbers depend on."""

    system: str
    python: str
    processor: str
    cores: int
    memory_gb: int

    @classmethod
    def here(cls) -> "Machine":
        """This one."""
        return cls(
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            memory_gb=round(psutil.virtual_memory().total / 2**30),
        )

    def __str__(self) -> str:
        return f"{self.processor}, {self.cores} cores, {self.memory_gb} GB, {self.system}, Python {self.python}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def uses(folder: Path) -> Mapping[str, Use]:
    """What the processes of directories below `folder` have used so far, by the name of their mark."""
    cpu: dict[str, float] = {}
    own: dict[str, int] = {}
    shared: dict[str, int] = {}
    for process, name in _named(folder):
        try:
            times, memory = process.cpu_times(), process.memory_info()
        except psutil.Error:  # it has just ended
            continue
        cpu[name] = cpu.get(name, 0.0) + sum(times[:4])  # of itself and of its ended children
        own[name] = own.get(name, 0) + memory.rss - memory.shared
        shared[name] = max(shared.get(name, 0), memory.shared)
    return {name: Use(cpu[name], own[name] + shared[name]) for name in cpu}


def _named(folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The processes that have a mark of below `folder`, or an ancestor that has one, with its name."""
    marks: dict[int, str | None] = {}
    parents: dict[int, int] = {}
    found = list(psutil.process_iter())
    for process in found:
        try:
            marks[process.pid], parents[process.pid] = _mark(process, folder), process.ppid()
        except (psutil.Error, OSError):  # not ours, or it has just ended
            continue
    for process in found:
        pid = process.pid
        for _ in range(DEEPEST):
            if marks.get(pid) is None:
                pid = parents.get(pid, pid)
        if name := marks.get(pid):
            yield process, name


def _mark(process: psutil.Process, folder: Path) -> str | None:
    """The name in a process's mark; None without one (Postgres' backends write over theirs), or of elsewhere."""
    _, name, owner = process.environ().get(MARK, "::").split(":", 2)
    return name if owner and Path(owner).is_relative_to(folder) else None


def used(before: Mapping[str, Use], after: Mapping[str, Use]) -> dict[str, Use]:
    """What was used between two looks; memory as it was at the second."""
    nothing = Use(0.0, 0)
    return {name: Use(use.cpu - before.get(name, nothing).cpu, use.memory) for name, use in sorted(after.items())}
