"""The read models rebuilt from the log: what differs is named, nothing is lost on the way, and nobody has to stop."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from domain import incidents
from projections import rebuild as rebuilding
from projections.compare_schemas import Cell, compare_schemas
from projections.database import READ_SCHEMA
from projections.rebuild import Difference, RebuildRunning, rebuild
from projections.rows import Rows
from projections.runner import Projector, Session
from streams.store.base import Recorded, Unavailable, WrongStore
from streams.store.memory import MemoryStore
from streams.store.migrate import migrate
from tests.projecting import ADA, AM, INCIDENT, TABLES, Bench, Happening, log, opened, stored, story

EVENTS = log(story())


@pytest.fixture
def dsn(postgres_dsn: str) -> str:
    """A database whose read models are what the story leaves."""
    migrate(postgres_dsn, "projections", READ_SCHEMA)
    projector = Projector(stored(EVENTS), postgres_dsn)
    while projector.step():
        pass
    projector.leave()
    return postgres_dsn


def sql(dsn: str, *statements: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        connection.execute("set search_path to read_models")
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def rows(dsn: str) -> dict[str, list[Any]]:
    return {table: sql(dsn, f"select to_jsonb(t) from {table} t order by t::text") for table in (*TABLES, "cursor")}


def schemas(dsn: str) -> set[str]:
    found = sql(dsn, "select nspname from pg_namespace where nspname like 'read_models%'")
    return {name for (name,) in found}


HELD = """select 1 from pg_locks where locktype = 'advisory' and classid = 7203 and objid::bigint =
    hashtext('read_models_shadow')::bigint & 4294967295 and database =
    (select oid from pg_database where datname = current_database())"""
"""Postgres sees a moment later that the connection of the rebuild before is closed."""


def run(dsn: str, store: MemoryStore | None = None, accept: bool = False) -> tuple[Difference, list[str]]:
    until(lambda: sql(dsn, HELD) == [])
    said: list[str] = []
    return rebuild(dsn, store or stored(EVENTS), accept, said.append), said


def test_what_is_as_the_log_says_is_swapped_and_stays_the_same(dsn: str) -> None:
    before = rows(dsn)

    found, said = run(dsn)

    assert (found.is_equal, found.swapped, found.position) == (True, True, len(EVENTS))
    assert said == [
        f"Rebuilt from {len(EVENTS)} events and compared at position {len(EVENTS)}: no row differs.",
        "The rebuilt read models are in place.",
    ]
    assert (rows(dsn), schemas(dsn)) == (before, {"read_models"})


def test_corrupt_one_column_of_one_row_and_rebuild_names_it(dsn: str) -> None:
    good = rows(dsn)
    sql(dsn, "update incidents set acknowledged_by = 'user:eve'")
    bad = rows(dsn)

    found, said = run(dsn)

    assert found.cells == (Cell("incidents", INCIDENT, "acknowledged_by", "user:eve", None),)
    assert (found.rows, found.swapped) == (1, False)
    assert said[0] == f'incidents {INCIDENT} acknowledged_by: live "user:eve", rebuilt nothing'
    assert (rows(dsn), schemas(dsn)) == (bad, {"read_models"}), "nothing is changed unless it is asked for"

    assert run(dsn, accept=True)[0].swapped
    assert rows(dsn) == good
    assert run(dsn)[0].is_equal


def test_every_column_of_every_table_is_compared(dsn: str) -> None:
    good = Bench(dsn, "good")
    good.deliver(EVENTS, len(EVENTS))
    other = {"text": "'x'", "bigint": "999", "integer": "999", "boolean": "not {}", "ARRAY": "array['x']"}
    other |= {"uuid": "gen_random_uuid()"}
    other |= {"timestamp with time zone": "'2001-01-01'", "jsonb": """'{{"x": 1}}'"""}
    columns = sql(
        dsn,
        "select table_name, column_name, data_type from information_schema.columns where table_schema = 'read_models'",
    )
    with psycopg.connect(dsn) as connection:
        connection.execute("set search_path to read_models")
        for table in Rows():
            mine = [(column, kind) for name, column, kind in columns if name == table.kind.table]
            for column, kind in mine:
                if column in table.kind.key:
                    continue
                with connection.transaction(force_rollback=True):
                    quoted, one = f'"{column}"', f"(select min(ctid) from {table.kind.table})"
                    connection.execute(
                        f"update {table.kind.table} set {quoted} = {other[kind].format(quoted)} where ctid = {one}"
                    )
                    found = compare_schemas(connection, "read_models", "good")
                assert (found.rows, [(cell.table, cell.column) for cell in found.cells]) == (
                    1,
                    [(table.kind.table, column)],
                )


def test_rows_that_are_only_on_one_side_are_named_whole(dsn: str) -> None:
    sql(
        dsn,
        "delete from timeline where position = 5",
        f"insert into alerts select '{INCIDENT}', gen_random_uuid(), now(), 1",
    )
    found, _ = run(dsn)

    extra, missing = found.cells
    assert (extra.table, extra.column, extra.rebuilt) == ("alerts", "(row)", None)
    assert (missing.table, missing.key, missing.live) == ("timeline", f"{INCIDENT} 5", None)
    assert missing.rebuilt["text"].startswith("INC-7 opened")


def test_many_differences_are_counted_and_the_first_told(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.compare_schemas.SHOWN", 3)
    sql(dsn, "update timeline set text = 'x', actor = 'y'")
    ((wrong,),) = sql(dsn, "select count(*) from timeline")
    found, said = run(dsn)
    assert (found.rows, len(found.cells)) == (wrong, 6)
    assert said[6:8] == [
        f"and {wrong - 3} more rows",
        f"Rebuilt from {len(EVENTS)} events and compared at position {len(EVENTS)}: {wrong} rows differ.",
    ]


def test_read_models_that_are_behind_are_compared_where_they_are(postgres_dsn: str) -> None:
    migrate(postgres_dsn, "projections", READ_SCHEMA)
    projector = Projector(stored(EVENTS), postgres_dsn, batch=10)
    projector.step()
    projector.leave()
    found, _ = run(postgres_dsn)
    assert (found.position, found.is_equal) == (10, True)
    assert sql(postgres_dsn, "select position from cursor") == [(10,)]


@pytest.mark.parametrize("broken", ["delete from cursor", "update cursor set position = 1000"])
def test_a_lost_or_impossible_cursor_is_repaired_when_that_is_accepted(dsn: str, broken: str) -> None:
    good = rows(dsn)
    sql(dsn, broken)
    found, _ = run(dsn)
    assert [(cell.table, cell.column, cell.rebuilt) for cell in found.cells] == [("cursor", "position", len(EVENTS))]
    assert run(dsn, accept=True)[0].swapped
    assert rows(dsn) == good


def test_read_models_that_were_never_migrated_are_refused(postgres_dsn: str) -> None:
    with pytest.raises(WrongStore, match="not migrated"):
        run(postgres_dsn)
    assert schemas(postgres_dsn) <= {"read_models_shadow"}


def test_one_rebuild_at_a_time(dsn: str) -> None:
    other = Session.open(dsn, "read_models_shadow")
    assert other
    with pytest.raises(RebuildRunning):
        rebuild(dsn, stored(EVENTS), False, print)
    other.close()
    assert run(dsn)[0].swapped


@pytest.mark.parametrize("moment", ["_follow", "_compare", "_swap", "_rename"])
def test_one_that_was_killed_leaves_nothing_broken(dsn: str, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    before = rows(dsn)

    def killed(self: rebuilding._Rebuild, *_: object) -> None:
        if moment == "_rename":
            self._execute("drop schema read_models cascade")
        self.session.connection.close()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if moment == "_rename":
            whole = rebuilding._Rebuild._target
            calls = iter(range(100))
            patched.setattr(rebuilding._Rebuild, "_target", lambda s: killed(s) if next(calls) == 11 else whole(s))
        else:
            patched.setattr(rebuilding._Rebuild, moment, killed)
        with pytest.raises(KeyboardInterrupt):
            run(dsn)

    assert rows(dsn) == before
    assert run(dsn)[0].is_equal
    assert schemas(dsn) == {"read_models"}


# -- while the projector works -----------------------------------------------------------------------------------------


def long_story(length: int) -> list[Recorded]:
    """One incident after the other, each acknowledged."""
    happened: list[Happening] = []
    for number in range(1, length // 2 + 1):
        stream = f"incident-00000000-0000-0000-0000-{number:012}"
        happened += [(stream, opened(number), AM), (stream, incidents.Acknowledged(), ADA)]
    return log(happened)


def feed(store: MemoryStore, events: list[Recorded]) -> None:
    """Something happens every other millisecond."""
    for event in events:
        store.log.append(event)
        time.sleep(0.002)


def working(projector: Projector, stopping: threading.Event) -> threading.Thread:
    """A thread in which the projector works."""

    def work() -> None:
        while not stopping.is_set():
            if not projector.step():
                time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_the_projector_goes_on_and_loses_nothing(postgres_dsn: str) -> None:
    migrate(postgres_dsn, "projections", READ_SCHEMA)
    events, stopping = long_story(3000), threading.Event()
    store = stored(events[:1000])
    projector = Projector(store, postgres_dsn, batch=20)
    thread = working(projector, stopping)
    feeding = threading.Thread(target=feed, args=(store, events[1000:2000]))
    feeding.start()
    try:
        found = [run(postgres_dsn, store)[0] for _ in range(2)]
        feeding.join()
        store.log.extend(events[len(store.log) :])
        until(lambda: sql(postgres_dsn, "select position from cursor") == [(len(events),)])
    finally:
        stopping.set()
        thread.join()
        projector.leave()
    assert [one.is_equal for one in found] == [True, True]
    expected = Bench(postgres_dsn, "expected")
    expected.deliver(events, 500)
    with psycopg.connect(postgres_dsn) as connection:
        assert compare_schemas(connection, "read_models", "expected").rows == 0


def test_a_batch_that_waits_for_the_swap_is_written_after_it(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The projector finds the cursor locked; what it then writes must be in the tables that are live afterwards."""
    more = log([*story(), (INCIDENT, incidents.Reopened(), ADA), (INCIDENT, incidents.Acknowledged(), ADA)])
    projector = Projector(stored(EVENTS), dsn)
    projector.step()
    projector.store = stored(more)
    waiting = threading.Thread(target=projector.step)
    renamed = rebuilding._Rebuild._execute

    def rename(self: rebuilding._Rebuild, statement: Any, *parts: Any) -> None:
        if statement.startswith("alter schema") and not waiting.is_alive():
            waiting.start()
            until(lambda: sql(dsn, "select 1 from pg_locks where not granted and locktype = 'relation'") != [])
        renamed(self, statement, *parts)

    monkeypatch.setattr(rebuilding._Rebuild, "_execute", rename)
    assert run(dsn)[0].swapped
    waiting.join()
    projector.leave()

    expected = Bench(dsn, "expected")
    expected.deliver(more, 100)
    with psycopg.connect(dsn) as connection:
        assert compare_schemas(connection, "read_models", "expected").rows == 0
    assert sql(dsn, "select position from cursor") == [(len(more),)]


def test_a_swap_that_finds_no_gap_is_tried_again(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, tried = rebuilding._Rebuild._rename, iter(range(10))

    def busy(self: rebuilding._Rebuild) -> None:
        if next(tried) < 2:
            raise Unavailable("a lock was not to be had")
        whole(self)

    monkeypatch.setattr(rebuilding._Rebuild, "_rename", busy)
    assert run(dsn)[0].swapped


def test_progress_is_told(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "SAY_EVERY", 0.0)
    half = len(EVENTS) // 2 + 1
    monkeypatch.setattr(rebuilding, "BATCH", half)
    _, said = run(dsn)
    assert said[0].startswith(f"{half} of {len(EVENTS)} events ({100 * half // len(EVENTS)} %), ")
    assert said[1].startswith(f"{len(EVENTS)} of {len(EVENTS)} events (100 %), ")


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
