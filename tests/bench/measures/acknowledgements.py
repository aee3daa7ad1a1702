"""Acknowledgement latency under the load of `storm`: twenty a second, each of an incident whose page was sent."""

from tests.bench.figures import Figure, Result, spread
from tests.bench.generating import generating
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
    count = int(PER_SECOND * site.seconds)
    incidents = _paged(site, count)
    paths = tuple(f"/api/v1/incidents/{incident}/ack" for incident in incidents)
    plan = site.asking(paths, "POST", connections=ASKERS, rate=PER_SECOND, seconds=site.seconds - LATER)
    found: list[Report] = []

    def acknowledge() -> None:
        site.wait(LATER)
        with generating(plan) as finish:
            found.append(finish())

    loaded = site.load(site.plan(storm(site), rate=RATE), acknowledge)
    report = found[0]
    figures = (
        Figure(NAME, "acknowledgements offered", report.offered, ""),
        Figure(NAME, "acknowledgements", report.taken, ""),
        *spread(NAME, "acknowledgement", report.latencies),
        *failures(NAME, report),
        Figure(NAME, "alerts accepted meanwhile", loaded.report.alerts / loaded.report.seconds, "/s"),
    )
    return Result(NAME, figures, loaded.folded, loaded.uses)


def _paged(site: Site, count: int) -> list[str]:
    """Incidents that somebody was paged about."""
    mix = site.mix(opening=1.0, pages=True, each=EACH)
    site.load(site.plan(mix, limit=-(-count // EACH), connections=1))
    site.drained()
    query = "select incident from alert_state where fingerprint >= %s and fingerprint < %s"
    return [str(row[0]).removeprefix("incident-") for row in site.rows(query, *mix.fingerprints())]


MEASURE = Measure(NAME, "acknowledgements at 500 alerts/s", run)
