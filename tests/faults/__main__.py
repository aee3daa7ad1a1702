"""`make test-faults`: the matrix, then the soak. `python -m tests.faults [--minutes N] [--only WORDS] [--docs]`.

Ended at any moment, it goes on where it was: results are in `build/faults`. `--afresh` forgets them.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from tests.faults import soak, table
from tests.faults.matrix import SAME, Results, cases, observed, run
from tests.faults.outcomes import Outcome
from tests.faults.site import SETTINGS, Fault, Site
from tests.services import Services, services
from tests.stack import ROOT, Installation

RESULTS = ROOT / "build" / "faults"
TOGETHER = 60
"""Cases on one installation; then, or after one that went wrong, another is made."""


@contextmanager
def new_site(given: Services, folder: Path, number: int) -> Iterator[Site]:
    """An installation of its own on the given services."""
    name = f"faults_{number}"
    with psycopg.connect(given.dsn, autocommit=True) as connection:
        connection.execute(SQL("create database {}").format(Identifier(name)))
    home = folder / name
    home.mkdir()
    dsn = given.dsn.rpartition("/")[0] + f"/{name}"
    installation = Installation(given, dsn, f"f{number}-", home, FAILPOINTS=str(home / "plan"), **SETTINGS)
    try:
        site = Site(installation, home / "plan")
        yield site
        site.close()
    finally:
        installation.close()


def walk(given: Services, folder: Path, results: Results, only: str, until: float) -> None:
    """Run the cases that have no result yet, until all have one or time is up."""
    number, left = 0, [Fault("none", "none", "none")]
    while left and time.monotonic() < until:
        number += 1
        with new_site(given, folder, number) as site:
            undisturbed = site.outcome(site.tell())
            if number == 1:
                results.reached = observed(site, folder / "faults_1" / "plan")
            wanted = [fault for fault in cases(results.reached) if only in str(fault)]
            left = [fault for fault in wanted if str(fault) not in results.of]
            print(f"{len(wanted) - len(left)} of {len(wanted)} cases done", flush=True)
            left = left[_some(site, undisturbed, left, results, until) :]


def _some(site: Site, undisturbed: Outcome, left: list[Fault], results: Results, until: float) -> int:
    """Run some cases; returns how many."""
    for done, fault in enumerate(left[:TOGETHER], start=1):
        began = time.monotonic()
        result = run(site, undisturbed, fault)
        results.put(fault, result)
        print(f"{fault}: {result} ({time.monotonic() - began:.1f} s)", flush=True)
        if result.startswith(("did not end", "broken")) or time.monotonic() > until:
            return done
    return min(len(left), TOGETHER)


def main() -> int:
    """Exit code 0 when every case that was run ended as if nothing had happened."""
    options = _options()
    RESULTS.mkdir(parents=True, exist_ok=True)
    if options.afresh:
        for file in RESULTS.glob("*.json"):
            file.unlink()
    results = Results(RESULTS / "matrix.json")
    until = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="tocsin-faults-") as folder, services(Path(folder)) as given:
        walk(given, Path(folder), results, options.only, until)
    if not options.only and time.monotonic() < until:
        soak.main(RESULTS / "soak.json", options.kills)
    text = table.written(results, RESULTS / "soak.json")
    print(text)
    if options.docs:
        table.into_docs(text)
    return int(any(result not in (SAME, "not reached") for result in results.of.values()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=90.0, help="time for the matrix")
    parser.add_argument("--kills", type=int, default=200, help="kills of the soak")
    parser.add_argument("--only", default="", help="cases whose name holds this; then no soak")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/explanation/faults.md")
    parser.add_argument("--afresh", action="store_true", help="forget what was run before")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
