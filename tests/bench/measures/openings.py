"""New alerts, one to a webhook, each of which opens an incident: the most work that one alert can be."""

from tests.bench.figures import Result
from tests.bench.limits import PRODUCED, ROUTE
from tests.bench.measures import Measure
from tests.bench.rates import taken
from tests.bench.site import Site

NAME = "openings"
MIX = {"opening": 1.0}


def run(site: Site) -> Result:
    """See the module's docstring."""
    return taken(NAME, site.load(site.plan(site.mix(**MIX))))


MEASURE = Measure(NAME, "alerts that each open an incident", run, frozenset({ROUTE, PRODUCED}))
