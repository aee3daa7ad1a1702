"""`make test-faults`: the matrix, then the soak. `python -m tests.faults --help` says what else can be asked.

Ended at any moment, it goes on where it was: results are in `build/faults`. `--afresh` forgets them.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.faults import soak, table
from tests.faults.lanes import LANES, Lanes, look, walk
from tests.faults.matrix import Results, cases, firsts, later_cases
from tests.services import services
from tests.stack import ROOT

RESULTS = ROOT / "build" / "faults"


def main() -> int:
    """Exit code 0 when every case that was run ended as if nothing had happened."""
    options = _options()
    RESULTS.mkdir(parents=True, exist_ok=True)
    if options.afresh:
        for file in RESULTS.glob("*.json"):
            file.unlink()
    results = Results(RESULTS / "matrix.json")
    until = time.monotonic() + options.minutes * 60
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-faults-")))
        given = [stack.enter_context(services(folder / f"services{number}")) for number in range(LANES)]
        lanes = Lanes(given, folder)
        reached = firsts(look(lanes, RESULTS / "reached.json"))
        struck = later_cases if options.later else cases
        walk(lanes, results, {story: list(struck(places)) for story, places in reached.items()}, options.only, until)
    right = results.good()
    if not options.only and not options.later and time.monotonic() < until:
        right = soak.main(RESULTS / "soak.json", options.kills) and right
    text = table.written(results, reached, RESULTS / "soak.json")
    print(text)
    if options.docs:
        table.into_docs(text)
        table.keep_reached(reached)
    return int(not right)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=75.0, help="time for the matrix")
    parser.add_argument("--kills", type=int, default=200, help="kills of the soak")
    parser.add_argument("--only", default="", help="cases whose name holds this; then no soak")
    parser.add_argument("--later", action="store_true", help="faults at later passages instead; then no soak")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/explanation/faults.md")
    parser.add_argument("--afresh", action="store_true", help="forget what was run before")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Ended. Asked again, it goes on where it was.")
