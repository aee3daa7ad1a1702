"""Children are started in order, restarted when they die, given up when they keep dying, and never outlive us."""

import asyncio
import errno
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from compose.processes import MARK, Command, StartError, end_orphans, end_processes, mark_of, run_tool, spawn
from compose.progress import Progress
from compose.supervisor import Child, ChildFailed, RestartPolicy, Supervisor, cut

QUICK = RestartPolicy(first_pause=0.01, longest_pause=0.02, healthy_after=5.0, give_up_after=3)
PATIENCE = 30.0  # seconds


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, said: list[str]) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path, say=said.append, policy=QUICK)
    yield supervisor
    await supervisor.stop()


def shell(tmp_path: Path, name: str, script: str, stop_within: float = PATIENCE) -> Child:
    """A child that is a shell script, which sees its directory as $D and its name as $N."""
    env = {"PATH": os.environ["PATH"], "D": str(tmp_path), "N": name}
    command = Command(name, ("/bin/sh", "-c", script), tmp_path, env)
    return Child(name, lambda: command, stop_within=stop_within)


def says(file: Path, text: str) -> bool:
    return file.exists() and text in file.read_text()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


OBEDIENT = """
trap 'echo "$N stops" >>"$D/story"; exit 0' TERM
echo "$N starts" >>"$D/story"
while :; do sleep 0.02; done
"""


async def test_start_in_order_stop_in_reverse_order(supervisor: Supervisor, tmp_path: Path) -> None:
    story = tmp_path / "story"
    for name in ("first", "second", "third"):
        await supervisor.start(shell(tmp_path, name, OBEDIENT))
        await until(partial(says, story, f"{name} starts"))
    await supervisor.stop()
    lines = story.read_text().splitlines()
    assert lines[:3] == ["first starts", "second starts", "third starts"]
    assert lines[3:] == ["third stops", "second stops", "first stops"]
    assert supervisor.pids == {}


async def test_a_child_that_is_killed_is_started_again(supervisor: Supervisor, tmp_path: Path, said: list[str]) -> None:
    await supervisor.start(shell(tmp_path, "worker", "exec sleep 60"))
    first = supervisor.pids["worker"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pids.get("worker", first) != first)
    assert any(line.startswith("worker died (exit code -9)") for line in said)


async def test_a_child_that_keeps_dying_stops_everything_with_its_last_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    await supervisor.start(shell(tmp_path, "healthy", "exec sleep 60"))
    with pytest.raises(ChildFailed) as failure:
        async with asyncio.timeout(PATIENCE):
            await supervisor.start(shell(tmp_path, "sick", "echo no such table; exit 3"))
            await supervisor.watch()
    assert str(failure.value).startswith("sick died (exit code 3), 3 times in a row")
    assert str(failure.value).endswith("no such table")


async def test_what_cannot_be_prepared_is_not_tried_again(supervisor: Supervisor) -> None:
    tries = []

    def prepare() -> Command:
        tries.append(1)
        raise StartError("Kafka needs Java 17 or newer: install one.")

    with pytest.raises(StartError, match="needs Java"):
        await supervisor.start(Child("kafka", prepare))
    assert tries == [1]


async def test_a_child_that_is_never_ready_is_named(supervisor: Supervisor, tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    child = shell(tmp_path, "gateway", "echo waiting for Kafka; exec sleep 60")
    with pytest.raises(ChildFailed, match=r"gateway was not ready within 2 s[\s\S]*waiting for Kafka"):
        await supervisor.start(Child(child.name, child.prepare, never, ready_within=2.0))


async def test_a_child_that_does_not_listen_is_killed(supervisor: Supervisor, tmp_path: Path, said: list[str]) -> None:
    deaf = "trap '' TERM; echo up; while :; do sleep 0.02; done"
    await supervisor.start(shell(tmp_path, "deaf", deaf, stop_within=0.2))
    await until(lambda: "up" in supervisor.log_of("deaf").read_text())
    pid = supervisor.pids["deaf"]
    await supervisor.stop()
    assert said == ["deaf did not stop within 0 s and is killed"]
    assert not psutil.pid_exists(pid)


async def test_nothing_is_restarted_while_stopping(supervisor: Supervisor, tmp_path: Path, said: list[str]) -> None:
    await supervisor.start(shell(tmp_path, "worker", "exec sleep 60"))
    await supervisor.stop()
    assert said == []


async def test_logs_are_private(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start(shell(tmp_path, "worker", "exec sleep 60"))
    assert supervisor.log_of("worker").stat().st_mode & 0o777 == 0o600


# -- logs --------------------------------------------------------------------------------------------------------------

TALKING = 'i=0; while :; do i=$((i+1)); echo "line $i"; [ $((i % 50)) = 0 ] && sleep 0.01; done'


async def test_the_log_of_a_child_that_lives_does_not_grow_without_end(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compose.supervisor.LOG_LIMIT", 5_000)
    monkeypatch.setattr("compose.supervisor.LOG_LOOK", 0.05, raising=False)
    await supervisor.start(shell(tmp_path, "worker", TALKING))
    pid, log = supervisor.pids["worker"], supervisor.log_of("worker")
    aside = log.with_suffix(".log.1")
    await until(aside.exists)
    first = aside.stat().st_size
    await until(lambda: aside.stat().st_size != first)
    assert supervisor.pids["worker"] == pid
    await until(lambda: log.stat().st_size > 0)
    assert aside.stat().st_mode & 0o777 == 0o600
    await supervisor.stop()
    lines = [line for line in (aside.read_text() + log.read_text()).splitlines() if re.fullmatch(r"line \d+", line)]
    numbers = [int(line.removeprefix("line ")) for line in lines]
    assert numbers == sorted(set(numbers)), "nothing is there twice"


def test_a_log_is_moved_aside_whole_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    (tmp_path / "worker.log.1").write_text("the one before\n")
    with log.open("ab") as writer:
        writer.write(b"before\n")
        writer.flush()
        cut(log)
        writer.write(b"after\n")
    assert (tmp_path / "worker.log.1").read_text() == "before\n"
    assert log.read_text() == "after\n"


def test_on_a_full_disk_a_log_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "worker.log"
    log.write_text("kept\n")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        cut(log)
    assert log.read_text() == "kept\n"
    assert not (tmp_path / "worker.log.1").exists()


async def test_a_log_that_cannot_be_moved_aside_is_said_once(
    supervisor: Supervisor, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compose.supervisor.LOG_LIMIT", 10)
    monkeypatch.setattr("compose.supervisor.LOG_LOOK", 0.02)
    supervisor.log_of("worker").with_suffix(".log.1").mkdir()
    await supervisor.start(shell(tmp_path, "worker", "echo a long line; sleep 1; echo again; exec sleep 60"))
    await until(lambda: says(supervisor.log_of("worker"), "again"))
    assert len(said) == 1 and said[0].startswith("the log of worker grows, because")


def test_pauses_double_up_to_a_limit_and_spread() -> None:
    policy = RestartPolicy(first_pause=0.2, longest_pause=1.0)
    assert [policy.pause(deaths, jitter=1.0) for deaths in (1, 2, 3, 4, 50)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert policy.pause(1, jitter=0.0) == 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its launcher's")
def test_children_die_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from compose.processes import *;"
        "c = Command('x', ('/bin/sleep', '60'), Path(sys.argv[1]), {});"
        "print(spawn(c, Path(sys.argv[1]) / 'log').pid, flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as launcher:
        assert launcher.stdout
        child = psutil.Process(int(launcher.stdout.readline()))
        assert child.is_running()
        launcher.kill()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_orphans_are_stopped_and_strangers_are_not(tmp_path: Path) -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    orphan = subprocess.Popen(["/bin/sleep", "60"], env={MARK: mark_of(tmp_path, "kafka", gone.pid)})
    stranger = subprocess.Popen(["/bin/sleep", "60"], env={MARK: mark_of(tmp_path / "other", "kafka", gone.pid)})
    said: list[str] = []
    try:
        assert end_orphans(tmp_path, say=said.append) == 1
        assert orphan.wait(PATIENCE) == -signal.SIGTERM
        assert stranger.poll() is None
        assert said == ["Stopping what an earlier run left behind: kafka"]
    finally:
        orphan.kill()
        stranger.kill()
        stranger.wait(PATIENCE)


def test_the_children_of_a_living_launcher_are_not_ours_to_stop(tmp_path: Path) -> None:
    child = spawn(Command("kafka", ("/bin/sleep", "60"), tmp_path, {}), tmp_path / "log")
    try:
        with pytest.raises(
            StartError, match=f"kafka already runs on .* \\(pid {child.pid}, started by pid {os.getpid()}"
        ):
            end_orphans(tmp_path)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait(PATIENCE)


def test_ending_a_process_leaves_its_exit_code_to_its_parent() -> None:
    child = subprocess.Popen(["/bin/sleep", "60"])
    end_processes([psutil.Process(child.pid)], PATIENCE)
    assert child.wait(PATIENCE) == -signal.SIGTERM


def test_a_program_that_cannot_be_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="kafka cannot be started"):
        spawn(Command("kafka", ("/no/such/program",), tmp_path, {}), tmp_path / "log")
    with pytest.raises(StartError, match="did not finish within 0 s"):
        run_tool(("/bin/sleep", "60"), timeout=0.2)


def test_progress_is_plain_lines_away_from_a_terminal() -> None:
    out = io.StringIO()
    ticks = iter([10.0, 12.5])
    progress = Progress(Console(file=out), monotonic=lambda: next(ticks))
    with progress.step("Starting [Kafka]"):
        progress.say("Fetching")
    assert out.getvalue().splitlines() == ["Starting [Kafka] …", "Fetching", "✓ Starting [Kafka] (2.5 s)"]
