"""`make bench`: starts an installation of its own, loads it over TCP, reads counts back from the store, prints a table.

    python -m tests.bench [MEASURE ...] [--full] [--docs]

Nothing fails for being slow. What could not be measured is said, and the rest goes on. The results are in `build/bench`
as JSON and Markdown; `--docs` puts them into docs/explanation/speed.md too.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from compose.progress import Progress
from tests.bench.filling import OPEN
from tests.bench.measures.registry import MEASURES
from tests.bench.output import PAGE, finish
from tests.bench.rounds import Rounds
from tests.bench.site import Site
from tests.services import services

QUICK, FULL = 5.0, 10.0
"""Seconds of one load."""
LONGEST = 1500.0
"""Seconds after which no further measure of a run is begun."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    asked = _parsed(arguments)
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        progress.say("Starting Kafka and Postgres …")
        with services(Path(folder).resolve()) as started:
            seconds = asked.seconds or (FULL if asked.full else QUICK)
            with Site(Path(folder).resolve(), started, progress, seconds, asked.full) as site:
                work = Rounds(site, [MEASURES[name] for name in asked.measures or MEASURES], LONGEST, asked.open)
                rounds = work.run()
    finish("numbers", site, rounds, work.given_up, asked.docs)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.bench", description="How fast, beside this machine's limits.")
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=f"of {', '.join(MEASURES)}; default: all")
    parser.add_argument("--full", action="store_true", help="longer loads; all again with 100,000 open alerts")
    parser.add_argument(
        "--seconds", type=float, help=f"of a load; default {QUICK:g}, or {FULL:g}; at a rate, in a full run, 60"
    )
    parser.add_argument("--open", type=int, default=OPEN, help=f"open alerts of a full store; default {OPEN:,}")
    parser.add_argument("--docs", action="store_true", help=f"put the numbers into docs/explanation/{PAGE.name}")
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.measures) - set(MEASURES)):
        parser.error(f"there is no measure {', '.join(unknown)}: choose from {', '.join(MEASURES)}")
    return asked


if __name__ == "__main__":
    main()
