"""The stories that faults happen in: together they come to every failpoint. Each is compared with itself undisturbed.

A fault is told in the first story whose undisturbed telling comes to its point. What the pieces of a story are is
`site.py`; what stands in the way of some is `obstacles.py`.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg

from streams.store.migrate import migrate
from streams.store.postgres import SCHEMA, PostgresStore
from streams.worker import STALL
from tests.contract.storing import INCIDENT, opened, write
from tests.faults.obstacles import frozen, listener, rivals
from tests.faults.outcomes import Outcome
from tests.faults.site import LATER, PATIENCE, Site
from tests.stack import until

BEGINNINGS = frozenset({"take_seat", "lead_projection", "seal_key", "prune", "blank_dead_letters"})
COMMANDS = frozenset({"swap", "drop_schema", "raise_epoch", "operator lead_projection", "operator take_seat"})
GUARDED, LAST_GUARDED = {"WATCHDOG_AFTER": "2"}, {"WATCHDOG_AFTER": "7"}
"""A gateway may rest for three seconds: a watchdog that is new needs longer than twice that to tell still from well."""
PEOPLE = ("ada@example.test", "grace@example.test")
STALLED = 3.2
"""Seconds that a fold takes until its worker reads again; less than it waits for a lock."""
TELL_NOW = """
update tocsin.outages
set claimed_at = claimed_at - interval '1 hour', end_claimed_at = end_claimed_at - interval '1 hour'
where case when ended_at is null then not told else not end_told end
"""
"""Who wanted to tell of an outage and died is not waited for: a minute."""


@dataclass(frozen=True)
class Story:
    """Something that happens, and what is compared of it beside the case's events, pages, messages and counts.

    Parameters:
        tell: tells it; returns the case's name.
        aims: the effects that it is there for, of any role or of one; faults at them happen in it and in no other.
        settings: what its installation is set to.
        also: what else became of it.
    """

    name: str
    tell: Callable[[Site], str]
    aims: frozenset[str] = frozenset()
    settings: Mapping[str, str] = field(default_factory=dict)
    also: Callable[[Site], tuple[Any, ...]] = lambda site: ()

    def outcome(self, site: Site, name: str) -> Outcome:
        """What became of a telling."""
        return site.outcome(name, self.also(site))


def a_worker_begins(site: Site) -> str:
    """A worker ends; an alert comes before the next one has its partitions, which it then has to catch up with."""
    name = site.named()
    site.restart("worker")
    site.fires(name, "a")
    site.opened(name)
    site.installation.clock.move(timedelta(seconds=31))
    site.rest(name)
    site.ends()
    site.rest(name)
    return name


def a_projector_begins(site: Site) -> str:
    """A day after an alert has ended, a projector begins without a key to seal with; the alert's texts expire."""
    name = site.named()
    site.fires(name, "a")
    site.rest(name)
    site.ends()
    site.rest(name)
    site.installation.clock.move(timedelta(hours=25))
    for half in ("seal.key", "seal.pub"):
        (site.installation.folder / "data" / half).unlink(missing_ok=True)
    for _ in range(4):  # what a lost connection left is removed in the next round, ten minutes later or at a start
        site.restart("projector")
        with suppress(AssertionError):
            until("texts to expire", lambda: site.ask(TEXTS, name=f"{name} %") == 0 or None, 8.0)
            break
    site.rest(name)
    return name


TEXTS = """select count(*) from tocsin.payloads where ref like 'alert/%%' and body is not null and ref in
    (select a.payload from tocsin.alert_state a join read_models.incidents i on i.id = a.incident
     where i.title like %(name)s)"""


def the_broker_stands_still(site: Site) -> str:
    """An alert goes to the inbox and people are paged; then the topic gets its copy."""
    name = site.named()
    with frozen(listener(site.installation.running.kafka_bootstrap)):
        site.fires(name, "a")
        site.paged(name)
    site.rest(name)
    site.finish(name)
    return name


def somebody_has_enough(site: Site) -> str:
    """More happens than a person is told in a minute: the rest comes together, in the next."""
    name = site.named()
    site.installation.clock.move(timedelta(seconds=61))
    for number in range(3):
        site.fires(f"{name} {number}", "a")
        site.rest(name, LATER)
    site.installation.clock.move(timedelta(seconds=61))
    site.rest(name)
    site.ends()
    site.rest(name)
    return name


def others_decide_too(site: Site) -> str:
    """The fold, a step and an acknowledgement each find twice that something has changed; the fold takes so long that
    its worker reads again."""
    name, dsn = site.named(), site.installation.dsn
    time.sleep(STALL + 0.3)  # the worker counts from a look at which nothing had moved
    with rivals(dsn, STALLED):
        site.fires(name, "a")
    site.rest(name)
    with rivals(dsn):
        site.installation.clock.move(timedelta(minutes=6))
    site.rest(name)
    with rivals(dsn):
        site.does("ack", name)
    site.rest(name)
    site.ends()
    site.rest(name)
    return name


def stands_still(role: str) -> Callable[[Site], str]:
    """A role stands still while there is work; people hear of it, and that it goes on."""

    def tell(site: Site) -> str:
        name = site.named()
        with frozen(site.up(role)):
            if role != "gateway":
                site.fires(name, "a")
            _told(site, role, 2)
        _told(site, role, 4)
        if role == "gateway":
            site.fires(name, "a")
        site.rest(name)
        site.ends()
        site.rest(name)
        return name

    return tell


def told_by(role: str) -> frozenset[str]:
    """What a role does that tells of another."""
    return frozenset({f"{role} outage", f"{role} send_notice"})


def _told(site: Site, role: str, wanted: int) -> None:
    """Wait until so much is heard of a role."""

    def look() -> bool | None:
        if site.struck():
            site.change(TELL_NOW)
        return len(heard(site, role)) >= wanted or None

    until(f"people to hear of the {role}", look, 2 * PATIENCE)


def heard(site: Site, role: str) -> tuple[tuple[str, str], ...]:
    """Which people were told what of a role in the latest telling, however often. The team has a channel, too, as long
    as a watchdog knows no other configuration than the example's.
    """
    told = [mail for mail in site.notices() if f"the {role} " in mail.subject and mail.to in PEOPLE]
    return tuple(sorted({(mail.to, mail.subject) for mail in told}))


def an_operator_works(site: Site) -> str:
    """The read models are rebuilt while all goes on; a database is put back."""
    name = site.named()
    site.fires(name, "a")
    site.rest(name)
    site.operate("rebuild")
    site.ends()
    site.rest(name)
    backup = site.backup()
    migrate(backup, "streams.store", SCHEMA)
    store = PostgresStore(backup)
    write(store, INCIDENT, opened())
    store.close()
    site.operate("restored", TOCSIN_POSTGRES_DSN=backup)
    return name


def restored(site: Site) -> tuple[Any, ...]:
    """Whether the database that was put back has another epoch now, and which schemas are left of the rebuild."""
    with psycopg.connect(site.backup(fresh=False)) as connection:
        found = connection.execute("select epoch > 1, since from tocsin.store_identity").fetchall()
    return (
        *found,
        site.ask("select string_agg(nspname, ' ' order by 1) from pg_namespace where nspname like 'read_%%'"),
    )


STORIES = (
    Story("paging", Site.tell),
    Story("broker", the_broker_stands_still, frozenset({"put_inbox", "forward", "mark_forwarded"})),
    Story("limit", somebody_has_enough, frozenset({"hold_pages"}), {"PAGES_PER_MINUTE": "1"}),
    Story("rivals", others_decide_too, frozenset({"lock", "seek"})),
    Story("worker", a_worker_begins, frozenset({"seek_assigned", "release_held"})),
    Story("projector", a_projector_begins, BEGINNINGS, {"TEXT_RETENTION_DAYS": "1"}),
    Story("pager watched", stands_still("pager"), told_by("gateway"), GUARDED, partial(heard, role="pager")),
    Story("gateway watched", stands_still("gateway"), told_by("pager"), LAST_GUARDED, partial(heard, role="gateway")),
    Story("operator", an_operator_works, COMMANDS, {}, restored),
)
PAGING = STORIES[0]
