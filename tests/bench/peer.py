"""`make bench-peer`: the same load against GoAlert and against Tocsin, one after the other, on the same servers.

    python -m tests.bench.peer [--seconds N] [--docs]

GoAlert is built from its Go module, which takes some minutes the first time; its web pages are not (they need another
tool). It needs an extension of Postgres that the embedded one does not have, so both run on the one that is installed
on this machine. Each webhook becomes one alert there: it is compared where each opens an incident here, and in repeats.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit

import psycopg

from compose.ports import is_open
from compose.processes import Command, StartError, end, spawn
from compose.progress import Progress
from tests.bench import rates
from tests.bench.bodies import SERVICES, Mix
from tests.bench.figures import Figure, Result, Use, beside
from tests.bench.generating import GivenUp
from tests.bench.machine import used, uses
from tests.bench.measures import Measure, openings, repeats
from tests.bench.output import RESULTS, finish
from tests.bench.plan import Plan
from tests.bench.report import Round
from tests.bench.site import WARM_UP, Loaded, Site
from tests.services import services
from tests.stack import free_port, until

MODULE, VERSION = "github.com/target/goalert", "v0.34.1"
BUILD = 1200.0
"""Seconds that building may take."""
SECONDS = 10.0
MEASURES: Mapping[Measure, tuple[Mapping[str, Any], str]] = {
    openings.MEASURE: (openings.MIX, "alerts"),
    repeats.MEASURE: (repeats.MIX, "alert_logs where event in ('created', 'duplicate_suppressed')"),
}
"""What is measured: the mix of alerts, and of which rows GoAlert has one more for each that it stored."""
FOLDED = "alerts accepted and folded"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser("python -m tests.bench.peer", description="Tocsin beside GoAlert.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long one load lasts")
    parser.add_argument("--docs", action="store_true", help="put the numbers into docs/explanation/speed.md")
    asked = parser.parse_args(arguments)
    progress = Progress()
    try:
        compare(progress, asked.seconds, asked.docs)
    except (StartError, GivenUp) as error:
        progress.fail(str(error))
        sys.exit(1)


def compare(progress: Progress, seconds: float, docs: bool) -> None:
    """Measure GoAlert, then Tocsin. Raises StartError when GoAlert cannot be had here, GivenUp."""
    program, postgres = built(progress), installed_postgres()
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-peer-") as folder,
        on_postgres(postgres),
        services(Path(folder).resolve()) as started,
        Site(Path(folder).resolve(), started, progress, seconds) as site,
    ):
        with goalert(program, site) as peer:
            site.ask(peer.plan(site.mix(opening=1.0), WARM_UP))
            theirs = [peer.measure(measure, site.mix(**how), stored) for measure, (how, stored) in MEASURES.items()]
        site.warm_up()
        ours = [_ours(site, measure) for measure in MEASURES]
    finish("peer", site, (Round("GoAlert", 0, 0, tuple(theirs)), Round("Tocsin", 0, 0, tuple(ours))), docs=docs)


def _ours(site: Site, measure: Measure) -> Result:
    """A measure of Tocsin, with what GoAlert did beside it."""
    with site.progress.step(f"Measuring Tocsin: {measure.about}"):
        result = measure.run(site)
    name = _limit(measure.name)
    found = (replace(figure, beside=name if figure.what == FOLDED else "") for figure in result.figures)
    return replace(result, figures=tuple(beside(figure, site.limits) for figure in found))


def _limit(measure: str) -> str:
    return f"GoAlert, {measure}"


# -- its parts ---------------------------------------------------------------------------------------------------------


def built(progress: Progress) -> Path:
    """GoAlert's program; built the first time. Raises StartError when that cannot be done here."""
    program = RESULTS / f"goalert-{VERSION}"
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        raise StartError("There is no Go here to build GoAlert with: install Go 1.25 or newer.")
    RESULTS.mkdir(parents=True, exist_ok=True)
    with progress.step(f"Building GoAlert {VERSION}"), tempfile.TemporaryDirectory(dir=RESULTS) as folder:
        found = _run((go, "mod", "download", "-json", f"{MODULE}@{VERSION}"), Path(folder))
        source = Path(folder) / "source"
        shutil.copytree(json.loads(found)["Dir"], source, copy_function=shutil.copyfile)  # theirs is read-only
        for directory in (source, *(path for path in source.rglob("*") if path.is_dir())):
            directory.chmod(0o755)
        _run((go, "build", "-trimpath", "-buildvcs=false", "-o", str(program), "./cmd/goalert"), source)
    return program


def _run(command: tuple[str, ...], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD, check=False)
    except subprocess.TimeoutExpired:
        raise StartError(f"`{' '.join(command)}` took longer than {BUILD:.0f} s.") from None
    if done.returncode:
        raise StartError(f"`{' '.join(command)}` failed: {(done.stdout + done.stderr).strip()[-500:]}")
    return done.stdout


def installed_postgres() -> Path:
    """The directory of an installed Postgres' programs. Raises StartError when there is none."""
    on_path = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))  # where Debian puts it
    found = Path(on_path) if on_path else packaged[-1] if packaged else None
    if found is None:
        raise StartError("GoAlert needs a Postgres with its extensions: apt-get install postgresql postgresql-contrib.")
    return found.resolve().parent.parent


@contextmanager
def on_postgres(programs: Path) -> Iterator[None]:
    """What is started inside as the embedded Postgres is this one."""
    with patch("compose.embedded.postgres.installed_programs", lambda *_: programs):
        yield


# -- the peer ----------------------------------------------------------------------------------------------------------

SEED = (
    "insert into escalation_policies (name) select 'bench-' || n from generate_series(1, %(services)s) n",
    "insert into escalation_policy_steps (escalation_policy_id, delay) select id, 1440 from escalation_policies",
    "insert into services (name, escalation_policy_id) select name, id from escalation_policies",
    "insert into integration_keys (name, type, service_id) select name, 'prometheusAlertmanager', id from services",
    "update config_limits set max = -1",
)
"""As many services as the bench's company has, whose alerts nobody is told about; no limit on how many are open (it is
200). Each has a key of its own: GoAlert takes one request of a key at a time."""


@dataclass(frozen=True, slots=True)
class GoAlert:
    """A GoAlert that runs. `keys` are its integration keys, for Alertmanager's webhooks."""

    site: Site
    dsn: str
    port: int
    keys: tuple[str, ...]

    def plan(self, mix: Mix, seconds: float) -> Plan:
        """A plan that posts a mix to its address for Alertmanager."""
        paths = tuple(f"/api/v2/prometheusalertmanager/incoming?token={key}" for key in self.keys)
        return Plan("127.0.0.1", self.port, paths, seconds, mix=mix)

    def measure(self, measure: Measure, mix: Mix, rows: str) -> Result:
        """The load of a measure of ours; its rate becomes a limit that ours stands beside."""
        with self.site.progress.step(f"Measuring GoAlert: {measure.about}"):
            before, account = self._count(rows), uses(self.site.folder)
            report = self.site.ask(self.plan(mix, self.site.seconds))
            stored, seconds = self._count(rows) - before, time.time() - report.began
            spent = {**used(account, uses(self.site.folder)), "generator": Use(report.cpu, report.memory)}
        result = rates.taken(measure.name, Loaded(report, stored, seconds, 0, spent))
        rate = next(figure for figure in result.figures if figure.what == FOLDED)
        name = _limit(measure.name)
        self.site.limits[name] = Figure("limits", name, rate.value, rate.unit)
        return result

    def _count(self, rows: str) -> int:
        with psycopg.connect(self.dsn, connect_timeout=5) as connection:
            row = connection.execute(f"select count(*) from {rows}".encode()).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def goalert(program: Path, site: Site) -> Iterator[GoAlert]:
    """A GoAlert with a database of its own, until the block ends."""
    folder, port = site.folder / "goalert", free_port()
    folder.mkdir()
    dsn = urlunsplit(urlsplit(site.services.dsn)._replace(path="/goalert"))
    with psycopg.connect(site.services.dsn, autocommit=True) as connection:
        connection.execute("create database goalert")
    environment = {**os.environ, "GOALERT_DB_URL": dsn}
    url = f"http://127.0.0.1:{port}"
    options = ("--listen", f"127.0.0.1:{port}", "--public-url", url, "--log-errors-only")
    command = Command("goalert", (str(program), *options), folder, environment)
    migrated = subprocess.run((str(program), "migrate"), env=environment, capture_output=True, timeout=120, check=False)
    if migrated.returncode:
        raise StartError(f"GoAlert could not make its tables: {migrated.stderr.decode()[-500:]}")
    with psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        for statement in SEED:
            connection.execute(statement, {"services": SERVICES})
        keys = tuple(str(row[0]) for row in connection.execute("select id from integration_keys order by name"))
    process = spawn(command, folder / "goalert.log")
    try:
        until("GoAlert", lambda: is_open(port) or None)
        yield GoAlert(site, dsn, port, keys)
    finally:
        end(process, command.stop_signal, 15.0)


if __name__ == "__main__":
    main()
