"""What is the same in every measure of how many alerts are taken."""

from collections.abc import Iterator

from tests.bench.figures import Figure, Result, spread
from tests.bench.limits import PRODUCED, ROUTE
from tests.bench.plan import Report
from tests.bench.site import Loaded


def taken(measure: str, loaded: Loaded, beside: str = PRODUCED) -> Result:
    """The figures of a load. `beside`: the limit that the fold stands beside."""
    return Result(measure, tuple(_figures(measure, loaded, beside)), loaded.folded, loaded.uses)


def _figures(measure: str, loaded: Loaded, beside: str) -> Iterator[Figure]:
    report = loaded.report
    yield Figure(measure, "requests offered", report.offered / report.seconds, "/s")
    yield Figure(measure, "requests accepted", report.taken / report.seconds, "/s", ROUTE)
    yield Figure(measure, "alerts accepted and folded", loaded.folded / loaded.seconds, "/s", beside)
    yield from spread(measure, "answer", report.latencies, ("p50", "p99"))
    yield from failures(measure, report)
    yield Figure(measure, "alerts accepted and not folded", report.alerts - loaded.folded, "")
    if loaded.inbox:
        yield Figure(measure, "webhooks through the inbox", loaded.inbox, "")


def failures(measure: str, report: Report) -> Iterator[Figure]:
    """How many requests were not answered with a success, and with what instead."""
    yield Figure(measure, "requests that failed", report.failed, "")
    refused = {f"answers {status}": count for status, count in report.statuses.items() if not status.startswith("2")}
    for what, count in sorted({**refused, **report.errors}.items()):
        yield Figure(measure, f"requests that failed: {what}", count, "")
