"""A broker and a database that are killed and started again."""

from pathlib import Path

from compose.embedded.kafka import EmbeddedKafka
from compose.embedded.postgres import EmbeddedPostgres
from tests.services import Services


class Stores:
    """Both, of a test's own."""

    def __init__(self, folder: Path) -> None:
        self._kafka, self._postgres = EmbeddedKafka(folder / "kafka"), EmbeddedPostgres(folder / "postgres")
        self.broker, self.database = self._kafka.start(), self._postgres.start()
        self.broker.wait_ready()
        self.database.wait_ready()

    def services(self) -> Services:
        return Services(self.broker.bootstrap, self.database.dsn)

    def start_database(self) -> None:
        self.database = self._postgres.start()
        self.database.wait_ready()

    def start_broker(self) -> None:
        self.broker = self._kafka.start()
        self.broker.wait_ready()

    def close(self) -> None:
        self.broker.kill()
        self.database.kill()
        self._postgres.remove()
