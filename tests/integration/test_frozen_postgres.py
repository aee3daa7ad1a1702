"""A Postgres that is frozen: its kernel takes everything, it answers nothing, and nobody waits for it for ever."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psutil
import psycopg
import pytest

from compose.embedded.postgres import EmbeddedPostgres, RunningPostgres
from domain import ids, incidents
from domain.book import Book, Due
from domain.decision import Actor, Cause
from domain.severity import Severity
from projections import runner
from projections.database import READ_SCHEMA
from projections.lag import Lags
from streams.store import leadership, limits
from streams.store.base import Save, Store, Unavailable
from streams.store.migrate import migrate
from streams.store.outages import Outages
from streams.store.postgres import SCHEMA, PostgresStore
from streams.store.progress import Progress
from streams.store.recorder import INSERT_LOCK
from streams.store.statements import Statements
from tests.stack import until

AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
CAUSE = Cause(Actor("user", "ada"), "api", "command/1", "c-1", "c-1")
STATEMENT_TIMEOUT = 1.0
LIMIT = STATEMENT_TIMEOUT + limits.MARGIN
SLACK = 4.0
"""Seconds that a busy machine may be late; less than what nobody limits would take."""


class Server:
    """A Postgres of this module's own that can be frozen."""

    def __init__(self, running: RunningPostgres) -> None:
        self._process = psutil.Process(running.process.pid)
        self.dsn = running.dsn

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def _signal(self, number: signal.Signals) -> None:
        for process in (self._process, *self._process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # its client has just left
                process.send_signal(number)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("frozen"))
    running = embedded.start()
    try:
        running.wait_ready()
        migrate(running.dsn, "streams.store", SCHEMA)
        migrate(running.dsn, "projections", READ_SCHEMA)
        yield Server(running)
    finally:
        assert running.stop()
        embedded.remove()


@pytest.fixture
def server(postgres: Server) -> Iterator[Server]:
    """Running again afterwards, whatever happened."""
    yield postgres
    postgres.thaw()


@pytest.fixture
def store(server: Server) -> Iterator[PostgresStore]:
    opened = PostgresStore(server.dsn, statement_timeout=STATEMENT_TIMEOUT)
    yield opened
    opened.close()


def unavailable_within(seconds: float, call: Callable[[], object]) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        call()
    assert time.monotonic() - began < seconds + SLACK


def all_unavailable_within(seconds: float, *calls: Callable[[], object]) -> None:
    """All at once, each on a thread of its own."""
    with ThreadPoolExecutor(len(calls)) as threads:
        list(threads.map(partial(unavailable_within, seconds), calls))


def opening(store: Store, incident: str) -> Save:
    """An incident and a deadline, which are saved together or not at all."""
    book = Book("default", store.config(), store.load([incident]))
    book.begin(CAUSE, AT)
    book.write(incident, incidents.Opened(1, "Down", Severity.HIGH, "payments", "platform", "default", AT, AT))
    book.put_due(Due("escalate", incident, AT))
    return Save(book)


@pytest.mark.parametrize(
    ("statement_timeout", "fresh", "limit"),
    [(10.0, 0.0, limits.CONNECT_TIMEOUT), (STATEMENT_TIMEOUT, 60.0, LIMIT + limits.CONNECT_TIMEOUT)],
    ids=["on connections that were idle", "on connections that were just used"],
)
def test_every_call_ends_and_the_next_one_works_when_it_runs_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, statement_timeout: float, fresh: float, limit: float
) -> None:
    monkeypatch.setattr(limits, "FRESH", fresh)
    store = PostgresStore(server.dsn, statement_timeout=statement_timeout)
    incident = ids.incident_stream("default", f"group-{fresh}", 1)
    save = opening(store, incident)
    calls: tuple[Callable[[], object], ...] = (
        lambda: store.load(["incident-unknown"]),
        lambda: store.save(save),
        lambda: store.claim_due(AT, 60, 10, "escalate"),
        store.config,
        lambda: store.exclusive().__enter__(),
    )
    with server.frozen():
        all_unavailable_within(limit, *calls)
    before = store.head()
    assert store.save(save) > before
    assert store.load([incident])[incident].version == 1
    store.close()


def test_a_statement_that_has_begun_is_given_up_too(server: Server) -> None:
    connection = limits.connect(server.dsn, STATEMENT_TIMEOUT)
    with server.frozen():
        began = time.monotonic()
        with pytest.raises(limits.NoAnswer):
            connection.execute("select 1")
        assert LIMIT <= time.monotonic() - began < LIMIT + SLACK
    assert connection.closed


def test_the_limit_is_postgres_own_while_it_keeps_it(server: Server, store: PostgresStore) -> None:
    with limits.connect(server.dsn, STATEMENT_TIMEOUT) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(5)")
        assert connection.execute("select 1").fetchone() == (1,)
    with store._recorder.transaction() as cursor:
        row = cursor.execute("show idle_in_transaction_session_timeout").fetchone()
    assert row == {"idle_in_transaction_session_timeout": "1s"}


@pytest.mark.parametrize("last", ["before the commit", "at the commit"])
def test_a_save_that_was_cut_is_there_as_a_whole_or_not_at_all(
    server: Server, store: PostgresStore, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    incident = ids.incident_stream("default", f"group-{last}", 1)
    save = opening(store, incident)
    transaction = store._recorder.transaction

    @contextmanager
    def freezing() -> Iterator[psycopg.Cursor[psycopg.rows.DictRow]]:
        with transaction() as cursor:
            yield cursor
            server.freeze()
            if last == "before the commit":
                cursor.execute("select 1")

    with monkeypatch.context() as patched:
        patched.setattr(store._recorder, "transaction", freezing)
        unavailable_within(LIMIT, lambda: store.save(save))
    server.thaw()
    with store.exclusive():  # what was cut has come to its end
        events = store.load([incident])[incident].version
    deadlines = [due.key for due in store.claim_due(AT, 60, 10, "escalate") if due.key == incident]
    assert events == len(deadlines)
    assert events == 0 or last == "at the commit"


def test_others_do_not_wait_for_somebody_who_has_the_store_to_himself_and_stands_still(server: Server) -> None:
    still = PostgresStore(server.dsn, statement_timeout=STATEMENT_TIMEOUT)
    other = PostgresStore(server.dsn)
    mine, theirs = (ids.incident_stream("default", f"group-still-{number}", 1) for number in (1, 2))
    try:
        with pytest.raises(Unavailable), still.exclusive():
            save = opening(still, mine)
            began = time.monotonic()
            other.save(opening(other, theirs))  # on this thread: nothing moves in the other store meanwhile
            assert STATEMENT_TIMEOUT - SLACK <= time.monotonic() - began < STATEMENT_TIMEOUT + SLACK
            still.save(save)
        assert [other.load([one])[one].version for one in (mine, theirs)] == [0, 1]
        still.save(opening(still, mine))
    finally:
        still.close()
        other.close()


REFUSED = 3
"""What the process that saves exits with."""
WAITERS = "select 1 from pg_locks where locktype = 'advisory' and not granted"


@pytest.mark.parametrize("frozen_after", ["it waited for the lock", "it sent the lock alone"])
def test_others_do_not_wait_for_a_process_that_got_the_lock_while_it_was_stopped(
    server: Server, frozen_after: str
) -> None:
    """Nor for one that has sent a part of what it saves: Postgres has no limit for the rest, and none that it keeps for
    a client that was stopped while it waited."""
    incident = ids.incident_stream("default", f"group-{frozen_after}", 1)
    saving = multiprocessing.get_context("spawn").Process
    saver = saving(target=save_in_a_process, args=(server.dsn, incident, frozen_after))
    other = PostgresStore(server.dsn, statement_timeout=STATEMENT_TIMEOUT, lock_timeout=0.5)
    with closing(other), psycopg.connect(server.dsn, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(%s)", (INSERT_LOCK,))
        saver.start()
        try:
            until("a process that waits for the lock", lambda: holder.execute(WAITERS).fetchone())
            os.kill(saver.pid or 0, signal.SIGSTOP)
            holder.close()
            mine = opening(other, ids.incident_stream("default", f"group-{frozen_after}", 2))
            began = time.monotonic()
            until("the lock", lambda: _saved(other, mine) or None)
            assert time.monotonic() - began < STATEMENT_TIMEOUT + SLACK
            os.kill(saver.pid or 0, signal.SIGCONT)
            saver.join(10)
            assert saver.exitcode == REFUSED
            assert other.load([incident])[incident].version == 0
        finally:
            saver.kill()
            saver.join()


def save_in_a_process(dsn: str, incident: str, frozen_after: str) -> None:
    """Save an incident; exit with `REFUSED` if that was not to be. `frozen_after` is how much is sent at once."""
    store = PostgresStore(dsn, statement_timeout=STATEMENT_TIMEOUT, lock_timeout=10)
    save = opening(store, incident)
    if frozen_after == "it sent the lock alone":
        execute = Statements.execute

        def slow(sends: Statements, *args: Any) -> Any:
            sent = execute(sends, *args)
            time.sleep(0.5)
            return sent

        Statements.execute = slow  # type: ignore[method-assign, assignment]  # for this process
    try:
        store.save(save)
    except Unavailable:
        sys.exit(REFUSED)


def _saved(store: Store, save: Save) -> bool:
    with suppress(Unavailable):
        store.save(save)
        return True
    return False


def test_a_seat_is_lost_and_taken_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "TIMEOUT", STATEMENT_TIMEOUT)
    seat = leadership.Leadership(server.dsn, leadership.Seat.RELAY)
    assert seat.hold()
    with server.frozen():
        unavailable_within(LIMIT, seat.hold)
    until("the connection that was given up to let go of it", lambda: seat.hold() or None)
    seat.release()


def test_those_who_have_a_connection_of_their_own_give_up_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "STATEMENT_TIMEOUT", STATEMENT_TIMEOUT)
    progress, outages = Progress(server.dsn, "relay"), Outages(server.dsn)
    lags, projector = Lags(server.dsn, "default", "alerts"), runner.Session.open(server.dsn, READ_SCHEMA)
    assert projector
    progress.tell(1)
    assert lags.look(AT).reached["relay"] == 1
    with server.frozen():
        progress._next = 0.0
        all_unavailable_within(
            5 + limits.MARGIN,
            lambda: progress.tell(2),
            lambda: outages.begin(["relay"], AT),
            lambda: lags.look(AT),
            projector.position,
        )
    progress.tell(2)
    assert lags.look(AT).reached["relay"] == 2
    assert outages.begin(["relay"], AT) == {"relay"}
    progress.close()
    lags.close()


def test_waiting_for_news_ends_on_time(server: Server, store: PostgresStore) -> None:
    assert store.wait(0.01) is False
    with server.frozen():
        began = time.monotonic()
        assert store.wait(0.2) is False
        assert time.monotonic() - began < 0.2 + SLACK
    with server.frozen():
        store._listener = None
        began = time.monotonic()
        assert store.wait(0.2) is False
        assert time.monotonic() - began < limits.CONNECT_TIMEOUT + 0.2 + SLACK
    assert store.wait(0.01) is False
