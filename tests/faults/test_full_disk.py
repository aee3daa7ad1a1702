"""Disks that are really full: the broker's, the database's, the seal file's. What was taken is kept, and told once.

Broker and database have a small file system each (`small_disk.py`). Servers that are away for other reasons:
`test_stores_away.py`.
"""

import asyncio
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer

from compose.embedded.postgres import EmbeddedPostgres
from schemas.received import decode
from schemas.seals import Seal
from streams.seal_file import SealFile, read
from tests.faults.site import SETTINGS, Site
from tests.faults.small_disk import MEGABYTE, TRIES, SmallDisk
from tests.faults.stores import Stores
from tests.stack import KEYS, Installation, until
from tests.world import alert, webhook

ROOM = 128 * MEGABYTE
"""An empty database takes 46 of it, a third of that for its log."""
READ_WITHIN = 60.0
"""Seconds for everything on the topic to be read."""
FULL = {**SETTINGS, "PRODUCE_TIMEOUT": "3"}
"""While the database takes nothing, a slow broker is waited for: no inbox would make up for it."""
SEAL = Seal(1, "store", 1, 1, 9, "00", "", datetime(2026, 3, 2, 3, 0, tzinfo=UTC), "11", "22")


@dataclass
class Full:
    """An installation whose broker and database have a small disk each; `taken` are receipts by their alert's name."""

    kafka: SmallDisk
    postgres: SmallDisk
    stores: Stores
    site: Site
    taken: dict[str, str] = field(default_factory=dict)

    def post(self) -> str:
        """A machine reports a new alert, which is taken; returns its name."""
        running, name = self.site.installation.running, f"Full{len(self.taken) + 1:03}"
        answer = httpx.post(
            f"{running.gateway_url}/api/v1/webhooks/alertmanager",
            json=webhook([alert(name, {"service": "payments"}, self.site.now())]),
            headers={"Authorization": f"Bearer {running.webhook_tokens.alertmanager}"},
            timeout=15,
        )
        assert answer.status_code == 202, answer.text
        self.taken[name] = answer.json()["receipt"]
        return name

    def comment(self) -> httpx.Response:
        """A person writes two kilobytes about the first incident."""
        url = f"{self.site.installation.running.gateway_url}/api/v1/incidents/INC-1/comment"
        words = "".join(uuid4().hex for _ in range(64))
        answer = httpx.post(url, json={"text": words}, headers={"Authorization": f"Bearer {KEYS['ada']}"}, timeout=20)
        assert answer.status_code in (200, 503), answer.text
        assert answer.is_success or "retry-after" in answer.headers
        return answer

    def told(self) -> Counter[str]:
        """The alerts that Ada has heard of, and in how many messages of each."""
        texts = {mail.headers["Message-ID"]: mail.text for mail in self.site.mails("ada@example.test")}
        return Counter(name for text in texts.values() for name in self.taken if name in text)

    def settled(self) -> None:
        """Wait until nothing is left to do; everything that was taken is folded once, told once and on the topic."""
        self.site.rest("everything")
        assert Counter(seen.title.split()[0] for seen in self.site.incidents()) == Counter(list(self.taken))
        assert self.counts() == {1}
        assert self.told() == Counter(list(self.taken))
        self.site.published(sealed=False)
        asyncio.run(self.copied())

    def counts(self) -> set[Any]:
        """How often alerts were reported, as far as is known."""
        with psycopg.connect(self.site.installation.dsn) as connection:
            return {count for (count,) in connection.execute("select count from tocsin.alert_state")}

    async def copied(self) -> None:
        """Return once every receipt was read from the topic."""
        topic = f"{self.site.installation.prefix}alerts"
        bootstrap, missing = self.stores.broker.bootstrap, set(self.taken.values())
        async with (
            asyncio.timeout(READ_WITHIN),
            AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer,
        ):
            while missing:
                missing.discard(decode((await consumer.getone()).value or b"").receipt)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Full]:
    folder = tmp_path_factory.mktemp("full")
    with closing(SmallDisk(ROOM)) as kafka, closing(SmallDisk(ROOM)) as postgres:
        keep_log_on(kafka, folder / "kafka")
        keep_database_on(postgres, folder / "postgres")
        with (
            closing(Stores(folder)) as stores,
            closing(Installation(at := stores.services(), at.dsn, "full-", folder, **FULL)) as installation,
            closing(Site(installation, folder / "plan")) as site,
        ):
            made = Full(kafka, postgres, stores, site)
            made.post()
            made.settled()
            yield made


def keep_log_on(disk: SmallDisk, folder: Path) -> None:
    """The broker of this folder will write its log to the disk."""
    folder.mkdir()
    (disk.folder / "log").mkdir()
    (folder / "data").symlink_to(disk.folder / "log")


def keep_database_on(disk: SmallDisk, folder: Path) -> None:
    """The database of this folder is made, and lies on the disk."""
    EmbeddedPostgres(folder).prepare()
    data = (folder / "home").resolve() / "data"
    subprocess.run(["cp", "-a", str(data), str(disk.folder / "data")], check=True, timeout=60)
    shutil.rmtree(data)
    data.symlink_to(disk.folder / "data")


def test_a_broker_whose_disk_is_full_ends_and_people_are_paged_all_the_same(full: Full) -> None:
    full.kafka.fill()
    until("the broker to end", lambda: not full.stores.broker.alive or (full.post() and None))
    later = {full.post() for _ in range(3)}
    until("people to be told", lambda: later <= set(full.told()) or None)
    full.kafka.free()
    full.stores.start_broker()
    full.settled()


def test_a_database_whose_disk_is_full_goes_on_by_itself_when_there_is_room(full: Full) -> None:
    full.postgres.fill()
    until("a command to be refused", lambda: full.post() and (full.comment().status_code == 503 or None))
    for _ in range(3):
        full.post()
    assert full.site.incidents(), "what is there can be read"
    assert full.stores.database.alive
    full.postgres.free()
    full.settled()
    assert full.comment().status_code == 200


def test_a_database_without_room_for_its_log_ends_and_all_is_told_once_it_is_started(full: Full) -> None:
    full.postgres.fill()
    superuser = full.stores.database.dsn.replace("tocsin:", "postgres:", 1)
    with pytest.raises(psycopg.OperationalError), psycopg.connect(superuser, autocommit=True) as connection:
        for _ in range(TRIES):  # a checkpoint makes room for one file of the log
            full.postgres.fill()
            connection.execute("select pg_switch_wal()")
            connection.execute("select pg_logical_emit_message(true, 'a', 'record')")
    until("the database to end", lambda: not full.stores.database.alive or None)
    assert full.comment().status_code == 503
    for _ in range(3):
        full.post()
    full.postgres.free()
    full.stores.start_database()
    full.settled()


def test_a_seal_file_whose_disk_is_full_says_so_and_is_continued_when_there_is_room() -> None:
    with closing(SmallDisk(MEGABYTE)) as disk:
        file = SealFile(disk.folder / "seals.jsonl")
        file.append([SEAL])
        disk.fill()
        seals = [replace(SEAL, number=number) for number in range(2, 102)]
        with pytest.raises(OSError, match="No space left"):
            file.append(seals)
        disk.free()
        last = file.last()
        assert last
        file.append(seals[last.number - 1 :])
        assert [seal.number for seal in read(disk.folder / "seals.jsonl")] == list(range(1, 102))
