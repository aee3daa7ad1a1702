"""`tocsin up`: everything of one installation under one supervisor, from an empty directory to an answering gateway.

Order: data directory, Kafka and Postgres (unless existing ones are given), the caller's preparation, the local mailbox,
the four roles, readiness, `run.json`; then until a signal. What the roles are told is `as_environment(settings)`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil
from pydantic import SecretStr

from compose.datadir import DataDir, Pids, Running, Secrets
from compose.embedded import kafka, postgres
from compose.ports import LOOPBACK
from compose.processes import Command, StartError, end_orphans, end_processes
from compose.progress import Progress
from compose.supervisor import Child, Supervisor
from compose.waiting import in_time, until_ready
from schemas.settings import PREFIX, Settings, as_environment

ROLES = ("gateway", "worker", "pager", "projector")
MEASURED = ROLES[1:]
"""Roles that get a port for metrics; the gateway has /metrics on its own."""
FOLDS_WITHIN = 20.0  # seconds for the worker's first partitions, after which everything else is ready all the same
FETCH_WITHIN = 700.0  # seconds for a first start of Kafka, which may fetch it over a slow line
CREATE_WITHIN = (
    600.0  # seconds for a first start of Postgres, which makes a database; 1 s on a good disk, minutes on a bad one
)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OUR_VARIABLES = frozenset(PREFIX + name.upper() for name in Settings.model_fields)


@dataclass(frozen=True)
class UpSettings:
    """What `up` needs to know.

    environ: the environment that children inherit; Tocsin's own variables in it are replaced by those of `settings`.
    java_home: looked at first for a Java.
    """

    settings: Settings
    environ: Mapping[str, str] = field(repr=False)
    java_home: Path | None = None

    @classmethod
    def from_environment(cls, settings: Settings) -> UpSettings:
        """Everything in this house that is not a setting of Tocsin's own is read here."""
        java_home = os.environ.get("JAVA_HOME")
        return cls(settings, dict(os.environ), Path(java_home) if java_home else None)


@dataclass(frozen=True)
class Services:
    """What runs before the roles do. `settings` are complete: services, ports and prefix filled in."""

    data: DataDir
    secrets: Secrets
    settings: Settings
    environ: Mapping[str, str] = field(repr=False)

    @property
    def gateway_url(self) -> str:
        return f"http://{LOOPBACK}:{self.settings.gateway_port}"

    def but(self, **changes: object) -> Services:
        """The same with other settings; values are not validated again."""
        return replace(self, settings=self.settings.model_copy(update=changes))

    def role(
        self, name: str, *arguments: str, ready: Callable[[], Awaitable[bool]] | None = None, stop_within: float = 15.0
    ) -> Child:
        """A child that runs `tocsin <name> <arguments>` under these settings; see `Child` for the rest."""
        # -P keeps the caller's directory off sys.path: a folder named `domain` there must not stand in for ours
        argv = (sys.executable, "-P", "-m", "compose.cli", name, *arguments)
        inherited = {key: value for key, value in self.environ.items() if key.upper() not in _OUR_VARIABLES}
        own = {"PYTHONPATH": _search_path(self.environ), "PYTHONUNBUFFERED": "1"}
        command = Command(name, argv, self.data.path, {**inherited, **own, **as_environment(self.settings)})
        return Child(name, lambda: command, ready, stop_within=stop_within)


@dataclass(frozen=True)
class Mailbox:
    """The local mailbox: the child that runs it, where people read it, and the loopback port it takes mail on."""

    child: Child
    url: str
    smtp_port: int


@dataclass(frozen=True)
class Hooks:
    """What the caller adds.

    prepare: runs once Kafka and Postgres answer and before any role: migrations, topics, example config.
    mailbox: asked when no mail server is set; None starts none.
    role: makes the child for one of `ROLES`.
    folds: asked with the URL of the worker's metrics whether it folds; None does not wait for that.
    """

    prepare: Callable[[Services], Awaitable[None]]
    mailbox: Callable[[Services], Mailbox] | None = None
    role: Callable[[Services, str], Child] = Services.role
    folds: Callable[[str], Awaitable[bool]] | None = None


OnReady = Callable[[Running], Awaitable[None]]


async def up(
    settings: UpSettings, hooks: Hooks, on_ready: OnReady | None = None, progress: Progress | None = None
) -> int:
    """Start everything, keep it running until SIGINT, SIGTERM or SIGHUP, stop everything. Call it in the main thread.

    on_ready: runs once the gateway is ready; everything stays up after it returns, and stops if it raises.
    Returns the exit code: 0 after a signal, 1 when something could not be started or kept running (told to `progress`).
    A second signal kills all children and ends this process at once.
    """
    progress = progress or Progress()
    try:
        with DataDir(settings.settings.data_dir) as data:
            data.check_room()
            data.clear_running()  # of a run that could not do it itself
            await asyncio.to_thread(end_orphans, data.path, say=progress.say)
            return await _Up(settings, data, progress).run(hooks, on_ready)
    except StartError as error:
        progress.fail(str(error))
        return 1
    except OSError as error:  # what nobody foresaw of disks and permissions
        if error.errno is None:
            raise
        data_dir = settings.settings.data_dir
        progress.fail(f"{error}: make room, or set TOCSIN_DATA_DIR to a directory that is yours (now {data_dir}).")
        return 1


class _Up:
    """One `up`, on a data directory that is ours."""

    def __init__(self, settings: UpSettings, data: DataDir, progress: Progress) -> None:
        self._given, self._data, self._progress = settings, data, progress
        self._secrets = data.secrets()
        self._running: Running | None = None
        self._supervisor = Supervisor(data.logs, say=progress.say, on_change=self._tell_pids)
        self._signals = 0

    async def run(self, hooks: Hooks, on_ready: OnReady | None) -> int:
        life = asyncio.create_task(self._live(hooks, on_ready), name="up")
        watch = asyncio.create_task(self._supervisor.watch(), name="watch")
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_signal, life)
        try:
            await asyncio.wait([life, watch], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (life, watch):
                task.cancel()
            await asyncio.wait([life, watch])
            await self._stop()
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)
        for task in (watch, life):
            if not task.cancelled():
                task.result()
        return 0

    async def _live(self, hooks: Hooks, on_ready: OnReady | None) -> None:
        services = await self._start_services()
        with self._progress.step("Preparing database, topics and example configuration"):
            await hooks.prepare(services)
        mailbox = hooks.mailbox(services) if hooks.mailbox and services.settings.smtp_host is None else None
        if mailbox:
            services = services.but(smtp_host=LOOPBACK, smtp_port=mailbox.smtp_port, smtp_mode="plain")
            await self._supervisor.start(mailbox.child)
        with self._progress.step(f"Starting {', '.join(ROLES)}"):
            ports = self._metrics_ports()
            for name in ROLES:
                own = services.but(metrics_host=LOOPBACK, metrics_port=ports.get(name))
                await self._supervisor.start(hooks.role(own, name))
            await until_ready(services.gateway_url)
            running = self._describe(services, mailbox.url if mailbox else "", ports)
            if hooks.folds and not await in_time(partial(hooks.folds, running.metrics["worker"]), FOLDS_WITHIN):
                self._progress.say(
                    f"The worker has been given no partitions within {FOLDS_WITHIN:.0f} s: alerts are taken and kept, "
                    f"but open no incident before it is. See {self._supervisor.log_of('worker')}."
                )
        self._supervisor.settle()
        self._running = running
        self._tell_pids()
        if on_ready:
            await on_ready(self._running)
        await asyncio.Event().wait()  # until a signal cancels it; children are looked after elsewhere

    async def _start_services(self) -> Services:
        """Kafka and Postgres, side by side, unless existing ones are given; every open setting filled in."""
        given = self._given.settings
        services = Services(self._data, self._secrets, given, self._given.environ)
        port = self._data.port("gateway", given.gateway_port or None)
        bootstrap, dsn = given.kafka_bootstrap, given.postgres_dsn
        with self._progress.step("Starting Kafka and Postgres"):
            bootstrap, address = await asyncio.gather(
                self._start_kafka() if bootstrap is None else _given(bootstrap),
                self._start_postgres() if dsn is None else _given(dsn.get_secret_value()),
            )
        return services.but(
            data_dir=self._data.path, gateway_port=port, kafka_bootstrap=bootstrap, postgres_dsn=SecretStr(address)
        )

    def _metrics_ports(self) -> Mapping[str, int]:
        first = self._given.settings.metrics_port
        return {
            name: self._data.port(f"{name}-metrics", None if first is None else first + index)
            for index, name in enumerate(MEASURED)
        }

    async def _start_kafka(self) -> str:
        home = self._data.path / "kafka"
        broker = kafka.EmbeddedKafka(home, java_home=self._given.java_home, say=self._progress.say)
        await self._supervisor.start(
            Child("kafka", broker.prepare, lambda: asyncio.to_thread(broker.answers), FETCH_WITHIN)
        )
        return broker.bootstrap

    async def _start_postgres(self) -> str:
        home = self._data.path / "postgres"
        server = postgres.EmbeddedPostgres(home, password=self._secrets.postgres_password, say=self._progress.say)
        await self._supervisor.start(
            Child("postgres", server.prepare, lambda: asyncio.to_thread(server.answers), CREATE_WITHIN)
        )
        return server.dsn

    def _describe(self, services: Services, mailbox: str, ports: Mapping[str, int]) -> Running:
        settings = services.settings
        measured = {name: f"http://{LOOPBACK}:{port}/metrics" for name, port in ports.items()}
        return Running(
            gateway_url=services.gateway_url,
            kafka_bootstrap=settings.kafka_bootstrap or "",
            postgres_dsn=settings.postgres_dsn.get_secret_value() if settings.postgres_dsn else "",
            mailbox=mailbox,
            api_keys=self._secrets.api_keys,
            webhook_tokens=self._secrets.webhook_tokens,
            pids=Pids(),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            data_dir=str(self._data.path),
            topic_prefix=settings.topic_prefix,
            metrics={"gateway": f"{services.gateway_url}/metrics", **measured},
        )

    def _tell_pids(self) -> None:
        """Keep `run.json` true: called after each start and death of a child."""
        if self._running is not None:
            up_now = {name: pid for name, pid in self._supervisor.pids.items() if name in Pids.__dataclass_fields__}
            self._running = replace(self._running, pids=Pids(**up_now))
            self._data.write_running(self._running)

    def _on_signal(self, life: asyncio.Task[None]) -> None:
        self._signals += 1
        if self._signals == 1:
            self._progress.say("Stopping (once more to kill everything at once)")
            life.cancel()
            return
        self._supervisor.kill()
        end_processes(psutil.Process().children(recursive=True), 0.5)
        os._exit(130)

    async def _stop(self) -> None:
        with self._progress.step("Stopping"):
            self._running = None  # from here on run.json is not written again
            await self._supervisor.stop()
            # tools that a preparation was still waiting for (a fetch, initdb)
            await asyncio.to_thread(end_processes, psutil.Process().children(recursive=True), 5.0)
            self._data.clear_running()


async def _given(value: str) -> str:
    return value


def _search_path(environ: Mapping[str, str]) -> str:
    root = str(Path(__file__).resolve().parents[1])
    return os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH"))))
