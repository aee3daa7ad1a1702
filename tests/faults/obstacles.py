"""What gets in the way of a story besides its fault: a process that stands still, others who decide, too."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from streams.store.postgres import LOCK_TIMEOUT, STATEMENT_TIMEOUT
from streams.store.recorder import INSERT_LOCK, end_who_stands_still

WAITERS = "select count(*) from pg_locks where locktype = 'advisory' and objid = %s and not granted and database ="
LONGEST = 8.0
"""Seconds that somebody is waited for who should come to the lock; a role that was killed comes later, alone."""
HELD = 20.0
"""Seconds within which a save that stands still has lost the lock, by Postgres' own limits or by who waits for it."""


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def listener(address: str) -> int:
    """The process that listens on `host:port` of this machine."""
    port = int(address.rpartition(":")[2])
    listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    [pid] = {one.pid for one in listening if one.laddr and one.laddr.port == port}
    assert pid
    return pid


@contextmanager
def rivals(dsn: str, first: float = 0.0) -> Iterator[None]:
    """The next to save within finds twice that the configuration has changed, and then that it has not.

    Rivals hold the insert lock by turns: whoever saves waits behind the one that has it, and the next rival behind him.

    Parameters:
        first: seconds that the first one keeps the lock once somebody waits for it.
    """
    with ExitStack() as stack, ThreadPoolExecutor(1) as helper:
        one, two = (stack.enter_context(psycopg.connect(dsn, autocommit=True)) for _ in range(2))
        _lock(one)
        done = helper.submit(_take_turns, one, two, first)
        yield
        done.result(60)


def _take_turns(one: psycopg.Connection[Any], two: psycopg.Connection[Any], first: float) -> None:
    [(revision,)] = one.execute("select revision from tocsin.config_head").fetchall()
    try:
        one.execute("update tocsin.config_head set revision = -1")
        with ThreadPoolExecutor(1) as helper:
            for holder, other in ((one, two), (two, one)):
                if not _waits(holder, 1):
                    return
                time.sleep(first if holder is one else 0.0)
                queued = helper.submit(_lock, other)
                _waits(holder, 2)
                _unlock(holder)
                queued.result(HELD)
        _waits(one, 1)
    finally:
        one.execute("update tocsin.config_head set revision = %s", (revision,))
        for each in (one, two):
            each.execute("select pg_advisory_unlock_all()")


def _waits(connection: psycopg.Connection[Any], wanted: int) -> bool:
    """Wait until so many wait for the lock; whether they do."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        query = f"{WAITERS} (select oid from pg_database where datname = current_database())"
        [(found,)] = connection.execute(query.encode(), (INSERT_LOCK,)).fetchall()
        if found >= wanted:
            return True
        time.sleep(0.01)
    return False


def _lock(connection: psycopg.Connection[Any]) -> None:
    """As whoever saves does it: who waits in vain looks whether somebody stands still."""
    connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}s'")
    while True:
        try:
            connection.execute("select pg_advisory_lock(%s)", (INSERT_LOCK,))
        except psycopg.errors.LockNotAvailable:
            with connection.cursor(row_factory=dict_row) as cursor:
                end_who_stands_still(cursor, STATEMENT_TIMEOUT)
        else:
            return


def _unlock(connection: psycopg.Connection[Any]) -> None:
    connection.execute("select pg_advisory_unlock(%s)", (INSERT_LOCK,))
