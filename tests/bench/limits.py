"""What this machine can do at most, measured with nothing of Tocsin in the way.

python -m tests.bench.limits PORT        serves one FastAPI route that does nothing, until it is killed
"""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit

import psycopg
import uvicorn
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fastapi import FastAPI

from streams.store.migrate import migrate
from streams.store.postgres import SCHEMA
from streams.store.recorder import INSERT
from tests.bench.figures import Figure, percentile
from tests.bench.generating import generating
from tests.bench.plan import Plan
from tests.bench.site import Site
from tests.stack import ROOT, free_port, until

ROUTE, PRODUCED, INSERTED, COMMIT = "empty route", "produced and flushed", "events inserted", "one commit"
CONNECTIONS = 64
RECORD = b"x" * 1000
EVENT_BYTES, EVENTS_TOGETHER = 900, 200
"""As large as `group.alert_fired`, and as many as a batch of the fold."""
DATABASE = "bench_limits"


def measure(site: Site, wanted: frozenset[str]) -> dict[str, Figure]:
    """Measure those of the limits that are wanted, by name."""
    found: dict[str, Figure] = {}
    for name in LIMITS:
        if name in wanted:
            with site.progress.step(f"Measuring the limit: {name}"):
                found[name] = LIMITS[name](site)
    return found


def empty_route(site: Site) -> Figure:
    """Requests/s that an empty FastAPI route answers, to the same generator over as many connections."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "tests.bench.limits", str(port)], cwd=ROOT)
    try:
        until("the empty route", lambda: _listens(port) or None)
        plan = Plan("127.0.0.1", port, ("/empty",), site.seconds / 2, "GET", connections=CONNECTIONS)
        with generating(plan) as finish:
            report = finish()
    finally:
        server.terminate()
        server.wait(10)
    return Figure("limits", ROUTE, report.answered / report.seconds, "/s")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def serve(port: int) -> None:
    """Serve the empty route."""
    app = FastAPI()

    @app.get("/empty")
    async def empty() -> dict[str, str]:
        return {}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def produce(site: Site) -> Figure:
    """Records/s of 1 KB that one producer gets acknowledged, each flushed to disk, as many waiting as connections."""
    return Figure("limits", PRODUCED, asyncio.run(_produce(site.services.kafka, site.seconds / 2)), "/s")


async def _produce(bootstrap: str, seconds: float) -> float:
    name = f"bench-limit-{time.time_ns()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 24, 1, topic_configs={"flush.messages": "1"})])
    await asyncio.sleep(1.0)  # until its partitions have a leader
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=262_144, linger_ms=2)
    await producer.start()
    done, end = 0, time.perf_counter() + seconds

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await producer.send_and_wait(name, RECORD, key=b"bench:0")
            done += 1

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    await producer.stop()
    await admin.delete_topics([name])
    await admin.close()
    return done / seconds


def insert(site: Site) -> Figure:
    """Events/s that one connection inserts by the store's own statement, so many to a transaction, and nothing else."""
    count = 0
    with _database(site) as connection:
        began = time.perf_counter()
        while time.perf_counter() < began + site.seconds / 2:
            streams = [f"group-{count + index:036}" for index in range(EVENTS_TOGETHER)]
            size = len(streams)
            states, hashes = [b"e" * EVENT_BYTES] * size, [b"h" * 32] * size
            with connection.transaction():
                connection.execute(INSERT, (streams, [1] * size, ["group.alert_fired.v1"] * size, states, hashes))
            count += size
        seconds = time.perf_counter() - began
    return Figure("limits", INSERTED, count / seconds, "/s")


def commit(site: Site) -> Figure:
    """Milliseconds for the median of transactions that change one row, one after the other."""
    took: list[float] = []
    with _database(site) as connection:
        end = time.perf_counter() + site.seconds / 5
        while (began := time.perf_counter()) < end:
            connection.execute("update store_identity set epoch = epoch + 1")
            took.append(time.perf_counter() - began)
    median = percentile(took, 0.5)
    return Figure("limits", COMMIT, median * 1000 if median else None, "ms")


@contextmanager
def _database(site: Site) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A migrated database of its own, dropped afterwards."""
    with psycopg.connect(site.services.dsn, autocommit=True) as admin:
        admin.execute(f"create database {DATABASE}".encode())
        try:
            dsn = urlunsplit(urlsplit(site.services.dsn)._replace(path=f"/{DATABASE}"))
            migrate(dsn, "streams.store", SCHEMA)
            with psycopg.connect(dsn, autocommit=True, options=f"-c search_path={SCHEMA}") as connection:
                yield connection
        finally:
            admin.execute(f"drop database {DATABASE}".encode())


LIMITS: Mapping[str, Callable[[Site], Figure]] = MappingProxyType(
    {ROUTE: empty_route, PRODUCED: produce, INSERTED: insert, COMMIT: commit}
)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
