"""Page latency under load: 500 alerts/s, one to a webhook, 5% of which open an incident and page somebody."""

from tests.bench.bodies import Mix
from tests.bench.delivered import latencies
from tests.bench.figures import Figure, Result, spread
from tests.bench.limits import COMMIT
from tests.bench.measures import Measure
from tests.bench.rates import failures
from tests.bench.site import Site

NAME = "storm"
RATE = 500.0
OPENING = 0.05


def storm(site: Site) -> Mix:
    """The alerts of the storm."""
    return site.mix(opening=OPENING, groups=20, pages=True)


def run(site: Site) -> Result:
    """See the module's docstring."""
    mix = storm(site)
    loaded = site.load(site.plan(mix, rate=RATE, seconds=site.steady))
    seconds, missing = latencies(site, mix, loaded.report)
    report = loaded.report
    figures = (
        Figure(NAME, "requests offered", report.offered / report.seconds, "/s"),
        Figure(NAME, "requests accepted", report.taken / report.seconds, "/s"),
        Figure(NAME, "alerts accepted and folded", loaded.folded / loaded.seconds, "/s"),
        *spread(NAME, "answer", report.latencies, ("p50", "p99")),
        *spread(NAME, "202 to mail", seconds, beside=COMMIT),
        Figure(NAME, "pages measured", len(seconds), ""),
        Figure(NAME, "pages not sent", missing, ""),
        *failures(NAME, report),
        Figure(NAME, "alerts accepted and not folded", report.alerts - loaded.folded, ""),
    )
    return Result(NAME, figures, loaded.folded, loaded.uses)


MEASURE = Measure(NAME, "page latency at 500 alerts/s", run, frozenset({COMMIT}))
