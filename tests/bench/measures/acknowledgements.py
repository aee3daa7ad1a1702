"""Acknowledgement latency under the load of `storm`: twenty a second, each of an incident whose page was sent."""

from collections.abc import Sequence

from tests.bench.figures import Figure, Result, spread
from tests.bench.measures import Measure
from tests.bench.measures.storm import RATE, storm
from tests.bench.plan import Report
from tests.bench.rates import failures
from tests.bench.site import Site

NAME = "acknowledgements"
PER_SECOND = 20.0
EACH = 10
ASKERS = 32
LATER = 1.0
"""Seconds that the storm has begun before the first acknowledgement."""


def run(site: Site) -> Result:
    """See the module's docstring."""
    count = int(PER_SECOND * site.steady)
    incidents = paged(site, count)
    found: list[Report] = []
    loaded = site.load(
        site.plan(storm(site), rate=RATE, seconds=site.steady),
        lambda: found.append(acknowledged(site, incidents, PER_SECOND, site.steady - LATER)),
    )
    report = found[0]
    figures = (
        Figure(NAME, "acknowledgements offered", report.offered, ""),
        Figure(NAME, "acknowledgements", report.taken, ""),
        *spread(NAME, "acknowledgement", report.latencies),
        *failures(NAME, report),
        Figure(NAME, "alerts accepted meanwhile", loaded.report.alerts / loaded.report.seconds, "/s"),
    )
    return Result(NAME, figures, loaded.folded, loaded.uses)


def acknowledged(site: Site, incidents: Sequence[str], rate: float, seconds: float) -> Report:
    """Acknowledge incidents at a rate, once a load has begun."""
    paths = tuple(f"/api/v1/incidents/{incident}/ack" for incident in incidents)
    site.wait(LATER)
    return site.ask(site.asking(paths, "POST", connections=ASKERS, rate=rate, seconds=seconds))


def paged(site: Site, count: int) -> list[str]:
    """Incidents that somebody was paged about."""
    mix = site.mix(opening=1.0, pages=True, each=EACH)
    site.load(site.plan(mix, limit=-(-count // EACH), connections=1))
    site.drained()
    query = "select incident from alert_state where fingerprint >= %s and fingerprint < %s"
    return [str(row[0]).removeprefix("incident-") for row in site.rows(query, *mix.fingerprints())]


MEASURE = Measure(NAME, "acknowledgements at 500 alerts/s", run)
