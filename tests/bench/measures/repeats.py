"""A thousand alerts that fire already, reported again and again, one to a webhook."""

from tests.bench.figures import Result
from tests.bench.limits import PRODUCED, ROUTE
from tests.bench.measures import Measure
from tests.bench.rates import taken
from tests.bench.site import Site

NAME = "repeats"
DISTINCT = 1000
MIX = {"distinct": DISTINCT}


def run(site: Site) -> Result:
    """See the module's docstring. The first time that each is reported is not measured."""
    mix = site.mix(**MIX)
    site.load(site.plan(mix, limit=DISTINCT))
    return taken(NAME, site.load(site.plan(mix)))


MEASURE = Measure(NAME, "alerts that fire already", run, frozenset({ROUTE, PRODUCED}))
