"""Keeps child processes running: starts them in order, restarts what dies, stops them in reverse order.

A child that dies again and again right after its start is not hidden: everything stops, with the child's last words.
Used by `up.py`; the processes themselves are `processes.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from compose.processes import Command, Say, StartError, kill, last_lines, spawn, unheard

POLL = 0.1  # seconds between looks at a child
LONG = 30.0  # seconds of a start after which people are told that it is still under way
LOG_LIMIT = 20_000_000  # bytes; a longer log becomes <name>.log.1, in place of the one before
LOG_LOOK = 5.0  # seconds between looks at the length of a log
LOG_PART = 1_000_000  # bytes that are copied at once


class ChildFailed(StartError):
    """A child cannot be kept running; the message names it and ends with its log's last lines."""


@dataclass(frozen=True)
class Child:
    """One process to keep running.

    prepare: called in a thread before every start, first or again, because what a death leaves behind must be cleared;
        it returns what to run, may block and may raise StartError.
    ready: whether it can be used, asked until it is true; None means as soon as it runs.
    ready_within: seconds from the start until it must be ready, time to fetch and restart included.
    stop_within: seconds for a clean end before SIGKILL.
    """

    name: str
    prepare: Callable[[], Command]
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_within: float = 60.0
    stop_within: float = 15.0


@dataclass(frozen=True)
class RestartPolicy:
    """Exponential backoff with jitter; all in seconds.

    A child that lived for `healthy_after` starts again with a clean slate; so many shorter lives in a row as
    `give_up_after` says are too many.
    """

    first_pause: float = 0.2
    longest_pause: float = 10.0
    healthy_after: float = 10.0
    give_up_after: int = 7

    def pause(self, deaths: int, jitter: float) -> float:
        """How long to wait after this many deaths in a row; `jitter` in [0, 1) spreads it over the upper half."""
        return min(self.longest_pause, self.first_pause * 2.0 ** min(deaths - 1, 30)) * (0.5 + jitter / 2)


@dataclass
class _Slot:
    child: Child
    command: Command | None = None
    process: subprocess.Popen[bytes] | None = None
    task: asyncio.Task[None] = field(init=False)


class Supervisor:
    """Runs on one event loop, in the main thread (children die with the thread that starts them).

    logs: directory for `<child>.log`.
    on_change: called after each start and each death, with `pids` up to date.
    """

    def __init__(
        self,
        logs: Path,
        *,
        say: Say = unheard,
        on_change: Callable[[], None] = lambda: None,
        policy: RestartPolicy | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._logs, self._say, self._on_change = logs, say, on_change
        self._policy = policy or RestartPolicy()
        self._monotonic, self._jitter = monotonic, jitter
        self._slots: list[_Slot] = []
        self._failures: asyncio.Queue[BaseException] = asyncio.Queue()
        self._settled = False

    @property
    def pids(self) -> dict[str, int]:
        """Pid by name, of the children that are up at this instant."""
        alive = ((slot.child.name, slot.process) for slot in self._slots)
        return {name: process.pid for name, process in alive if process is not None and process.poll() is None}

    def log_of(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    async def start(self, child: Child) -> None:
        """Start a child and return when it is ready; from then on it is kept running.

        Raises ChildFailed when it keeps dying or is not ready in time, StartError when it cannot even be prepared.
        """
        slot = _Slot(child)
        slot.task = asyncio.create_task(self._keep(slot), name=f"keep {child.name}")
        slot.task.add_done_callback(self._note_failure)
        self._slots.append(slot)
        slow = asyncio.get_running_loop().call_later(LONG, self._say, self._still(child))
        try:
            async with asyncio.timeout(child.ready_within):
                while not await self._is_ready(slot):
                    if slot.task.done():
                        slot.task.result()
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise ChildFailed(self._obituary(child.name, f"was not ready within {child.ready_within:.0f} s")) from error
        finally:
            slow.cancel()

    def settle(self) -> None:
        """Everything runs: from now on a child that keeps dying is started again for ever.

        One broken role must not take the others down with it: people are paged whatever else is broken.
        """
        self._settled = True

    async def watch(self) -> None:
        """Wait for ever; raises ChildFailed when, before `settle`, a child cannot be kept running."""
        raise await self._failures.get()

    async def stop(self) -> None:
        """End all children, the youngest first; SIGKILL to those that take too long."""
        for slot in self._slots:
            slot.task.cancel()  # first of all: nothing is restarted from here on
        await asyncio.gather(*(slot.task for slot in self._slots), return_exceptions=True)
        for slot in reversed(self._slots):
            await self._end(slot)
        self._slots.clear()

    def kill(self) -> None:
        """SIGKILL to all children, at once."""
        for slot in self._slots:
            slot.task.cancel()
            if slot.process is not None:
                kill(slot.process)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._failures.put_nowait(error)

    async def _is_ready(self, slot: _Slot) -> bool:
        if slot.process is None or slot.process.poll() is not None:
            return False
        return slot.child.ready is None or await slot.child.ready()

    async def _keep(self, slot: _Slot) -> None:
        deaths = 0
        while True:
            began = self._monotonic()
            try:
                cause = await self._live(slot)
            except StartError as error:
                if slot.process is None:  # not once yet: what is missing will still be missing in a moment
                    raise
                cause = f"cannot be started: {error}"
            deaths = 1 if self._monotonic() - began >= self._policy.healthy_after else deaths + 1
            if deaths >= self._policy.give_up_after and not self._settled:
                raise ChildFailed(self._obituary(slot.child.name, f"{cause}, {deaths} times in a row"))
            pause = self._policy.pause(deaths, self._jitter())
            self._say(f"{slot.child.name} {cause}; it is started again in {pause:.1f} s")
            await asyncio.sleep(pause)

    async def _live(self, slot: _Slot) -> str:
        """One life of a child, from preparation to death; returns how it ended, raises StartError if it never began."""
        log = self.log_of(slot.child.name)
        if is_long(log):
            log.replace(log.with_suffix(".log.1"))
        slot.command = await asyncio.to_thread(slot.child.prepare)
        slot.process = spawn(slot.command, log)
        self._on_change()
        trimming = asyncio.create_task(self._trim(slot.child.name, log), name=f"trim the log of {slot.child.name}")
        try:
            code = await _ended(slot.process)
        finally:
            trimming.cancel()
            await asyncio.wait([trimming])
        self._on_change()
        return f"died (exit code {code})"

    async def _trim(self, name: str, log: Path) -> None:
        """Keep the log of a child that lives from growing, until cancelled; what prevents it is said once."""
        prevented = False
        while True:
            await asyncio.sleep(LOG_LOOK)
            try:
                if is_long(log):
                    await _whole(asyncio.to_thread(cut, log))
                prevented = False
            except OSError as error:
                if not prevented:
                    self._say(f"the log of {name} grows, because it cannot be moved aside: {error}")
                prevented = True

    async def _end(self, slot: _Slot) -> None:
        if slot.process is None or slot.command is None or slot.process.poll() is not None:
            return
        slot.process.send_signal(slot.command.stop_signal)
        try:
            async with asyncio.timeout(slot.child.stop_within):
                await _ended(slot.process)
        except TimeoutError:
            self._say(f"{slot.child.name} did not stop within {slot.child.stop_within:.0f} s and is killed")
            kill(slot.process)

    def _still(self, child: Child) -> str:
        return (
            f"{child.name} is still starting; it is given {child.ready_within / 60:.0f} min."
            f" On a slow disk that is normal, else see {self.log_of(child.name)}"
        )

    def _obituary(self, name: str, cause: str) -> str:
        log = self.log_of(name)
        return f"{name} {cause}. The end of {log}:\n{last_lines(log) or '(nothing)'}"


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code, once there is one."""
    while (code := process.poll()) is None:  # noqa: ASYNC110 - looking is what reaps a child, without a thread for each
        await asyncio.sleep(POLL)
    return code


async def _whole(work: Awaitable[None]) -> None:
    """Wait for `work` to its end, also when cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def is_long(log: Path) -> bool:
    """Whether a log is longer than it may be."""
    return log.exists() and log.stat().st_size > LOG_LIMIT


def cut(log: Path) -> None:
    """Move what a log says to `<name>.log.1`, in place of what that said, while its writer goes on: it appends.

    Nothing is lost but what is written in the moment between the end of the copy and the cut. The log before gives its
    room to the copy. Where that does not suffice, the log stays as it is and there is no copy. Blocks. Raises OSError.
    """
    aside = log.with_suffix(".log.1")
    try:
        flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
        with log.open("rb") as source, os.fdopen(os.open(aside, flags, 0o600), "wb") as copy:
            _append(source, copy)
            os.fsync(copy.fileno())  # a full disk may say so only now
            _append(source, copy)
            os.truncate(log, 0)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def _append(source: BinaryIO, copy: BinaryIO) -> None:
    """Copy what the source has now: who writes faster than this does not keep it going for ever."""
    left = os.fstat(source.fileno()).st_size - source.tell()
    while left > 0 and (part := source.read(min(left, LOG_PART))):
        copy.write(part)
        left -= len(part)
    copy.flush()
