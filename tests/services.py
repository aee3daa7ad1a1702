"""A real broker and a real database for tests: embedded, or containers when TOCSIN_TEST_SERVICES=docker."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testcontainers.community.kafka import KafkaContainer
from testcontainers.community.postgres import PostgresContainer

from compose.embedded.kafka import EmbeddedKafka
from compose.embedded.postgres import EmbeddedPostgres


@dataclass(frozen=True)
class Services:
    """Where they are. `dsn` is of a role that may create databases."""

    kafka: str
    dsn: str


@contextmanager
def services(directory: Path) -> Iterator[Services]:
    """Start both, once for a whole run of tests."""
    if os.environ.get("TOCSIN_TEST_SERVICES") == "docker":
        with KafkaContainer("apache/kafka:4.3.1") as kafka, PostgresContainer("postgres:16") as postgres:
            yield Services(kafka.get_bootstrap_server(), postgres.get_connection_url(driver=None))
        return
    broker = EmbeddedKafka(directory / "kafka").start()
    try:
        database = EmbeddedPostgres(directory / "postgres")
        server = database.start()
        try:
            broker.wait_ready()
            server.wait_ready()
            yield Services(broker.bootstrap, database.dsn)
        finally:
            server.stop()
            database.remove()
    finally:
        broker.kill()  # nothing of it is kept, and ending in order takes a broker with thousands of partitions long
