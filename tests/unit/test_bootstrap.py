"""`make` on a machine where something is missing: one sentence, also from a Python that is too old to run the rest."""

import ast
import os
import subprocess
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
