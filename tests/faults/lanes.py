"""The matrix is run in lanes side by side, because a case mostly waits; each has a broker and a database of its own.

A lane takes a handful of cases of one story, makes an installation for them, tells the story undisturbed, then with
each fault; then it takes the next handful.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Queue
from threading import Event
from typing import TypeVar

import psycopg
from psycopg.sql import SQL, Identifier

from tests.faults.matrix import Reached, Results, observed, run
from tests.faults.site import SETTINGS, Fault, Site
from tests.faults.stories import STORIES, Story
from tests.services import Services
from tests.stack import Installation

LANES = 2
TOGETHER = 25
"""Cases on one installation; then, or after one that went wrong, another is made."""

T = TypeVar("T")
Handful = tuple[Story, list[Fault]]


class Lane:
    """Services of its own, and installations on them, one after the other. Once `ending` is set, what is under way was
    cut off and says nothing.
    """

    def __init__(self, given: Services, folder: Path, ending: Event) -> None:
        self.ending = ending
        self._given, self._folder, self._made = given, folder, 0

    @contextmanager
    def site(self, story: Story) -> Iterator[tuple[Site, Path]]:
        """An installation for a story, and the plan of its faults."""
        self._made += 1
        name = f"faults_{self._made}"
        with psycopg.connect(self._given.dsn, autocommit=True) as connection:
            connection.execute(SQL("create database {}").format(Identifier(name)))
        home = self._folder / name
        home.mkdir()
        dsn = self._given.dsn.rpartition("/")[0] + f"/{name}"
        settings = {"FAILPOINTS": str(home / "plan"), **SETTINGS, **story.settings}
        installation = Installation(self._given, dsn, f"f{self._made}-", home, **settings)
        try:
            site = Site(installation, home / "plan")
            yield site, home / "plan"
            site.close()
        finally:
            installation.close()


class Lanes:
    """So many lanes, each taken by whoever has work for one."""

    def __init__(self, given: Sequence[Services], folder: Path) -> None:
        self._free: Queue[Lane] = Queue()
        self._count = len(given)
        self._ending = Event()
        for number, one in enumerate(given):
            home = folder / f"lane{number}"
            home.mkdir()
            self._free.put(Lane(one, home, self._ending))

    def each(self, work: Callable[[Lane, T], None], things: Sequence[T]) -> None:
        """Do `work` for each of `things`, side by side. Raises what it raises; interrupted, it begins nothing more."""

        def one(thing: T) -> None:
            lane = self._free.get()
            try:
                work(lane, thing)
            finally:
                self._free.put(lane)

        with ThreadPoolExecutor(self._count) as threads:
            try:
                for done in wait([threads.submit(one, thing) for thing in things], return_when=FIRST_EXCEPTION).done:
                    done.result()
            except BaseException:
                print("Ending: what is under way is waited for, a minute at most …", flush=True)
                self._ending.set()
                threads.shutdown(wait=False, cancel_futures=True)
                raise


def look(lanes: Lanes, kept: Path) -> Reached:
    """Which story comes to which points, told undisturbed; kept in a file for a run that goes on."""
    found: Reached = json.loads(kept.read_text()) if kept.exists() else {}

    def one(lane: Lane, story: Story) -> None:
        with lane.site(story) as (site, plan):
            found[story.name] = observed(site, story, plan)
        print(f"{story.name}: {len(found[story.name])} places", flush=True)

    lanes.each(one, [story for story in STORIES if story.name not in found])
    ordered = {story.name: found[story.name] for story in STORIES}
    kept.write_text(json.dumps(ordered, indent=1))
    return ordered


def walk(lanes: Lanes, results: Results, faults: Mapping[str, Sequence[Fault]], only: str, until: float) -> None:
    """Run those of the stories' `faults` that have no result yet, until all have one or time is up."""
    wanted = [(story, fault) for story in STORIES for fault in faults[story.name] if only in f"{story.name}: {fault}"]
    left = [(story, fault) for story, fault in wanted if str(fault) not in results.of]
    print(f"{len(wanted) - len(left)} of {len(wanted)} cases done", flush=True)
    lanes.each(partial(_run, results, until), list(_handfuls(left)))


def _handfuls(left: Sequence[tuple[Story, Fault]]) -> Iterator[Handful]:
    """The longest stories first, so that lanes end together."""
    for story in reversed(STORIES):
        faults = [fault for its, fault in left if its is story]
        yield from ((story, faults[start : start + TOGETHER]) for start in range(0, len(faults), TOGETHER))


def _run(results: Results, until: float, lane: Lane, handful: Handful) -> None:
    """Run a handful of cases; after one that went wrong, on another installation."""
    story, left = handful

    def goes_on() -> bool:
        return bool(left) and time.monotonic() < until and not lane.ending.is_set()

    while goes_on():
        with lane.site(story) as (site, _):
            undisturbed = story.outcome(site, story.tell(site))
            while goes_on():
                fault = left.pop(0)
                began = time.monotonic()
                result = run(site, undisturbed, fault, story)
                if lane.ending.is_set():
                    return
                results.put(str(fault), result)
                print(f"{story.name}: {fault}: {result} ({time.monotonic() - began:.1f} s)", flush=True)
                if result.startswith(("did not end", "broken")):
                    break
