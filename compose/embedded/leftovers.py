"""What a Postgres server that was killed leaves behind, and when it may be swept away."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from compose.processes import end_processes


def clear_leftovers(database: Path, sockets: Path, patience: float = 10.0) -> None:
    """Wait for the last processes of a killed server (seconds in `patience`, then end them); drop its lock files.

    The lock files must not go while those live: `postmaster.pid` holds the shared memory key by which a new server
    notices them. Without any, they mislead: Postgres takes a stranger with the number in a lock file, or a dead process
    that nobody has reaped yet, for a running server.
    """
    deadline = time.monotonic() + patience
    while left := _servers_on(database):
        if time.monotonic() > deadline:
            end_processes(left, patience)
        time.sleep(0.05)
    (database / "postmaster.pid").unlink(missing_ok=True)
    for file in sockets.glob(".s.PGSQL.*"):  # the socket and its own lock file
        file.unlink(missing_ok=True)


def _servers_on(database: Path) -> list[psutil.Process]:
    """Processes of a Postgres server whose working directory is this database."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name().startswith("postgres") and process.cwd() == str(database):
                found.append(process)
        except (psutil.Error, OSError):  # ended meanwhile, or another user's
            continue
    return found
