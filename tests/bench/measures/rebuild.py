"""`tocsin rebuild`: the read models made again from the log, compared with the live ones, put in their place."""

from tests.bench.figures import Figure, Result
from tests.bench.filling import SOME, fill
from tests.bench.limits import INSERTED
from tests.bench.measures import Measure
from tests.bench.site import Site

NAME = "rebuild"


def run(site: Site) -> Result:
    """See the module's docstring."""
    fill(site, SOME)
    site.drained()
    done = site.offline("rebuild")
    figures = (
        Figure(NAME, "events rebuilt and compared", done.events / done.seconds, "/s", INSERTED),
        Figure(NAME, "events", done.events, ""),
        Figure(NAME, "rows that differ", done.found, ""),
    )
    return Result(NAME, figures)


MEASURE = Measure(NAME, "rebuild of the read models", run, frozenset({INSERTED}))
