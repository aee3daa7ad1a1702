"""Failpoints: named places around every effect, where tests let a process die, stand still or lose its connection.

They do nothing unless the setting `failpoints` names a plan, which tests of crashes do (`tests/faults`) and nobody
else should. A plan is a file of one line, `role point action nth`: the nth time that a process of this role reaches
this point, the action happens, once; the file is then named `.struck`. Tests write the next plan while roles run.
"""

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

OBSERVE = "observe"
"""A plan that strikes nothing: a line in `<plan>.<role>` for every time that a role reaches a point."""
STRUCK, GO = ".struck", ".go"
"""What a plan's file is called when it was carried out; the file that ends a pause."""
LONGEST_PAUSE = 30.0
"""Seconds that a pause lasts at most."""


class Struck(RuntimeError):
    """An error that nobody expects, raised by a failpoint."""


class ConnectionLost(ConnectionResetError):
    """The peer is gone, raised by a failpoint: whether it did what it was asked nobody knows."""


@dataclass(slots=True)
class _Plan:
    path: Path
    role: str
    loop: asyncio.AbstractEventLoop
    main: "asyncio.Task[object] | None"
    counted: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


_plan: _Plan | None = None


def arm(path: Path | None, role: str) -> None:
    """From now on this process, a `role`, does what the plan at `path` says; None disarms. Call it in the main task."""
    global _plan
    _plan = _Plan(path, role, asyncio.get_running_loop(), asyncio.current_task()) if path else None


def reach(point: str) -> None:
    """The process is at `point`. Raises whatever a plan says; without one it costs a comparison."""
    if _plan is not None:
        _reached(_plan, point)


class effect:  # noqa: N801 - reads as a statement
    """Around an effect: reaches `<name>:before`, and `<name>:after` when it did not fail."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        if _plan is not None:
            _reached(_plan, f"{self._name}:before")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if _plan is not None and kind is None:
            _reached(_plan, f"{self._name}:after")


def _reached(plan: _Plan, point: str) -> None:
    try:
        line = plan.path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return
    if line == OBSERVE:
        _note(plan, point)
        return
    role, wanted, action, nth = line.split()
    if (role, wanted) == (plan.role, point) and _is_time(plan, line, int(nth)):
        ACTIONS[action](plan)


def _note(plan: _Plan, point: str) -> None:
    with plan.lock, plan.path.with_suffix(f".{plan.role}").open("a", encoding="ascii") as seen:
        seen.write(f"{point}\n")


def _is_time(plan: _Plan, line: str, nth: int) -> bool:
    """Whether the plan is to be carried out now, by this thread of this process and no other."""
    with plan.lock:
        plan.counted[line] += 1
        if plan.counted[line] < nth:
            return False
        try:
            plan.path.rename(plan.path.with_suffix(STRUCK))
        except FileNotFoundError:
            return False
        return True


def _send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def _raise(error: Exception) -> None:
    raise error


def _cancel(plan: _Plan) -> None:
    """Cancel the task at this point; on a thread, which is nobody's task, the role's own."""
    task = None
    with suppress(RuntimeError):
        task = asyncio.current_task()
    if task is not None:
        task.cancel()
    elif plan.main is not None:
        plan.loop.call_soon_threadsafe(plan.main.cancel)


def _pause(plan: _Plan) -> None:
    """Stand still at this point, on this thread only, until the test says go."""
    end = time.monotonic() + LONGEST_PAUSE
    while time.monotonic() < end and not plan.path.with_suffix(GO).exists():
        time.sleep(0.02)


ACTIONS: dict[str, Callable[[_Plan], None]] = {
    "kill": lambda plan: _send(signal.SIGKILL),
    "term": lambda plan: _send(signal.SIGTERM),
    "stop": lambda plan: _send(signal.SIGSTOP),
    "raise": lambda plan: _raise(Struck("a failpoint says so")),
    "lose": lambda plan: _raise(ConnectionLost("a failpoint says so")),
    "cancel": _cancel,
    "pause": _pause,
}
