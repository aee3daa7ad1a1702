"""Child processes that never outlive the program that started them.

Every child carries a mark in its environment (launcher pid, name, data directory) and on Linux dies with its launcher.
The mark is how a later start recognises what an earlier one left behind: no pid file can be wrong about it.
Next: `supervisor.py`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "TOCSIN_CHILD"
PR_SET_PDEATHSIG = 1
AUTOGROUP = Path("/proc/self/autogroup")
"""How nice the session of this process is. Linux compares processes' own niceness within a session only, and every
child has one of its own. Source: sched(7), "The autogroup feature"."""

Say = Callable[[str], None]
"""Tells the person at the terminal one line about a slow step."""


def unheard(_line: str) -> None:
    """A `Say` for callers without an audience."""


class StartError(Exception):
    """Something cannot be started; the message is one sentence for the person at the terminal, remedy included."""


@dataclass(frozen=True)
class User:
    """The account a child runs under when it must not be ours."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """What to run as a child.

    name: short, unique within one data directory; also the name of its log file.
    owner: the data directory it belongs to; part of the mark.
    env: the whole environment but for the mark.
    stop_signal: the signal that asks for a clean end.
    """

    name: str
    argv: tuple[str, ...]
    owner: Path
    env: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None
    user: User | None = None
    stop_signal: signal.Signals = signal.SIGTERM


def mark_of(owner: Path, name: str, launcher: int) -> str:
    return f"{launcher}:{name}:{owner.resolve()}"


def spawn(command: Command, log: Path) -> subprocess.Popen[bytes]:
    """Start the child with both outputs appended to `log` (0600).

    It gets a process group of its own, because the terminal's Ctrl-C is ours to pass on. Call it from the main thread:
    the kernel ties the child's life to the thread that started it.
    Raises StartError when the program cannot be run at all.
    """
    env = {**command.env, MARK: mark_of(command.owner, command.name, os.getpid())}
    identity = command.user
    with os.fdopen(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "ab") as sink:
        try:
            return subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=command.cwd,
                user=identity.uid if identity else None,
                group=identity.gid if identity else None,
                extra_groups=[] if identity else None,
                start_new_session=True,
                preexec_fn=_die_with_launcher(),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise StartError(f"{command.name} cannot be started ({command.argv[0]}): {error}") from error


def _die_with_launcher() -> Callable[[], None] | None:
    """The hook a child runs before its program: SIGKILL when the launcher ends, however it ends (Linux only)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    launcher = os.getpid()

    def hook() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != launcher:  # it ended before the request was made
            os._exit(1)

    return hook


def give_way(by: int) -> None:
    """Let other processes go first when all are short of time: this one is `by` nicer (1 to 19), and so is its session
    where it leads one; another's is not ours to change.

    A kernel that knows nothing of sessions, or does not let us, goes by the process alone.
    """
    os.nice(by)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            AUTOGROUP.write_text(str(by))


def end(process: subprocess.Popen[bytes], stop_signal: signal.Signals, timeout: float) -> bool:
    """Ask for a clean end, wait up to `timeout` seconds, then kill the whole group. True when the end was clean."""
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        process.wait(timeout)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the child and its group, at once; reaps it. Nothing happens when it has ended before."""
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
    process.wait(10)


@dataclass(frozen=True)
class Marked:
    """A running process with our mark."""

    process: psutil.Process
    launcher: int
    name: str

    @property
    def is_orphan(self) -> bool:
        """Whether the program that started it is gone."""
        try:
            return self.process.ppid() != self.launcher
        except psutil.NoSuchProcess:
            return True


def marked(owner: Path) -> Iterator[Marked]:
    """Running processes that some launcher started for this data directory, read from the live process table."""
    wanted = str(owner.resolve())
    for process in psutil.process_iter():
        try:
            launcher, name, path = process.environ().get(MARK, "::").split(":", 2)
        except (psutil.Error, OSError):  # another user's process, or one that has just ended: not ours
            continue
        if path == wanted and process.pid != os.getpid():
            yield Marked(process, int(launcher), name)


def end_orphans(owner: Path, stop_signal: signal.Signals = signal.SIGTERM, say: Say = unheard) -> int:
    """Stop what a launcher that is gone left running on this data directory; returns how many.

    Raises StartError when a launcher still lives, because then its children are not ours to stop.
    """
    found = list(marked(owner))
    for child in found:
        if not child.is_orphan:
            raise StartError(
                f"{child.name} already runs on {owner} (pid {child.process.pid}, started by pid {child.launcher}): "
                "stop that one first, or use another data directory."
            )
    if found:
        say(f"Stopping what an earlier run left behind: {', '.join(sorted({child.name for child in found}))}")
    end_processes((child.process for child in found), 10.0, stop_signal)
    return len(found)


def end_processes(
    processes: Iterable[psutil.Process], timeout: float, stop_signal: signal.Signals = signal.SIGTERM
) -> None:
    """Ask for an end, wait up to `timeout` seconds in all, SIGKILL to the rest. Who ends meanwhile is no error."""
    waiting = list(processes)
    for signal_number, patience in ((stop_signal, timeout), (signal.SIGKILL, 5.0)):
        for process in waiting:
            try:
                process.send_signal(signal_number)
            except psutil.NoSuchProcess:
                continue
        deadline = time.monotonic() + patience
        while (waiting := [process for process in waiting if _lives(process)]) and time.monotonic() < deadline:
            time.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    """Whether it still runs. Never waits for it the way psutil does: that would take its exit code from its parent."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def run_tool(
    argv: tuple[str, ...],
    timeout: float,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: User | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a short program to its end, both outputs in `stdout`. Seconds in `timeout`.

    Raises StartError when it cannot be run or takes too long; an exit code other than 0 is the caller's to judge.
    """
    try:
        return subprocess.run(
            argv,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            env=env,
            cwd=cwd,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            preexec_fn=_die_with_launcher(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StartError(f"{argv[0]} did not finish within {timeout:.0f} s.") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise StartError(f"{argv[0]} cannot be run: {error}") from error


def last_lines(log: Path, count: int = 8) -> str:
    """The end of a log file, for an error message; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ""


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    name: str,
    log: Path,
    timeout: float,
    pause: float = 0.05,
) -> None:
    """Poll `ready` each `pause` seconds until it is true.

    Raises StartError after `timeout` seconds, or as soon as the child has died, with the last lines of its log.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if process.poll() is not None:
            raise StartError(f"{name} died while starting (exit {process.returncode}):\n{last_lines(log)}")
        if time.monotonic() > deadline:
            raise StartError(f"{name} was not ready within {timeout:.0f} s; the end of {log}:\n{last_lines(log)}")
        time.sleep(pause)
