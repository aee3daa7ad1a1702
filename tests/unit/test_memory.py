"""Postgres gets a share of the memory that there is, also where a control group leaves less than the machine has."""

from pathlib import Path

import psutil
import pytest

from compose.embedded import memory

GB = 2**30


@pytest.mark.parametrize(
    ("there_is", "shared"),
    [(GB, "128MB"), (4 * GB, "256MB"), (8 * GB, "512MB"), (16 * GB, "1024MB"), (512 * GB, "1024MB")],
)
def test_postgres_gets_a_sixteenth_within_bounds(there_is: int, shared: str) -> None:
    assert memory.shared_buffers(there_is) == shared


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The control group of this process, inside another; neither has a limit."""
    inner = tmp_path / "system.slice" / "tocsin.service"
    inner.mkdir(parents=True)
    own = tmp_path / "cgroup"
    own.write_text("4:memory:/elsewhere\n0::/system.slice/tocsin.service\n")
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUP", own)
    return inner


def test_without_a_limit_it_is_the_machines(group: Path) -> None:
    (group / "memory.max").write_text("max\n")
    assert memory.memory() == psutil.virtual_memory().total


def test_the_limit_of_the_own_group_counts(group: Path) -> None:
    (group / "memory.max").write_text("268435456\n")
    assert memory.memory() == 268_435_456


def test_the_limit_of_a_group_around_it_counts(group: Path) -> None:
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text("268435456\n")
    assert memory.memory() == 268_435_456


def test_a_system_without_control_groups_has_no_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "OWN_GROUP", tmp_path / "none")
    assert memory.memory() == psutil.virtual_memory().total
