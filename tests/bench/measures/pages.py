"""Page latency at rest: alerts that each open an incident, four a second; from the 202 to the mail on disk."""

from tests.bench.delivered import latencies
from tests.bench.figures import Figure, Result, spread
from tests.bench.limits import COMMIT
from tests.bench.measures import Measure
from tests.bench.site import Site

NAME = "pages"
RATE = 4.0


def run(site: Site) -> Result:
    """See the module's docstring."""
    mix = site.mix(opening=1.0, pages=True)
    loaded = site.load(site.plan(mix, connections=1, rate=RATE, seconds=site.steady))
    seconds, missing = latencies(site, mix, loaded.report)
    figures = [*spread(NAME, "202 to mail", seconds, beside=COMMIT), Figure(NAME, "pages not sent", missing, "")]
    figures.append(Figure(NAME, "pages measured", len(seconds), ""))
    return Result(NAME, tuple(figures), loaded.folded, loaded.uses)


MEASURE = Measure(NAME, "page latency at rest", run, frozenset({COMMIT}))
