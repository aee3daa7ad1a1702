"""What is loaded: an installation of its own on a real Kafka and a real Postgres, configured for the bench.

Counts are read back from the store; the generator's belief is only compared with them.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from compose.client import Access, Client
from compose.progress import Progress
from streams.fold import HANDFUL
from tests.bench.bodies import Mix
from tests.bench.company import config
from tests.bench.figures import Figure, Use
from tests.bench.generating import GivenUp, generating
from tests.bench.machine import used, uses
from tests.bench.offline import Done
from tests.bench.plan import Plan, Report
from tests.services import Services
from tests.stack import ROOT, Installation

WEBHOOK = "/api/v1/webhooks/alertmanager"
PATIENCE = 120.0
"""Seconds that a fold, a projection or a page may be behind before its measure is given up."""
WARM_UP, MINUTE = 3.0, 60.0
"""Seconds."""
WALK, SHORT_WALK = 30.0, 10.0
"""Seconds that the log is verified for, in a full run and in a quick one."""
REBUILD = 240.0
"""Seconds for a rebuild."""
LOOK = 0.05
SAY_EVERY = 2.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What the store says. `records` and `alerts` are what is folded: webhooks (tracking) and reports (alert_state)."""

    records: int
    alerts: int
    inbox: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """A load and what came of it.

    Parameters:
        report: the generator's.
        folded: alerts that the store has more than before.
        seconds: from the first request until everything accepted was folded.
        inbox: webhooks that went through the inbox, because Kafka did not answer in time.
        uses: what each process used meanwhile, the generator too.
    """

    report: Report
    folded: int
    seconds: float
    inbox: int
    uses: Mapping[str, Use]


@dataclass(slots=True)
class Site:
    """One installation under measurement.

    Parameters:
        folder: where everything of it is.
        seconds: how long a load lasts.
        full: whether there is time for large things.
        prefix: what its topics begin with.
        company: the configuration, with the webhook token in it.
        settings: what differs from the defaults.
        limits: what was measured with nothing of Tocsin in the way, by name.
        began, began_at: when the run began.
    """

    folder: Path
    services: Services
    progress: Progress
    seconds: float
    full: bool = False
    prefix: str = "bench-"
    company: Callable[[str], str] = config
    settings: Mapping[str, str] = field(default_factory=lambda: {"PAGES_PER_MINUTE": "100000"})
    limits: dict[str, Figure] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _installation: Installation | None = None
    _asking: psycopg.Connection[Any] | None = None
    _loads: int = 0
    _accepted: int = 0

    @property
    def steady(self) -> float:
        """Seconds of a load at a rate, whose slowest hundredth counts: in a full run a minute, to have enough."""
        return MINUTE if self.full else self.seconds

    @property
    def installation(self) -> Installation:
        """Started and configured the first time that it is asked for."""
        if self._installation is None:
            given = {"ALERTS_PARTITIONS": "24", **self.settings}
            with self.progress.step("Starting Tocsin"):
                folder = self.folder / "tocsin"
                folder.mkdir()
                self._installation = Installation(self.services, self.services.dsn, self.prefix, folder, **given)
                self._configure(self._installation)
        return self._installation

    def _configure(self, installation: Installation) -> None:
        running = installation.running
        with Client(Access(running.gateway_url, running.api_keys.admin)) as client:
            client.apply({"bench.yaml": self.company(running.webhook_tokens.alertmanager)}, dry_run=False)
        time.sleep(2.0)  # until every role has it

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        """Stop what was started."""
        if self._asking is not None:
            self._asking.close()
        if self._installation is not None:
            self._installation.close()

    # -- loading ---------------------------------------------------------------------------------------------------

    def mix(self, **how: Any) -> Mix:
        """A mix of alerts that nobody has sent before."""
        self._loads += 1
        return Mix(self._loads, datetime.now(UTC).isoformat(timespec="microseconds"), **how)

    def plan(self, mix: Mix, **how: Any) -> Plan:
        """A plan that posts a mix to the gateway for the usual time."""
        at, token = urlsplit(self.installation.running.gateway_url), self.installation.running.webhook_tokens
        given: dict[str, Any] = {"seconds": self.seconds, **how}
        return Plan(str(at.hostname), at.port or 80, (WEBHOOK,), token=token.alertmanager, mix=mix, **given)

    def asking(self, paths: tuple[str, ...], method: str = "GET", **how: Any) -> Plan:
        """A plan that asks the gateway as a responder."""
        at, key = urlsplit(self.installation.running.gateway_url), self.installation.running.api_keys.responder
        given: dict[str, Any] = {"seconds": self.seconds, "method": method, "token": key, **how}
        return Plan(str(at.hostname), at.port or 80, paths, **given)

    def load(self, plan: Plan, during: Callable[[], None] | None = None) -> Loaded:
        """Run a plan that posts alerts, and `during` beside it; return when all that was accepted is folded.

        Raises GivenUp, also when what was accepted before is not folded yet.
        """
        self.until("the fold of what was accepted before", self._is_folded)
        before, account = self.counts(), uses(self.folder)
        with generating(plan) as finish:
            if during:
                during()
            report = finish()
        after = self._folded(before, report)
        return Loaded(
            report=report,
            folded=after.alerts - before.alerts,
            seconds=time.time() - report.began,
            inbox=after.inbox - before.inbox,
            uses={**used(account, uses(self.folder)), "generator": Use(report.cpu, report.memory)},
        )

    def warm_up(self) -> None:
        """Load it for a moment that nobody measures: the first time compiles, connects and fills caches."""
        with self.progress.step("Warming up"):
            self.load(self.plan(self.mix(), seconds=WARM_UP))

    def ask(self, plan: Plan) -> Report:
        """Run a plan that posts no alerts."""
        with generating(plan) as finish:
            return finish()

    def offline(self, what: str) -> Done:
        """Work on the whole log, see `tests.bench.offline`. Raises GivenUp."""
        walk = WALK if self.full else SHORT_WALK
        data = str(self.installation.folder / "data")
        command = [sys.executable, "-m", "tests.bench.offline", what, data, str(walk)]
        try:
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=REBUILD, check=False)
        except subprocess.TimeoutExpired:
            raise GivenUp(f"{what} took longer than {REBUILD:.0f} s") from None
        if done.returncode:
            raise GivenUp(f"{what} ended with {done.returncode}")
        return Done(**json.loads(done.stdout))

    def clock(self) -> float:
        """Seconds from anywhere."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def _folded(self, before: Counts, report: Report) -> Counts:
        """The counts once everything accepted is in them. Looking at positions is cheap, counting alerts is not."""
        self._accepted = before.records + before.inbox + report.taken
        self.until(
            "the fold",
            self._is_folded,
            lambda: f"{self._records() - before.records - before.inbox:,} of {report.taken:,} webhooks folded",
        )
        self.until("the fold", lambda: self.counts().alerts - before.alerts >= report.alerts)
        return self.counts()

    def _is_folded(self) -> bool:
        """Whether as many records are folded as were accepted; those that came through the inbox may count twice."""
        return self._records() >= self._accepted

    def _records(self) -> int:
        """How many records are folded, from the topic or from the inbox."""
        query = 'select (select coalesce(sum("offset" + 1), 0) from tracking) + (select count(*) from inbox)'
        return int(self.one(query)[0])

    def drained(self) -> None:
        """Wait until nothing is left to do: read models, public topics and pages too."""
        query = (
            "select (select count(*) from tocsin.due where at <= now()), (select count(*) from tocsin.pages where"
            " status in ('queued', 'claimed')), (select max(notification_id) from tocsin.stored_events)"
            " - least((select position from read_models.cursor),"
            " (select coalesce(max(position), 0) from tocsin.progress where role = 'relay'))"
        )
        self.until(
            "pages and read models",
            lambda: not any(self.one(query)),
            lambda: "{} deadlines, {} pages, {} events to go".format(*self.one(query)),
            patience=2 * PATIENCE,
        )

    def tidied(self) -> None:
        """Have Postgres look at its tables now, as it does by itself a minute or two after they have grown."""
        connected = psycopg.connect(self.installation.dsn, connect_timeout=5, autocommit=True)
        with self.progress.step("Vacuuming the full store"), connected as connection:
            connection.execute("vacuum (analyze)")

    # -- reading back ----------------------------------------------------------------------------------------------

    def counts(self) -> Counts:
        """What is folded now."""
        row = self.one(
            'select (select coalesce(sum("offset" + 1), 0) from tracking),'
            " (select coalesce(sum(count), 0) from alert_state), (select count(*) from inbox)"
        )
        return Counts(*map(int, row))

    def open_alerts(self) -> int:
        """How many alerts fire."""
        return int(self.one("select count(*) from alert_state where status = 'firing'")[0])

    def incidents(self) -> int:
        """How many incidents were opened, at least; numbers are taken by the handful, so some are spare."""
        return max(0, int(self.one("select last_value from incident_number")[0]) - HANDFUL)

    def events(self) -> int:
        """How many events the log has."""
        return int(self.one("select coalesce(max(notification_id), 0) from stored_events")[0])

    def one(self, query: str, *parameters: Any) -> tuple[Any, ...]:
        """The only row of an answer."""
        return self.rows(query, *parameters)[0]

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """An answer of the store's database; unqualified names are the write side's."""
        if self._asking is None:  # one for all questions: a new one each time would cost more than what is asked
            options = "-c search_path=tocsin -c statement_timeout=60000"
            dsn = self.installation.dsn
            self._asking = psycopg.connect(dsn, options=options, connect_timeout=5, autocommit=True)
        return self._asking.execute(query.encode(), parameters or None).fetchall()

    def until(
        self,
        what: str,
        done: Callable[[], bool],
        said: Callable[[], str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Look until it is done, with a line every two seconds. Raises GivenUp after `patience` seconds."""
        began = told = time.monotonic()
        while not done():
            now = time.monotonic()
            if now - began > patience:
                raise GivenUp(f"waited {patience:.0f} s for {what}")
            if said and now - told > SAY_EVERY:
                told = now
                self.progress.say(f"  {said()}")
            time.sleep(LOOK)
