"""New alerts, one to a webhook, as fast as answers come; they join a hundred incidents."""

from tests.bench.figures import Result
from tests.bench.limits import PRODUCED, ROUTE
from tests.bench.measures import Measure
from tests.bench.rates import taken
from tests.bench.site import Site

NAME = "single"


def run(site: Site) -> Result:
    """See the module's docstring."""
    return taken(NAME, site.load(site.plan(site.mix())))


MEASURE = Measure(NAME, "new alerts, one to a webhook", run, frozenset({ROUTE, PRODUCED}))
