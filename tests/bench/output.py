"""Where a run's results go: a table on standard output, files in `build/bench`, and the page about speed."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.bench import report
from tests.bench.machine import Machine
from tests.bench.site import Site
from tests.stack import ROOT

RESULTS = ROOT / "build" / "bench"
PAGE = ROOT / "docs" / "explanation" / "speed.md"
WIDE = 120
"""Columns where there is no terminal."""


def finish(
    name: str, site: Site, rounds: Sequence[report.Round], given_up: Sequence[str] = (), docs: bool = False
) -> None:
    """Print and write what was found.

    Parameters:
        name: of the files, and of the place in the page.
        docs: whether it is put into the page.
    """
    run = report.Run(
        at=site.began_at.isoformat(timespec="seconds"),
        machine=str(Machine.here()),
        revision=_revision(),
        seconds=time.monotonic() - site.began,
        limits=tuple(site.limits.values()),
        rounds=tuple(rounds),
        given_up=tuple(given_up),
    )
    _print(run)
    fragment = report.markdown(run)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(run.as_json(), indent=2) + "\n")
    (RESULTS / f"{name}.md").write_text(fragment)
    if docs:
        PAGE.write_text(report.filled(PAGE.read_text(), name, fragment))


def _revision() -> str:
    """Which code, as git names it; with `-dirty` when it was changed since."""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip() or "unknown"


def _print(run: report.Run) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    for table in report.tables(run):
        shown = Table(*table.headings, title=table.title, title_justify="left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    console.print(report.stores(run))
    for sentence in run.given_up:
        console.print(f"not measured: {sentence}")
