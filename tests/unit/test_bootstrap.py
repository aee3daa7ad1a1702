"""`make` on a machine where something is missing: one sentence, also from a Python that is too old to run the rest."""

import ast
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from compose import bootstrap

ROOT = Path(bootstrap.__file__).parents[1]


def test_an_old_python_understands_the_script() -> None:
    ast.parse(Path(bootstrap.__file__).read_text(), feature_version=(3, 7))


def test_an_old_python_looks_for_a_newer_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("compose.bootstrap.sys.version_info", (3, 8, 10))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer and found only 3\.8: install one"):
        bootstrap.run_newer_python()


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "differs from the one that was"),
        ("ERROR: Could not find a version that satisfies the requirement", "check the network"),
        ("Failed to establish a new connection: [Errno 111] Connection refused", "check the network"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("Segmentation fault", "pip could not install"),
    ],
)
def test_a_failed_installation_is_one_sentence(output: str, sentence: str) -> None:
    assert sentence in bootstrap.explain(output)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_have_a_hash_each_and_name_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    packages = [block for block in text.replace("\\\n", "").splitlines() if block[:1].isalnum()]
    assert packages
    assert [block.split()[0] for block in packages if "==" not in block or "--hash=sha256:" not in block] == []


def test_the_command_works_from_a_path_with_quotes_and_spaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    venv = tmp_path / "it's a venv"
    (venv / "bin").mkdir(parents=True)
    python = venv / "bin" / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && exec echo "$TOCSIN_TEST_PACKAGES"\necho "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("TOCSIN_TEST_PACKAGES", str(tmp_path))
    monkeypatch.setattr(bootstrap, "VENV", venv)
    monkeypatch.setattr(bootstrap, "PYTHON", python)
    bootstrap.add_ourselves()
    assert (tmp_path / "tocsin.pth").read_text() == f"{ROOT}\n"
    done = subprocess.run([venv / "bin" / "tocsin", "ack", "INC-1"], stdout=subprocess.PIPE, check=True, env=os.environ)
    assert done.stdout == b"-P -m compose.cli ack INC-1\n"


HOLDS = """
import subprocess, sys, time
from compose import bootstrap
with open(sys.argv[1]) as lock:
    bootstrap.wait_for(lock)
    pip = subprocess.Popen(["sleep", "60"], close_fds=False)
    print(pip.pid, flush=True)
    time.sleep(60)
"""


def test_what_outlives_a_killed_run_is_waited_for(tmp_path: Path) -> None:
    """Two of pip in one environment destroy each other's work: seen when a first start was killed and run again."""
    file = tmp_path / "lock"
    file.touch()
    command = [sys.executable, "-c", HOLDS, str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as killed, file.open() as lock:
        assert killed.stdout is not None
        pip = int(killed.stdout.readline())
        killed.kill()
        killed.wait(10)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(pip, signal.SIGKILL)
        bootstrap.wait_for(lock)


def test_an_environment_that_is_the_systems_python_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is left of one that was half removed: bin/python, which without its pyvenv.cfg installs into the system."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    packages = next((venv / "lib").iterdir()) / "site-packages"
    (packages / "pip.py").touch()
    monkeypatch.setattr(bootstrap, "VENV", venv)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    assert bootstrap.answers(python)
    (venv / "pyvenv.cfg").unlink()
    assert not bootstrap.answers(python)
