"""A backup put back: the log goes on from where it ended, what came after is decided again, and everyone can tell."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from compose.auditing import audit
from compose.client import Access, Client
from compose.demo import body
from compose.embedded.postgres import installed_programs
from compose.restoring import restored
from schemas.settings import Settings, load_settings
from schemas.topics import PUBLIC, client_arguments, public_topic
from streams.store.postgres import PostgresStore
from streams.store.seals import Seals
from tests.services import Services
from tests.stack import Installation, until
from tests.topics import all_records

PROGRAMS = installed_programs(None) / "bin"


def test_a_restored_database_goes_on_under_a_new_epoch(
    real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> None:
    kafka = {"TOCSIN_KAFKA_BOOTSTRAP": real_services.kafka, "TOCSIN_TOPIC_PREFIX": topic_prefix}
    lost, found, backup = new_database(), new_database(), tmp_path / "tocsin.dump"
    settings = load_settings(kafka_bootstrap=real_services.kafka, topic_prefix=topic_prefix, alerts_partitions=4)
    before = Installation(real_services, lost, topic_prefix, folder(tmp_path, "before"))
    fire(before, "Kept")
    run("pg_dump", "--format=custom", f"--file={backup}", lost)
    fire(before, "Lost")
    until("everything to be published", lambda: published(settings, 1, lost))
    until("everything to be sealed", lambda: sealed(lost))
    refused = command(restored, before, lost)
    before.close()
    told = told_by(settings, 1)  # only now: people are paged as long as it runs
    assert "stop every role first" in refused.output

    run("pg_restore", "--no-owner", f"--dbname={found}", str(backup))
    data = folder(tmp_path, "after") / "data"
    data.mkdir(mode=0o700)
    for kept in ("secrets.json", "seal.key", "seal.pub"):
        shutil.copy(before.folder / "data" / kept, data)
    shutil.copytree(before.folder / "data" / "seals", data / "seals")
    raised = CliRunner().invoke(restored, ["--data-dir", str(data)], env={"TOCSIN_POSTGRES_DSN": found})
    assert raised.exit_code == 0, raised.output

    after = Installation(real_services, found, topic_prefix, data.parent)
    try:
        identity = PostgresStore(found).identity()
        assert f"Epoch 2 of store {identity.store} goes on behind position {identity.since}." in raised.output
        until(
            "what was lost to be decided again", lambda: titles(after) == ["Kept (payments)", "Lost (payments)"] or None
        )
        until("everything to be published, once", lambda: published_since(settings, 2, found, identity.since))
        until("everything to be sealed", lambda: sealed(found))
        assert told_by(settings, 1) == told
        checked = command(audit, after, found, "verify", "--topic", **kafka)
        assert checked.exit_code == 0, checked.output
        assert f"Restored from a backup: epoch 2 goes on behind position {identity.since}." in checked.output
        old = data / "seals" / f"{identity.store}-1.jsonl"
        compared = command(audit, after, found, "verify", "--seals", str(old))
        assert compared.exit_code == 1
    finally:
        after.close()


def folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name


def fire(installation: Installation, title: str) -> None:
    """One alert, and its incident; whoever is paged about it has been."""
    running = installation.running
    webhook: dict[str, Any] = body("firing", datetime.now(UTC))
    webhook["alerts"][0]["labels"] = {"alertname": title, "service": "payments", "severity": "critical"}
    webhook["alerts"][0]["fingerprint"] = title.lower()
    with Client(Access(running.gateway_url, running.api_keys.viewer)) as client:
        client.fire("alertmanager", running.webhook_tokens.alertmanager, webhook)
        until("the incident", lambda: any(i.title.startswith(title) for i in client.incidents().incidents) or None)


def titles(installation: Installation) -> list[str]:
    running = installation.running
    with Client(Access(running.gateway_url, running.api_keys.viewer)) as client:
        return sorted(incident.title for incident in client.incidents().incidents)


def published(settings: Settings, epoch: int, dsn: str) -> bool | None:
    return PostgresStore(dsn).head() in told_by(settings, epoch) or None


def published_since(settings: Settings, epoch: int, dsn: str, since: int) -> bool | None:
    """Whether consumers read all that came after `since`, each once; more may happen while they do."""
    wanted = list(range(since + 1, PostgresStore(dsn).head() + 1))
    return told_by(settings, epoch) == wanted or None


def sealed(dsn: str) -> bool | None:
    last = Seals(dsn).last()
    return (last is not None and last.last == PostgresStore(dsn).head()) or None


def told_by(settings: Settings, epoch: int) -> list[int]:
    """The positions that consumers read of this epoch."""
    return sorted(position for source, position in asyncio.run(public(settings)) if source.endswith(f"/{epoch}"))


async def public(settings: Settings) -> list[tuple[str, int]]:
    """Source and sequence of every record on the public topics."""
    names = {public_topic(settings, kind) for kind in PUBLIC}
    headers = [dict(record.headers) for record in await all_records(names, **client_arguments(settings))]
    return [(each["ce_source"].decode(), int(each["ce_sequence"])) for each in headers]


def command(group: Any, installation: Installation, dsn: str, *arguments: str, **settings: str) -> Result:
    environ = {"TOCSIN_POSTGRES_DSN": dsn, **settings}
    data_dir = str(installation.folder / "data")
    return CliRunner().invoke(group, [*arguments, "--data-dir", data_dir], env=environ)


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([PROGRAMS / program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
