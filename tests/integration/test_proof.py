"""Proving, erasing and telling again on a real log, by the commands that people use."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from compose.auditing import audit
from compose.erasing import erase, replay
from domain.book import Book
from domain.ids import stream_kind
from projections.database import READ_SCHEMA
from projections.runner import Projector
from schemas.events import hash_event
from schemas.settings import Settings, load_settings
from schemas.topics import PUBLIC, client_arguments, public_topic
from streams.relay import Relay
from streams.seal_file import SealFile, seal_file
from streams.seal_key import signing_key
from streams.sealer import SealWriter
from streams.store.base import DeadLetter, InboxRow, Save
from streams.store.leadership import Leadership, Seat
from streams.store.migrate import migrate
from streams.store.postgres import PostgresStore
from streams.store.seals import Seals
from streams.topics import ensure_topics
from tests.memory_world import MemoryWorld
from tests.topics import all_records
from tests.world import alert, webhook

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
SECRET = 'Jo "Doe" of Çatalca, room 12'


class Proving:
    """A world on Postgres, and the commands that prove it."""

    def __init__(self, settings: Settings, dsn: str) -> None:
        self.settings, self.dsn = settings, dsn
        self.store = PostgresStore(dsn)
        self.world = MemoryWorld(self.store)

    def seal(self) -> None:
        seals = Seals(self.dsn)
        identity = seals.identity()
        file = SealFile(seal_file(self.settings.data_dir, identity))
        writer = SealWriter(seals, signing_key(self.settings), file, identity, lambda: AT)
        writer.resume()
        while writer.seal():
            pass
        seals.close()

    def run(self, command: Any, *arguments: str) -> Result:
        environ = {
            "TOCSIN_POSTGRES_DSN": self.dsn,
            "TOCSIN_KAFKA_BOOTSTRAP": self.settings.kafka_bootstrap,
            "TOCSIN_TOPIC_PREFIX": self.settings.topic_prefix,
            "TOCSIN_ALERTS_PARTITIONS": "2",
            "TOCSIN_DATA_DIR": str(self.settings.data_dir),
        }
        return CliRunner().invoke(command, arguments, env=environ)

    def verify(self) -> dict[str, Any]:
        result = self.run(audit, "verify", "--json")
        found: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == (0 if found["intact"] else 1)
        return found


@pytest.fixture
def proving(tmp_path: Path, store_dsn: str, kafka_bootstrap: str, topic_prefix: str) -> Iterator[Proving]:
    settings = load_settings(
        data_dir=tmp_path,
        postgres_dsn=store_dsn,
        kafka_bootstrap=kafka_bootstrap,
        topic_prefix=topic_prefix,
        alerts_partitions=2,
    )
    made = Proving(settings, store_dsn)
    yield made
    made.store.close()


# -- verify --------------------------------------------------------------------------------------------------------


def test_a_real_log_verifies_and_the_verdict_is_said_in_sentences(proving: Proving) -> None:
    proving.world.fire("ServiceDown", service="payments")
    proving.world.ack("INC-1")
    proving.seal()
    proving.world.resolve("INC-1")
    found = proving.verify()
    assert found["findings"] == []
    assert found["sealed"] < found["head"] == sum(found["rederived"].values())
    words = proving.run(audit, "verify").output
    assert f"Not sealed yet: positions {found['sealed'] + 1} to {found['head']}." in words
    assert words.endswith("Nothing is wrong.\n")


def test_an_event_rewritten_with_the_real_key_is_named_and_differs_from_the_file(proving: Proving) -> None:
    proving.world.fire("ServiceDown", service="payments")
    proving.seal()
    with psycopg.connect(proving.dsn) as connection:
        connection.execute("set search_path to tocsin")
        row = connection.execute(
            "select originator_id, notification_id, state from stored_events where topic = 'incident.opened.v1'"
        ).fetchone()
        assert row
        state = row[2].replace(b'"severity":"critical"', b'"severity":"low"')
        digest = hash_event(row[0], 1, "incident.opened.v1", state)
        connection.execute(
            "update stored_events set state = %s, hash = %s where notification_id = %s", (state, digest, row[1])
        )
        connection.execute("delete from seals")
    kept = next((proving.settings.data_dir / "seals").glob("*.jsonl"))
    aside = kept.rename(proving.settings.data_dir / "aside")
    proving.seal()
    kept.unlink()
    aside.rename(kept)
    findings = proving.verify()["findings"]
    assert (findings[0]["position"], findings[0]["field"]) == (row[1], "data.severity")
    assert any("has another one than the table" in finding["problem"] for finding in findings)


def test_a_payload_that_is_gone_without_a_word_is_tampering(proving: Proving) -> None:
    proving.world.fire("ServiceDown", service="payments")
    with psycopg.connect(proving.dsn) as connection:
        connection.execute("delete from tocsin.payloads where ref like 'alert/%%'")
    findings = proving.verify()["findings"]
    assert [finding["field"] for finding in findings] == ["data.payload.digest"]
    assert "no event says that it was erased" in findings[0]["problem"]


# -- show ----------------------------------------------------------------------------------------------------------


def test_show_says_who_was_paged_by_which_rule_and_who_was_not_and_why(proving: Proving) -> None:
    proving.world.fire("ServiceDown", service="payments")
    proving.world.ack("INC-1", by="grace")
    given = json.loads(proving.run(audit, "show", "INC-1", "--json").stdout)
    (paged,) = given["paged"]
    assert (paged["user"], paged["method"], paged["rule"]["target"]) == ("ada", "email", "team:platform/primary")
    assert (paged["rule"]["policy"], paged["rule"]["step"], paged["rule"]["by"]) == ("two-steps", 1, "root")
    with psycopg.connect(proving.dsn) as connection:
        row = connection.execute(
            "select topic from tocsin.stored_events where notification_id = %s", (paged["rule"]["revision"],)
        ).fetchone()
    assert row == ("config.object_put.v1",)
    (missed,) = given["not_paged"]
    assert missed["rule"]["target"] == "team:platform/secondary"
    assert missed["reason"] == "its step was not due when grace acknowledged"
    words = proving.run(audit, "show", "1").output
    assert "of configuration revision" in words
    assert "step 1 of policy two-steps (revision" in words


def test_show_says_that_nobody_was_reachable(proving: Proving) -> None:
    proving.world.fire("NobodyHome", service="unknown")
    given = json.loads(proving.run(audit, "show", "INC-1", "--json").stdout)
    reasons = {one["rule"]["target"]: one["reason"] for one in given["not_paged"]}
    assert reasons["team:platform/manager"].startswith("nobody reachable")
    assert [page["user"] for page in given["paged"]] == ["grace"]


def test_an_incident_that_the_log_has_not_is_refused_in_a_sentence(proving: Proving) -> None:
    result = proving.run(audit, "show", "INC-99")
    assert result.exit_code == 1
    assert "The log has no incident INC-99." in result.output


# -- erase ---------------------------------------------------------------------------------------------------------


def plant(proving: Proving) -> None:
    """One alert with the secret in its annotations; the same in an inbox row and in a dead letter."""
    member = alert("ServiceDown", {"service": "payments"}, proving.world.now())
    member["annotations"] = {"description": SECRET}
    proving.world.post(webhook([member]))
    body = json.dumps({"text": SECRET}, ensure_ascii=False).encode()
    proving.store.put_inbox([InboxRow("r-x", 1, b"key", body, AT)])
    book = Book("default", proving.store.config(), {})
    dead = DeadLetter("default/alerts/0@99", 0, "r-y", "alertmanager", "it cannot be decided", body, AT)
    proving.store.save(Save(book, inbox=(("r-x", 1),), dead_letters=(dead,)))
    proving.store.mark_forwarded([InboxRow("r-x", 1, b"key", body, AT)])


def everything(dsn: str) -> bytes:
    """The content of every table, as bytes."""
    found = []
    with psycopg.connect(dsn) as connection:
        query = "select schemaname, tablename from pg_tables where schemaname in ('tocsin', 'read_models')"
        for schema, table in connection.execute(query).fetchall():
            with connection.cursor() as cursor, cursor.copy(f'copy {schema}."{table}" to stdout binary') as copy:
                found += [bytes(part) for part in copy]
    return b"".join(found)


async def public(settings: Settings) -> bytes:
    """Every byte on the public topics."""
    names = {public_topic(settings, kind) for kind in PUBLIC}
    return b"".join(
        record.value for record in await all_records(names, "read_uncommitted", **client_arguments(settings))
    )


async def relayed(proving: Proving) -> None:
    await ensure_topics(proving.settings)
    stopping = asyncio.Event()
    store = PostgresStore(proving.dsn)
    relay = Relay(proving.settings, store, Leadership(proving.dsn, Seat.RELAY))
    task = asyncio.create_task(relay.run(stopping))
    async with asyncio.timeout(60):
        while relay._position < proving.store.head():
            await asyncio.sleep(0.05)
    stopping.set()
    await task
    store.close()


def test_a_planted_string_is_in_no_table_and_no_public_topic_after_it_was_erased_and_the_log_verifies(
    proving: Proving, capfd: pytest.CaptureFixture[str]
) -> None:
    migrate(proving.dsn, "projections", READ_SCHEMA)
    plant(proving)
    forms = [b"atalca", "Çatalca".encode()]
    assert all(form in everything(proving.dsn) for form in forms)
    found = proving.run(erase, "--text", SECRET, "--reason", "request 12", "--yes")
    assert found.exit_code == 0, found.output
    assert "Erased 1 payloads, 1 inbox rows and 1 dead letters" in found.output
    proving.world.end("ServiceDown", service="payments")
    projector = Projector(proving.store, proving.dsn)
    while projector.step():
        pass
    projector.leave()
    asyncio.run(relayed(proving))
    tables, topics, logs = everything(proving.dsn), asyncio.run(public(proving.settings)), "".join(capfd.readouterr())
    assert b"erasure_payload" in tables or b"erasure.payload_erased.v1" in tables
    assert b'"refs":["alert/' in topics
    assert "incident opened" in logs
    for form in forms:
        assert form not in tables
        assert form not in topics
        assert form.decode() not in logs
    verdict = proving.verify()
    assert verdict["findings"] == []
    assert sum(verdict["erased"].values()) > 0


def test_an_incident_s_texts_are_erased_and_another_s_stay(proving: Proving) -> None:
    proving.world.fire("ServiceDown", service="payments", severity="warning")
    proving.world.fire("IndexCorrupt", service="catalogue")
    worse = alert("ServiceDown", {"service": "payments", "severity": "warning"}, proving.world.now())
    for change in ({}, {"labels": {**worse["labels"], "severity": "critical"}}, {"status": "resolved"}):
        member = {**worse, **change, "endsAt": proving.world.now().isoformat(), "fingerprint": "00000000000beef0"}
        proving.world.post(webhook([member]))
        proving.world.advance(minutes=2)
    found = proving.run(erase, "--incident", "INC-1", "--reason", "R-1", "--yes")
    assert "Erased 4 payloads" in found.output
    with psycopg.connect(proving.dsn) as connection:
        left = connection.execute(
            "select count(*) filter (where body is null), count(salt) from tocsin.payloads where ref like 'alert/%%'"
        ).fetchone()
    assert left == (4, 1)
    assert proving.verify()["intact"]


def test_a_user_who_is_configured_is_not_erased(proving: Proving) -> None:
    found = proving.run(erase, "--user", "ada", "--reason", "R-1", "--yes")
    assert found.exit_code == 1
    assert "ada is still configured" in found.output
    found = proving.run(erase, "--text", "ada@example.test", "--reason", "R-1", "--yes")
    assert "1 payloads are of users who are still configured" in found.output


# -- replay --------------------------------------------------------------------------------------------------------


def test_a_replay_to_a_file_tells_every_event_with_its_bytes(proving: Proving, tmp_path: Path) -> None:
    proving.world.fire("ServiceDown", service="payments")
    target = tmp_path / "told.jsonl"
    assert proving.run(replay, "--to", str(target)).exit_code == 0
    told = target.read_bytes().splitlines()
    raw = proving.store.raw_tail(0, 1000)
    assert len(told) == len(raw)
    for line, event in zip(told, raw, strict=True):
        assert event.state in line
        assert json.loads(line)["hash"] == event.hash.hex()
    again = proving.run(replay, "--to", str(target))
    assert again.exit_code == 1
    assert "exists" in again.output


async def test_a_replay_to_a_topic_is_what_the_relay_writes_and_never_goes_to_one_that_exists(
    proving: Proving,
) -> None:
    await asyncio.to_thread(proving.world.fire, "ServiceDown", service="payments")
    await relayed(proving)
    done = await asyncio.to_thread(proving.run, replay, "--to", "replay-check")
    assert done.exit_code == 0, done.output
    live = await keyed(proving.settings, *sorted({public_topic(proving.settings, kind) for kind in PUBLIC}))
    again = await keyed(proving.settings, f"{proving.settings.topic_prefix}replay-check")
    assert again == live
    assert {stream_kind(json.loads(value)["data"].get("incident", "x-")) for _, value, _ in again} >= {"incident"}
    refused = await asyncio.to_thread(proving.run, replay, "--to", "replay-check")
    assert refused.exit_code == 1
    assert "exists" in refused.output


async def keyed(settings: Settings, *topics: str) -> list[tuple[bytes, bytes, tuple[Any, ...]]]:
    """Every record of these topics, in order of sequence."""
    found = await all_records(topics, **client_arguments(settings))
    found.sort(key=lambda record: int(dict(record.headers)["ce_sequence"]))
    return [(record.key, record.value, tuple(record.headers)) for record in found]
