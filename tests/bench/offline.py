"""Work on the whole log, a process of its own, timed without the start of Python.

    python -m tests.bench.offline rebuild|verify|chain DATA_DIR SECONDS

Prints one JSON line: events, seconds, and how many things were found to differ or be wrong. `verify` and `chain` stop
after SECONDS with what they have done; a rebuild that takes longer is ended by whoever started it.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from compose.auditing import dsn_of, placed, reading
from projections.rebuild import rebuild
from projections.verify import Walk
from schemas.settings import Settings
from streams.store.postgres import PostgresStore

SAID = 3
"""Findings that are told in words."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was done."""

    events: int
    seconds: float
    found: int


class Enough(Exception):
    """The time is over."""


def rebuilt(settings: Settings, _: float) -> Done:
    """The read models made again, compared and put in place."""
    store, began = PostgresStore(dsn_of(settings)), time.perf_counter()
    try:
        difference = rebuild(dsn_of(settings), store, accept=False, say=_say)
    finally:
        store.close()
    return Done(difference.position, time.perf_counter() - began, difference.rows)


def verified(settings: Settings, longest: float, decisions: bool = True) -> Done:
    """The log walked along, as far as the time allows."""
    with reading(settings) as ledger:
        walk, began = Walk(ledger, settings.org, set(), decisions), time.perf_counter()

        def progress(position: int, head: int) -> None:
            _say(f"{position:,} of {head:,} events verified")
            if time.perf_counter() - began > longest:
                raise Enough

        try:
            walk.verify(progress)
        except Enough:
            _say("stopped: the time is over")
        for finding in walk.verdict.findings[:SAID]:
            _say(str(finding))
        return Done(walk.verdict.events, time.perf_counter() - began, walk.verdict.found)


def chain(settings: Settings, longest: float) -> Done:
    """The same without making decisions again."""
    return verified(settings, longest, decisions=False)


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


WORK: Mapping[str, Callable[[Settings, float], Done]] = {"rebuild": rebuilt, "verify": verified, "chain": chain}


if __name__ == "__main__":
    what, data_dir, seconds = sys.argv[1:]
    print(json.dumps(asdict(WORK[what](placed(Path(data_dir)), float(seconds)))))
