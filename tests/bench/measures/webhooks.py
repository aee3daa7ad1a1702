"""New alerts, fifty to a webhook, as fast as answers come; they join a hundred incidents."""

from tests.bench.figures import Result
from tests.bench.limits import INSERTED, ROUTE
from tests.bench.measures import Measure
from tests.bench.rates import taken
from tests.bench.site import Site

NAME = "webhooks"
EACH = 50
CONNECTIONS = 16


def run(site: Site) -> Result:
    """See the module's docstring."""
    return taken(NAME, site.load(site.plan(site.mix(each=EACH), connections=CONNECTIONS)), INSERTED)


MEASURE = Measure(NAME, "webhooks of 50 alerts", run, frozenset({ROUTE, INSERTED}))
