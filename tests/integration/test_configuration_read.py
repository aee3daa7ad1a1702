"""What a process knows of the configuration: what everybody else reads, without reading all of it again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import DictRow

from domain.config import Config
from streams.store import configuration
from streams.store.erasing import What, erase
from streams.store.postgres import PostgresStore
from tests.memory_world import ORG, MemoryWorld
from tests.world import CONFIG

FEW = 8
"""Rows that a change may cost: its head, the end of the log, what was known last, what is new, texts that are gone."""
SCANNED: LiteralString = "explain (analyze, format json) "


class CountingStore(PostgresStore):
    """A store that tells how many rows it was given."""

    given = 0

    def _rows(self, query: LiteralString, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[DictRow]:
        rows = super()._rows(query, params)
        self.given += len(rows)
        return rows


@pytest.fixture
def world(store_dsn: str) -> Iterator[MemoryWorld]:
    with closing(PostgresStore(store_dsn)) as store:
        yield MemoryWorld(store, CONFIG)


@pytest.fixture
def knowing(store_dsn: str, world: MemoryWorld) -> Iterator[CountingStore]:
    """Another process, which knows the configuration as it was at first."""
    with closing(CountingStore(store_dsn)) as store:
        assert store.config().users
        yield store


def fresh(dsn: str) -> Config:
    """What a process reads that knows nothing yet."""
    with closing(PostgresStore(dsn)) as store:
        return store.config()


def changes(world: MemoryWorld) -> list[Callable[[], object]]:
    """Each is a change of the configuration: of every sort, with personal data and without."""
    team = "teams:\n  platform: {members: ["
    return [
        lambda: world.silence(60, service="payments"),
        lambda: world.configure(CONFIG.replace("ada@", "ada.new@")),
        lambda: world.silence(60, service="search"),
        lambda: world.end_silence("silence-1"),
        lambda: world.configure(CONFIG.replace("users:\n", "users:\n  jo: {name: Jo, email: jo@example.test}\n", 1)),
        lambda: world.configure(CONFIG),
        lambda: world.configure(CONFIG.replace("group_by: [alertname, service]", "group_by: [service]")),
        lambda: world.configure(CONFIG.replace(team, f"{team}{{user: grace, role: lead}}, ")),
        lambda: world.configure(CONFIG),
    ]


@pytest.mark.parametrize("near", [configuration.NEAR, -1])
def test_after_every_change_it_is_what_a_new_process_reads(
    world: MemoryWorld, knowing: CountingStore, store_dsn: str, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr(configuration, "NEAR", near)
    seen = [knowing.config().revision]
    for change in changes(world):
        change()
        assert knowing.config() == fresh(store_dsn)
        assert [*knowing.config().silences] == [*fresh(store_dsn).silences]
        seen.append(knowing.config().revision)
    assert seen == sorted(set(seen))


def test_several_changes_at_once_are_caught_up_with(world: MemoryWorld, knowing: CountingStore, store_dsn: str) -> None:
    for change in changes(world):
        change()
    assert knowing.config() == fresh(store_dsn)
    assert knowing.config() is knowing.config()


def test_a_change_costs_what_it_changes_however_many_there_were(world: MemoryWorld, knowing: CountingStore) -> None:
    for number in range(40):
        world.silence(60, service=f"service-{number}")
        before = knowing.given
        assert len(knowing.config().silences) == number + 1
        assert knowing.given - before <= FEW


def test_no_event_before_what_is_known_is_looked_at(world: MemoryWorld, knowing: CountingStore) -> None:
    for number in range(40):
        world.silence(60, service=f"service-{number}")
    since = knowing.config().revision
    world.silence(60, service="payments")
    query = configuration._select(configuration.OF_THE_LATEST)
    [row] = knowing._rows(SCANNED + query, {"since": since})
    assert scanned(row["QUERY PLAN"][0]["Plan"], "stored_events") == knowing.head() - since + 1


def scanned(plan: Mapping[str, Any], table: str) -> int:
    """Rows of a table that a plan which was run has looked at."""
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) if plan.get("Relation Name") == table else 0
    return int(own * plan["Actual Loops"]) + sum(scanned(below, table) for below in plan.get("Plans", ()))


# -- personal data -----------------------------------------------------------------------------------------------------


def test_what_is_erased_is_gone_with_the_next_change(
    world: MemoryWorld, knowing: CountingStore, store_dsn: str
) -> None:
    world.silence(60, service="payments")
    assert knowing.config().silences["silence-1"].comment == "being repaired"
    done = erase(store_dsn, ORG, What(text="being repaired"), "request 1", "e-1", world.now())
    assert done.payloads == 1
    assert fresh(store_dsn).silences["silence-1"].comment == ""
    assert knowing.config().silences["silence-1"].comment == "being repaired", "nothing was configured since"
    world.configure(CONFIG.replace("ada@", "ada.new@"))
    assert knowing.config().silences["silence-1"].comment == ""
    assert knowing.config() == fresh(store_dsn)
    world.silence(60, service="search")
    assert knowing.config() == fresh(store_dsn)


def test_what_was_put_anew_after_it_was_erased_has_its_new_text(
    world: MemoryWorld, knowing: CountingStore, store_dsn: str
) -> None:
    world.silence(60, service="payments")
    assert knowing.config().silences
    erase(store_dsn, ORG, What(text="being repaired"), "request 1", "e-1", world.now())
    world.end_silence("silence-1")
    world.silence(60, service="search")
    assert knowing.config() == fresh(store_dsn)
    assert knowing.config().silences["silence-2"].comment == "being repaired"


def test_the_data_of_a_user_who_is_not_configured_any_more_comes_back_only_if_it_is_given_again(
    world: MemoryWorld, knowing: CountingStore, store_dsn: str
) -> None:
    jo = CONFIG.replace("users:\n", "users:\n  jo: {name: Jo, email: jo@example.test}\n", 1)
    world.configure(jo)
    assert knowing.config().users["jo"].name == "Jo"
    world.configure(CONFIG)
    erase(store_dsn, ORG, What(user="jo"), "request 2", "e-2", world.now())
    assert "jo" not in knowing.config().users
    world.configure(jo.replace("name: Jo", "name: Joan"))
    assert knowing.config().users["jo"].name == "Joan"
    assert knowing.config() == fresh(store_dsn)


# -- another log -------------------------------------------------------------------------------------------------------


def lose(dsn: str, after: int) -> None:
    """The log ends at an earlier position, as a backup has it."""
    with psycopg.connect(dsn, options="-c search_path=tocsin") as connection:
        connection.execute("delete from stored_events where notification_id > %s", (after,))
        connection.execute("delete from snapshots")
        query = "select max(notification_id) from stored_events where originator_id like 'config-%'"
        connection.execute(f"update config_head set revision = ({query})".encode())


def test_after_a_restore_the_configuration_is_that_of_the_backup(
    world: MemoryWorld, knowing: CountingStore, store_dsn: str
) -> None:
    world.silence(60, service="payments")
    backup = world.store.head()
    world.silence(60, service="search")
    assert len(knowing.config().silences) == 2
    lose(store_dsn, backup)
    assert knowing.config() == fresh(store_dsn)
    assert [*knowing.config().silences] == ["silence-1"]


def test_what_was_configured_after_a_restore_is_not_added_to_what_was_lost(
    world: MemoryWorld, knowing: CountingStore, store_dsn: str
) -> None:
    backup = world.store.head()
    world.silence(60, service="payments")
    assert [*knowing.config().silences] == ["silence-1"]
    lose(store_dsn, backup)
    with closing(PostgresStore(store_dsn)) as restored:
        world.store = restored
        for service in ("search", "mail", "payments"):
            world._now += timedelta(seconds=5)
            set_aside(world, service)
    assert fresh(store_dsn).revision > backup + 1
    assert knowing.config() == fresh(store_dsn)
    assert "silence-1" not in knowing.config().silences


def set_aside(world: MemoryWorld, service: str) -> None:
    """Silence a service, and let nobody work."""
    world.settle = lambda: None  # type: ignore[method-assign]
    world.silence(60, service=service)


# -- threads -----------------------------------------------------------------------------------------------------------


def test_threads_that_ask_at_once_are_told_what_was_so(
    world: MemoryWorld, knowing: CountingStore, store_dsn: str
) -> None:
    ended: list[bool] = []

    def asking() -> dict[int, Config]:
        told: dict[int, Config] = {}
        while not ended:
            config = knowing.config()
            assert config.revision >= max(told, default=0)
            told[config.revision] = config
        return told

    so = {knowing.config().revision: fresh(store_dsn)}
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(asking) for _ in range(4)]
        for change in changes(world):
            change()
            so[fresh(store_dsn).revision] = fresh(store_dsn)
        ended.append(True)
        found = [future.result(timeout=30) for future in asked]
    for told in found:
        assert all(so[revision] == config for revision, config in told.items())
    assert knowing.config() == so[max(so)]
