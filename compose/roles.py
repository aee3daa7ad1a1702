"""The roles, put together from their parts: gateway, worker, pager, projector (with the relay).

Each runs alone in its process until SIGTERM or SIGINT, finishes what it has in hand, and ends. An error that nobody
expected ends it with a non-zero exit; the supervisor starts it again.
"""

import asyncio
import secrets
import signal
from collections.abc import Callable, Coroutine
from datetime import timedelta
from email.utils import parseaddr
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import structlog
import uvloop

from compose.garbage import settle
from compose.logs import configure_logs
from compose.processes import give_way
from schemas.settings import Settings
from schemas.topics import alerts_topic
from streams import failpoints
from streams.channels.base import Channel, Secret
from streams.channels.registry import open_channels
from streams.channels.smtp import SmtpSettings
from streams.clock import Clock, clock_from
from streams.store.leadership import Leadership, Seat
from streams.store.postgres import PostgresStore

if TYPE_CHECKING:
    from streams.fold import Fold

log = structlog.get_logger()

BEHIND = 10
"""How much nicer than the others the projector is, as `nice` counts: where all are short of time it gets a tenth of
what another gets."""

STOP_WITHIN = 12.0
"""Seconds for a role to finish what it has in hand; the supervisor waits for 15."""

Work = Callable[[Settings, asyncio.Event], Coroutine[None, None, None]]
T = TypeVar("T")


class NotConfigured(Exception):
    """A role cannot start without a setting; the message names it and what to do."""


def required(value: T | None, variable: str) -> T:
    """The value of a setting that this role cannot do without. Raises NotConfigured."""
    if value is None:
        raise NotConfigured(f"{variable} is not set: set it, or use `tocsin up`, which starts what is missing.")
    return value


def run(role: str, work: Work, settings: Settings) -> None:
    """Run a role's `work` until a signal; its exceptions are the process's.

    Raises NotConfigured; ServeError when an address that it is to listen on is taken.
    """
    configure_logs(settings, role)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if role == "gateway" else None) as runner:
        runner.run(_until_signal(role, work, settings))


async def _until_signal(role: str, work: Work, settings: Settings) -> None:
    from compose.exposing import exposed

    failpoints.arm(settings.failpoints, role)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    log.info("role starts")
    async with exposed(settings):
        await _until_stopped(asyncio.create_task(work(settings, stopping), name=role), stopping)
    log.info("role stops")


async def _until_stopped(working: "asyncio.Task[Any]", stopping: asyncio.Event) -> None:
    """Let it work until it ends; cancel it when it does not end in time once it should. Raises what it raises."""
    told = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([working, told], return_when=asyncio.FIRST_COMPLETED)
        _, late = await asyncio.wait([working], timeout=STOP_WITHIN)
        if late:
            log.warning("what the role waits for did not come: it stops without", seconds=STOP_WITHIN)
            working.cancel()
            await asyncio.wait([working])
    finally:
        told.cancel()
        working.cancel()
    if not working.cancelled():
        working.result()


async def _together(stopping: asyncio.Event, *parts: Coroutine[Any, Any, None]) -> None:
    """Run the parts of a role until `stopping` is set and each has ended.

    Raises their errors, and RuntimeError when one ends before, even without an error: a part that is cancelled, by a
    library that cancels what it is awaited for, would be missing and nobody would know.
    """
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(part) for part in parts]
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.is_set() and all(task.cancelled() or not task.exception() for task in ended):
            raise RuntimeError("a part of this role ended by itself")


def open_store(settings: Settings) -> PostgresStore:
    """The store that the settings name. One per task that waits on it."""
    return PostgresStore(_dsn(settings), settings.postgres_pool_size, settings.statement_timeout, settings.lock_timeout)


def _dsn(settings: Settings) -> str:
    return required(settings.postgres_dsn, "TOCSIN_POSTGRES_DSN").get_secret_value()


def channels(settings: Settings, clock: Clock) -> dict[str, Channel]:
    """The channels that are configured; without a mail server there is none for email."""
    if settings.smtp_host is None:
        return {}
    name, address = parseaddr(settings.smtp_from)
    password = settings.smtp_password
    smtp = SmtpSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=address,
        sender_name=name or "Tocsin",
        domain=address.partition("@")[2],
        mode=settings.smtp_mode,
        username=settings.smtp_username,
        password=Secret(password.get_secret_value()) if password else None,
        ca_file=str(settings.smtp_ca_file) if settings.smtp_ca_file else None,
    )
    return open_channels({"email": smtp}, clock)


async def pager(settings: Settings, stopping: asyncio.Event) -> None:
    """Deadlines and pages; needs Postgres and the channels, never Kafka."""
    from compose.watching import gateways_watched, living
    from streams.heartbeating import Heartbeating
    from streams.pager import Pager
    from streams.reviewing import Reviewer

    clock = clock_from(settings.clock_file)
    store = open_store(settings)
    heartbeats = Heartbeating(store, folding(settings, store, clock), clock)
    reach = channels(settings, clock)
    paging = Pager(store, settings.org, clock, reach, settings.pages_per_minute, settings.public_url)
    try:
        watching = gateways_watched(settings, _dsn(settings), store, clock, reach)
        async with living(_dsn(settings), "pager"), watching:
            reviewer = Reviewer(store, settings.org, clock)
            await reviewer.attempt()  # before anybody is told: of what nothing is to be said any more
            await _together(stopping, paging.run(stopping), reviewer.run(stopping), heartbeats.run(stopping))
    finally:
        for channel in reach.values():
            await channel.close()
        store.close()


async def gateway(settings: Settings, stopping: asyncio.Event) -> None:
    """Webhooks, commands, queries and readiness over HTTP."""
    from gateway.app import Parts, build
    from gateway.durable import DurableIntake
    from gateway.intake import KafkaIntake
    from gateway.server import serve
    from projections.lag import Lags
    from projections.queries import Queries
    from streams.offsets import EndOffsets
    from streams.store.heartbeats import GATEWAY, Heartbeat
    from streams.store.outages import Outages

    required(settings.kafka_bootstrap, "TOCSIN_KAFKA_BOOTSTRAP")
    store = open_store(settings)
    queries = Queries(_dsn(settings), settings.postgres_pool_size)
    lags = Lags(_dsn(settings), settings.kafka_cluster, alerts_topic(settings))
    heartbeat = Heartbeat(_dsn(settings), GATEWAY)
    clock = clock_from(settings.clock_file)
    reach = channels(settings, clock)
    parts = Parts(
        settings=settings,
        store=store,
        queries=queries,
        intake=DurableIntake(KafkaIntake(settings), store, settings),
        clock=clock,
        ids=lambda: str(uuid4()),
        salt=lambda: secrets.token_bytes(16),
        lags=lags,
        ends=EndOffsets(settings, clock),
        database_clock=store.now,
        outages=Outages(_dsn(settings)),
        channels=reach,
        heartbeat=heartbeat.beat,
    )
    try:
        host, port = settings.gateway_host, settings.gateway_port
        await serve(build(parts), host, port, stopping, _listening, settings.gateway_connections)
    finally:
        for channel in reach.values():
            await channel.close()
        heartbeat.close()
        lags.close()
        queries.close()
        store.close()


def _listening(port: int) -> None:
    settle()
    log.info("gateway listens", port=port)


async def projector(settings: Settings, stopping: asyncio.Event) -> None:
    """Read models, public topics, seals and pruning, as tasks that do not wait for each other.

    Where the machine is short of time, what decides and pages goes first.
    """
    give_way(BEHIND)
    from compose.watching import living
    from projections.runner import Projector
    from streams.pruning import Pruner, forgetting
    from streams.relay import Relay
    from streams.sealer import Sealer
    from streams.store.progress import Progress
    from streams.store.pruning import Pruning
    from streams.store.seals import Seals

    required(settings.kafka_bootstrap, "TOCSIN_KAFKA_BOOTSTRAP")
    stores = open_store(settings), open_store(settings), open_store(settings)
    projecting = Projector(stores[0], _dsn(settings))
    progress = Progress(_dsn(settings), "relay")
    relaying = Relay(settings, stores[1], Leadership(_dsn(settings), Seat.RELAY), progress.tell)
    pruning = Pruning(_dsn(settings), timedelta(days=settings.retention_days))
    seat = Leadership(_dsn(settings), Seat.PRUNER)
    clock = clock_from(settings.clock_file)
    pruner = Pruner(pruning, seat, clock, expiring(settings), forgetting(stores[2], settings.org, clock))
    sealer = Sealer(settings, partial(Seals, _dsn(settings)), Leadership(_dsn(settings), Seat.SEALER), clock)
    settle()
    try:
        parts = (projecting, relaying, pruner, sealer)
        async with living(_dsn(settings), "projector"):
            await _together(stopping, *(part.run(stopping) for part in parts))
    finally:
        progress.close()
        for store in stores:
            store.close()


def expiring(settings: Settings) -> Callable[[int], int]:
    """Blanks texts of alerts that are older than the settings allow, up to a limit; returns how many."""
    from streams.store.expiring import expire

    days, dsn, clock = settings.text_retention_days, _dsn(settings), clock_from(settings.clock_file)
    if days is None:
        return lambda limit: 0
    kept = timedelta(days=days)
    return lambda limit: expire(dsn, settings.org, clock() - kept, limit, str(uuid4()), clock())


def folding(settings: Settings, store: PostgresStore, clock: Clock) -> "Fold":
    """What decides on reports of alerts."""
    from streams.fold import Fold

    return Fold(
        store=store,
        org=settings.org,
        clock=clock,
        catch_up_age=timedelta(seconds=settings.catch_up_age),
        catch_up_hold=timedelta(seconds=settings.catch_up_hold),
    )


async def worker(settings: Settings, stopping: asyncio.Event) -> None:
    """Folds the inbox, which needs no broker, and the alerts topic, once a broker answers: Faust needs one to start."""
    from compose.watching import living
    from streams.brokers import until_reached
    from streams.expiry import Expiry
    from streams.inbox import Forwarder, InboxReader
    from streams.offsets import EndOffsets
    from streams.worker import Worker

    required(settings.kafka_bootstrap, "TOCSIN_KAFKA_BOOTSTRAP")
    store = open_store(settings)
    clock = clock_from(settings.clock_file)
    fold = folding(settings, store, clock)
    settle()

    async def from_topic() -> None:
        if await until_reached(settings, stopping):
            await Worker(settings, fold, store, settings.data_dir / "faust").run(stopping)

    try:
        async with living(_dsn(settings), "worker"):
            await _together(
                stopping,
                InboxReader(store, fold).run(stopping),
                Forwarder(settings, store).run(stopping),
                Expiry(settings, store, fold, EndOffsets(settings, clock)).run(stopping),
                from_topic(),
            )
    finally:
        store.close()
