"""Kafka's jars are exactly the locked ones, or nothing is started. jgo itself is not run here."""

from pathlib import Path

import pytest

from compose.embedded import jars
from compose.embedded.jars import locked_jars, verified_jars
from compose.embedded.java import find_java
from compose.processes import StartError


def test_the_lock_names_every_jar_by_hash_and_no_host() -> None:
    assert len(locked_jars()) == 46
    assert all(len(jar.sha256) == 64 for jar in locked_jars())
    assert "://" not in jars.LOCK.read_text()
    assert "4.3.1" in {jar.file_name.removeprefix("kafka_2.13-").removesuffix(".jar") for jar in locked_jars()}


@pytest.fixture
def small_lock(tmp_path: Path) -> Path:
    """A lock of one jar, whose content is `good`."""
    lock = tmp_path / "jgo.lock.toml"
    digest = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"  # sha256 of b"good"
    lock.write_text(f'[[dependencies]]\nartifactId = "one"\nversion = "1.0"\nsha256 = "{digest}"\n')
    return lock


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What a fetch brings, one content per attempt; jgo itself is not run."""
    contents: list[bytes] = []

    def run_jgo(work: Path, cache: tuple[str, ...]) -> None:
        (work / "cache" / "jars").mkdir(parents=True)
        (work / "cache" / "jars" / "one-1.0.jar").write_bytes(contents.pop(0))

    monkeypatch.setattr(jars, "_run_jgo", run_jgo)
    return contents


def test_jars_are_fetched_once(tmp_path: Path, small_lock: Path, repository: list[bytes]) -> None:
    repository.append(b"good")
    directory = tmp_path / "share" / "kafka"
    assert verified_jars(directory, small_lock) == directory
    assert (directory / "one-1.0.jar").read_bytes() == b"good"
    assert verified_jars(directory, small_lock) == directory
    assert [path.name for path in directory.parent.iterdir()] == ["kafka"]


def test_a_changed_jar_is_told_and_fetched_again(tmp_path: Path, small_lock: Path, repository: list[bytes]) -> None:
    directory = tmp_path / "kafka"
    directory.mkdir()
    (directory / "one-1.0.jar").write_bytes(b"tampered")
    repository.append(b"good")
    said: list[str] = []
    verified_jars(directory, small_lock, said.append)
    assert said == ["Kafka's jars are damaged (one-1.0.jar does not have the locked sha256): fetching them again"]
    assert (directory / "one-1.0.jar").read_bytes() == b"good"


def test_a_jar_of_nobody_knows_where_from_is_not_run(tmp_path: Path, small_lock: Path, repository: list[bytes]) -> None:
    directory = tmp_path / "kafka"
    directory.mkdir()
    (directory / "one-1.0.jar").write_bytes(b"good")
    (directory / "extra.jar").write_bytes(b"on the class path, too")
    repository.append(b"good")
    verified_jars(directory, small_lock)
    assert [path.name for path in directory.iterdir()] == ["one-1.0.jar"]


def test_a_wrong_hash_is_refused_after_going_past_the_cache(
    tmp_path: Path, small_lock: Path, repository: list[bytes]
) -> None:
    repository.extend([b"stale in the cache", b"changed at the source"])
    with pytest.raises(StartError, match=r"do not match the committed lock: one-1\.0\.jar .* Nothing was started"):
        verified_jars(tmp_path / "kafka", small_lock)
    assert repository == []
    assert not (tmp_path / "kafka").exists()


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    java = find_java(tmp_path)
    assert java.path != old
    assert java.version >= 17
