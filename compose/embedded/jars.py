"""Kafka's jars: fetched by jgo, kept in the virtual environment, checked against committed hashes before every start.

jgo resolves and downloads but does not compare hashes with a lock, so that is done here. The jars live in the
environment rather than in the data directory, so that the start after `make clean-data` does not fetch 44 MB again.
Run as a module it fetches what is missing: `python -m compose.embedded.jars`.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from compose.processes import Say, StartError, run_tool, unheard

KAFKA_VERSION = "4.3.1"
SPEC = Path(__file__).with_name("jgo.toml")
LOCK = Path(__file__).with_name("jgo.lock.toml")
FETCH_TIMEOUT = 600.0  # seconds; 17 s on a good line


@dataclass(frozen=True)
class Jar:
    """One line of the committed lock."""

    file_name: str
    sha256: str


def jars_dir() -> Path:
    return Path(sys.prefix) / "share" / "tocsin" / f"kafka-{KAFKA_VERSION}"


def locked_jars(lock: Path = LOCK) -> tuple[Jar, ...]:
    """The jars that Kafka runs with, from the lock file that `jgo --resolver python lock` wrote.

    Raises StartError when the lock is empty or lacks a hash.
    """
    entries = tomllib.loads(lock.read_text()).get("dependencies", [])
    try:
        jars = tuple(Jar(f"{e['artifactId']}-{e['version']}.jar", e["sha256"]) for e in entries)
    except KeyError as error:
        raise StartError(
            f"{lock} has an entry without {error}: run `jgo --resolver python lock` in its directory."
        ) from error
    if not jars:
        raise StartError(f"{lock} names no jars: run `jgo --resolver python lock` in its directory.")
    return jars


def first_fault(directory: Path, jars: tuple[Jar, ...]) -> str | None:
    """What is wrong with the jars in a directory, or None. Reading all 44 MB takes about 0.1 s."""
    extra = {path.name for path in directory.glob("*")} - {jar.file_name for jar in jars}
    if directory.is_dir() and extra:
        return f"{min(extra)} is not in the lock"
    for jar in jars:
        path = directory / jar.file_name
        if not path.is_file():
            return f"{jar.file_name} is missing"
        if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
            return f"{jar.file_name} does not have the locked sha256"
    return None


def verified_jars(directory: Path | None = None, lock: Path = LOCK, say: Say = unheard) -> Path:
    """The directory with exactly the locked jars, each with the locked hash; fetched when they are absent or damaged.

    Raises StartError when they cannot be fetched, or what was fetched does not match the lock either.
    """
    directory = directory or jars_dir()
    jars = locked_jars(lock)
    fault = first_fault(directory, jars)
    if fault is None:
        return directory
    if directory.exists():
        say(f"Kafka's jars are damaged ({fault}): fetching them again")
    else:
        say(f"Fetching Kafka {KAFKA_VERSION} ({len(jars)} jars, 44 MB; once)")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=directory.parent) as staging:
        _put_in_place(_fetch(Path(staging), jars), directory, Path(staging) / "replaced")
    fault = first_fault(directory, jars)
    if fault is not None:  # another process put its own there, by the same lock: the disk, or the lock, is to blame
        raise StartError(f"Kafka's jars in {directory} are still wrong after a fetch: {fault}.")
    return directory


def _fetch(staging: Path, jars: tuple[Jar, ...]) -> Path:
    """The locked jars in a new directory under `staging`: first by way of the user's Maven cache, then past it."""
    fault: str | None = None
    for attempt, cache in (("shared", ()), ("fresh", ("--repo-cache", str(staging / "repository")))):
        work = staging / attempt
        work.mkdir()
        shutil.copy(SPEC, work)
        _run_jgo(work, cache)
        found = {path.name: path for path in (work / "cache").rglob("*.jar")}
        ready = staging / f"{attempt}-jars"
        ready.mkdir()
        for jar in jars:
            if jar.file_name in found:
                found[jar.file_name].replace(ready / jar.file_name)
        fault = first_fault(ready, jars)
        if fault is None:
            return ready
    raise StartError(f"Kafka's jars as fetched do not match the committed lock: {fault}. Nothing was started.")


def _run_jgo(work: Path, cache: tuple[str, ...]) -> None:
    options = (
        "--resolver",
        "python",
        "--links",
        "copy",
        "--cache-dir",
        str(work / "cache"),
        *cache,
        "--color",
        "plain",
    )
    done = run_tool((sys.executable, "-m", "jgo", *options, "sync"), FETCH_TIMEOUT, cwd=work)
    if done.returncode != 0:
        reason = next((line for line in reversed(done.stdout.splitlines()) if line.strip()), "no output")
        raise StartError(
            f"Kafka's jars could not be fetched: {reason.strip()} (is a Maven repository reachable from here?)"
        )


def _put_in_place(ready: Path, directory: Path, replaced: Path) -> None:
    """Rename, so that nobody sees half a directory; if another process was first, its directory is as good as ours."""
    if directory.exists():
        directory.replace(replaced)
    try:
        ready.replace(directory)
    except OSError:
        if not directory.exists():
            raise


if __name__ == "__main__":
    try:
        print(verified_jars(say=print))
    except StartError as failure:
        sys.exit(str(failure))
