"""What the person at the terminal sees of slow steps: a spinner and a tick on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

WIDE = 200
"""Columns of a table that no terminal shows."""


def console() -> Console:
    """For what a command answers: as wide as the terminal; in a pipe or a file a row of a table stays one line."""
    terminal = sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=not terminal, width=None if terminal else WIDE)


class Progress:
    """Prints to one console; `monotonic` gives seconds."""

    def __init__(self, console: Console | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._monotonic = monotonic

    def say(self, line: str) -> None:
        """One line, now."""
        self._console.print(escape(line))

    def fail(self, line: str) -> None:
        """One sentence on why it stops here."""
        self._console.print(f"[bold red]{escape(line)}[/]")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A slow step: announced, and when it succeeded its seconds are told."""
        began = self._monotonic()
        if self._console.is_terminal:
            with self._console.status(f"{escape(text)} …"):
                yield
        else:
            self.say(f"{text} …")
            yield
        self._console.print(f"[green]✓[/] {escape(text)} ({self._monotonic() - began:.1f} s)")
