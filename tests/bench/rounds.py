"""The measures, one after the other; in a full run all of them again when the store is full."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import psycopg

from tests.bench import limits
from tests.bench.figures import Figure, Result, beside, sloped
from tests.bench.filling import fill
from tests.bench.generating import GivenUp
from tests.bench.measures import Measure
from tests.bench.report import Round
from tests.bench.site import Site

FIRST, AGAIN = "new store", "full store"
READS = "reads"
"""First in a full store: it is what is most wanted of it, should the time not suffice for all."""


def _machine(found: Mapping[str, Figure]) -> Result:
    """Limits as what a round found first: their slope is the machine's own, and is in every other."""
    return Result("limits", tuple(found.values()))


@dataclass(slots=True)
class Rounds:
    """One run.

    Parameters:
        wanted: the measures, in order.
        longest: seconds after which no further measure is begun.
        open: how many alerts are open in a store that is full.
    """

    site: Site
    wanted: Sequence[Measure]
    longest: float
    open: int
    given_up: list[str] = field(default_factory=list)

    def run(self) -> tuple[Round, ...]:
        """Measure. What could not be measured is in `given_up`, and is said at once."""
        self.longest += self.site.clock()
        self.site.limits |= self._limits()
        with self._going_on("warming up"):
            self.site.warm_up()
        first = self._round(FIRST, self.wanted)
        if not self.site.full:
            return (first,)
        with self._going_on("filling the store"):
            fill(self.site, self.open)
            self.site.drained()
            self.site.tidied()
        drifted: dict[str, Figure] = {}
        with self._going_on("the limits once more"):
            drifted = self._limits()
        wanted = [measure for measure in self.wanted if measure.again]
        again = self._round(AGAIN, sorted(wanted, key=lambda measure: measure.name != READS))
        first = replace(first, results=(_machine(self.site.limits), *first.results))
        before = [figure for result in first.results for figure in result.figures]
        results = (_machine(drifted), *again.results)
        sloping = tuple(replace(result, figures=sloped(result.figures, before)) for result in results)
        return first, replace(again, results=sloping)

    def _limits(self) -> dict[str, Figure]:
        """What the machine can do now: it is not the same from one minute to the next."""
        return limits.measure(self.site, frozenset().union(*(measure.limits for measure in self.wanted)))

    def _round(self, name: str, wanted: Sequence[Measure]) -> Round:
        there, events = self.site.open_alerts(), self.site.events()
        found: list[Result] = []
        for measure in wanted:
            with self._going_on(f"{name}, {measure.name}"):
                if self.site.clock() > self.longest:
                    raise GivenUp("the run has taken its time")
                found.append(self._measured(measure))
        return Round(name, there, events, tuple(found))

    def _measured(self, measure: Measure) -> Result:
        """What a measure says, begun when nothing is left to do of the one before."""
        self.site.drained()
        with self.site.progress.step(f"Measuring {measure.name}: {measure.about}"):
            result = measure.run(self.site)
        return replace(result, figures=tuple(beside(figure, self.site.limits) for figure in result.figures))

    @contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """What is given up inside is said, and no more."""
        try:
            yield
        except (GivenUp, psycopg.Error, subprocess.SubprocessError) as error:
            self.given_up.append(f"{what}: {error}")
            self.site.progress.fail(f"{what}: {error}")
