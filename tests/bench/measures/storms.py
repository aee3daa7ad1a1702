"""Two storms on an installation of their own, with default settings: 100,000 alerts a minute over 50 services, then
10,000 incidents a minute for one person, whose deputy is told of them when five minutes are over.

A full run lasts the whole minute, a quick one some seconds at the same rate. What was promised to people is read back
from the store and the mailbox: every incident there, somebody told of each, in a few messages of bounded size, and
acknowledgements answered meanwhile.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.bench.bodies import Mix
from tests.bench.company import config
from tests.bench.figures import Figure, Result, spread
from tests.bench.measures import Measure
from tests.bench.measures.acknowledgements import LATER, acknowledged, paged
from tests.bench.plan import Report
from tests.bench.site import MINUTE, PATIENCE, Site
from tests.services import Services

NAME = "storms"
SERVICES, GROUPS = 50, 500
ALERTS, IN_A_WEBHOOK = 100_000, 50
INCIDENTS, TOGETHER = 10_000, 10
PER_SECOND = 10.0
"""Acknowledgements."""
DEPUTY_AFTER = timedelta(minutes=5)
DATABASE = "storms"
TOLD = """
select coalesce(max(messages), 0), coalesce(sum(incidents), 0)::bigint from (
    select p."user", count(distinct t.delivery) as messages, count(distinct p.incident) as incidents
    from tocsin.pages p join read_models.attempts t on t.page = p.id and t.outcome = 'sent'
    where p.incident in (select incident from tocsin.alert_state where fingerprint >= %s and fingerprint < %s)
    and (p."user" = 'deputy') = %s group by p."user"
) as each
"""
THERE = "select count(distinct incident) from tocsin.alert_state where fingerprint >= %s and fingerprint < %s"


def run(site: Site) -> Result:
    """See the module's docstring."""
    with _apart(site) as place:
        many = place.mix(groups=GROUPS, services=SERVICES, each=IN_A_WEBHOOK, pages=True)
        distinct = place.mix(opening=1.0, services=1, each=TOGETHER, pages=True)
        figures = [
            *_storm(place, "alerts", many, ALERTS),
            *_storm(place, "incidents", distinct, INCIDENTS),
            *_escalated(place, distinct),
            Figure(NAME, "largest mail", _largest_mail(place) / 1000, "kB"),
        ]
    return Result(NAME, tuple(figures))


@contextmanager
def _apart(site: Site) -> Iterator[Site]:
    """An installation on the same Kafka and Postgres, whose people have the usual limit of messages."""
    with psycopg.connect(site.services.dsn, autocommit=True) as admin:
        admin.execute(f"create database {DATABASE}".encode())
    dsn = urlunsplit(urlsplit(site.services.dsn)._replace(path=f"/{DATABASE}"))
    company = partial(config, services=SERVICES, deputy=True)
    with tempfile.TemporaryDirectory(prefix="tocsin-storms-") as folder:
        services = Services(site.services.kafka, dsn)
        apart = Site(
            Path(folder).resolve(),
            services,
            site.progress,
            site.seconds,
            site.full,
            prefix="storms-",
            company=company,
            settings={},
        )
        with apart as place:
            yield place


def _storm(site: Site, what: str, mix: Mix, per_minute: int) -> Iterator[Figure]:
    lasts = site.steady
    incidents = paged(site, int(PER_SECOND * lasts))
    found: list[Report] = []
    loaded = site.load(
        site.plan(mix, rate=per_minute / MINUTE / mix.each, seconds=lasts),
        lambda: found.append(acknowledged(site, incidents, PER_SECOND, lasts - LATER)),
    )
    report, acks = loaded.report, found[0]
    site.drained()
    drained = time.time() - report.began - report.seconds
    expected = {mix.group(number) for index in range(report.offered) for number in mix.numbers(index)}
    (there,), (most, told) = site.one(THERE, *mix.fingerprints()), site.one(TOLD, *mix.fingerprints(), False)
    yield Figure(NAME, f"{what}: accepted", report.alerts, "")
    yield Figure(NAME, f"{what}: requests that failed", report.failed, "")
    yield Figure(NAME, f"{what}: accepted and not folded", report.alerts - loaded.folded, "")
    yield Figure(NAME, f"{what}: accepted and folded", loaded.folded / loaded.seconds, "/s")
    yield Figure(NAME, f"{what}: incidents", there, "")
    yield Figure(NAME, f"{what}: incidents too few", len(expected) - there, "")
    yield Figure(NAME, f"{what}: incidents that nobody was told of", there - told, "")
    yield Figure(NAME, f"{what}: messages to one person at most", most, "")
    yield from spread(NAME, f"{what}: answer", report.latencies, ("p50", "p99"))
    yield from spread(NAME, f"{what}: acknowledgement meanwhile", acks.latencies, ("p50", "p99", "max"))
    yield Figure(NAME, f"{what}: acknowledgements that failed", acks.failed, "")
    yield Figure(NAME, f"{what}: until all is done after the last", drained, "s")


def _escalated(site: Site, mix: Mix) -> Iterator[Figure]:
    """Five minutes later, in a moment: every incident's next step is due at once."""
    (there,) = site.one(THERE, *mix.fingerprints())
    began = time.time()
    site.installation.clock.move(DEPUTY_AFTER)

    def told() -> int:
        return int(site.one(TOLD, *mix.fingerprints(), True)[1])

    site.until("the deputy", lambda: told() >= there, lambda: f"{told():,} of {there:,} told", 2 * PATIENCE)
    yield Figure(NAME, "incidents: until the deputy was told of all", time.time() - began, "s")
    yield Figure(NAME, "incidents: messages to the deputy", site.one(TOLD, *mix.fingerprints(), True)[0], "")


def _largest_mail(site: Site) -> int:
    """Bytes."""
    return max(
        (file.stat().st_size for file in (site.installation.folder / "data" / "mailbox").glob("new/*")), default=0
    )


MEASURE = Measure(NAME, "100,000 alerts a minute; 10,000 incidents a minute for one person", run, again=False)
