"""`tocsin audit verify`: chain, seals, and every decision made again; and without the decisions."""

from tests.bench.figures import Figure, Result
from tests.bench.filling import SOME, fill
from tests.bench.limits import INSERTED
from tests.bench.measures import Measure
from tests.bench.site import Site

NAME = "verify"


def run(site: Site) -> Result:
    """See the module's docstring."""
    fill(site, SOME)
    site.drained()
    decided, chained = site.offline("verify"), site.offline("chain")
    figures = (
        Figure(NAME, "events verified", decided.events / decided.seconds, "/s", INSERTED),
        Figure(NAME, "events verified, chain and seals only", chained.events / chained.seconds, "/s", INSERTED),
        Figure(NAME, "events", decided.events, ""),
        Figure(NAME, "things wrong", decided.found + chained.found, ""),
    )
    return Result(NAME, figures)


MEASURE = Measure(NAME, "verification of the log", run, frozenset({INSERTED}))
