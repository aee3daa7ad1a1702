"""Lists and single incidents over the API, four askers at a time, with as many incidents as there are."""

from tests.bench.figures import Figure, Result, spread
from tests.bench.filling import SOME, fill
from tests.bench.measures import Measure
from tests.bench.site import Site

NAME = "reads"
ASKERS = 4
SINGLE = 1000
"""Different incidents that are asked for."""
LIST = "/api/v1/incidents"


def run(site: Site) -> Result:
    """See the module's docstring."""
    fill(site, SOME)
    site.drained()
    (count,) = site.one("select count(*) from read_models.incidents")
    chosen = [row[0] for row in site.rows("select number from read_models.incidents order by md5(id) limit %s", SINGLE)]
    asked = {
        "list, newest": (LIST,),
        "list, by status and service": tuple(f"{LIST}?status=triggered&service=svc-{n:02}" for n in range(20)),
        "list, 200 at once": (f"{LIST}?limit=200",),
        "get": tuple(f"{LIST}/INC-{number}" for number in chosen),
        "timeline": tuple(f"{LIST}/INC-{number}/timeline" for number in chosen),
    }
    figures = [Figure(NAME, "incidents there are", int(count), "")]
    for what, paths in asked.items():
        report = site.ask(site.asking(paths, connections=ASKERS, seconds=site.seconds / 4))
        figures += spread(NAME, what, report.latencies, ("p50", "p99"))
        figures.append(Figure(NAME, f"{what}, answers", report.answered / report.seconds, "/s"))
    return Result(NAME, tuple(figures))


MEASURE = Measure(NAME, "list and get", run)
