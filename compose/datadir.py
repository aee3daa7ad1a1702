"""The data directory: one owner at a time, secrets made once, and `run.json`, which tells programs what is running.

Layout: `lock`, `secrets.json`, `run.json` (while something runs), `logs/`, `ports/`, `kafka/`, `postgres/`, `mailbox/`.
Everything private is 0600; the directory itself lets Postgres' account pass when root started us, nothing more.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from compose.embedded.account import forget
from compose.ports import stable_port
from compose.processes import StartError

FIRST_START = 150_000_000
"""Bytes that new Kafka and Postgres servers and their first incidents take; 48 MB of it at once."""


@dataclass(frozen=True)
class ApiKeys:
    """One example API key per role; each starts with `tk_`."""

    viewer: str = field(repr=False)
    responder: str = field(repr=False)
    admin: str = field(repr=False)


@dataclass(frozen=True)
class WebhookTokens:
    """One example token per integration; each starts with `wh_`."""

    alertmanager: str = field(repr=False)
    elastic: str = field(repr=False)
    generic: str = field(repr=False)


@dataclass(frozen=True)
class Secrets:
    """What is generated once per data directory; 32 random bytes each."""

    api_keys: ApiKeys
    webhook_tokens: WebhookTokens
    postgres_password: str = field(repr=False)


@dataclass(frozen=True)
class Pids:
    """Process ids; None for what is not ours (an existing Kafka or Postgres) or not up at this instant."""

    gateway: int | None = None
    worker: int | None = None
    pager: int | None = None
    projector: int | None = None
    kafka: int | None = None
    postgres: int | None = None


@dataclass(frozen=True)
class Running:
    """The running state, as in `run.json`.

    mailbox: URL of the local mailbox, empty when mail goes to a real server.
    started_at: ISO 8601, UTC.
    metrics: URL of each role's metrics.
    """

    gateway_url: str
    kafka_bootstrap: str
    postgres_dsn: str = field(repr=False)
    mailbox: str
    api_keys: ApiKeys
    webhook_tokens: WebhookTokens
    pids: Pids
    started_at: str
    data_dir: str
    topic_prefix: str
    metrics: Mapping[str, str] = field(default_factory=dict)


class DataDir:
    """Exclusive use of one data directory, for as long as this value is entered (`with`).

    Entering raises StartError when another process has it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None

    def __enter__(self) -> DataDir:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(
                f"The data directory {self.path} cannot be used ({error.strerror}): "
                "set TOCSIN_DATA_DIR to one that is yours."
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            self._lock = None
            raise StartError(self._who_has_it()) from error
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def check_room(self) -> None:
        """Raises StartError when a first start would fill the disk: servers that are half made explain it badly.

        Later starts are tried whatever is free, because people may still be paged on what is left.
        """
        free = shutil.disk_usage(self.path).free
        if free < FIRST_START and not (self.path / "ports").exists():
            raise StartError(
                f"Only {free // 1_000_000} MB are free for {self.path}, and a first start takes "
                f"{FIRST_START // 1_000_000} MB: make room, or set TOCSIN_DATA_DIR to a directory on another disk."
            )

    def port(self, name: str, wanted: int | None = None) -> int:
        """A loopback port for `name`, the same each time in this directory. Raises StartError if `wanted` is taken."""
        ports = self.path / "ports"
        ports.mkdir(exist_ok=True)
        return stable_port(ports / name, wanted)

    def secrets(self) -> Secrets:
        """The secrets of this directory; generated and written (0600) the first time.

        Raises StartError when the file cannot be understood.
        """
        file = self.path / "secrets.json"
        if not file.exists():
            write_private(file, dataclasses.asdict(_new_secrets()))
        try:
            raw = json.loads(file.read_text())
            return Secrets(
                ApiKeys(**raw["api_keys"]), WebhookTokens(**raw["webhook_tokens"]), str(raw["postgres_password"])
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StartError(
                f"{file} is damaged ({error!r}): restore it, or start empty with `make clean-data`."
            ) from error

    def write_running(self, running: Running) -> None:
        write_private(self.path / "run.json", dataclasses.asdict(running))

    def clear_running(self) -> None:
        (self.path / "run.json").unlink(missing_ok=True)

    def _who_has_it(self) -> str:
        pid = (self.path / "lock").read_text().strip() or "unknown"
        running = read_running(self.path)
        where = running.gateway_url if running else "still starting"
        return (
            f"Tocsin already runs on {self.path} (pid {pid}, {where}): "
            "stop it with Ctrl-C there, or set TOCSIN_DATA_DIR to another directory."
        )


def read_running(path: Path) -> Running | None:
    """What `run.json` in this data directory says, or None when nothing has been started (or all was stopped).

    It may be out of date after a kill -9: ask the gateway. Raises StartError when it cannot be understood.
    """
    file = path / "run.json"
    try:
        raw = json.loads(file.read_text())
        nested = {
            "api_keys": ApiKeys(**raw["api_keys"]),
            "webhook_tokens": WebhookTokens(**raw["webhook_tokens"]),
            "pids": Pids(**raw["pids"]),
        }
        return Running(**{**raw, **nested})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StartError(f"{file} is damaged ({error!r}): remove it and start again.") from error


def write_private(file: Path, content: object) -> None:
    """Write JSON readable by us alone (0600), atomically and durably: readers see the old file or the new one."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}-", delete=False) as new:
        json.dump(content, new, indent=2)
        new.write("\n")
        new.flush()
        os.fsync(new.fileno())
    Path(new.name).replace(file)


def remove(path: Path) -> None:
    """Delete a data directory that nobody uses, and what it links to elsewhere (see `embedded/account.py`).

    Raises StartError when it is in use or not a data directory of ours.
    """
    if not path.exists():
        return
    if not (path / "lock").exists() and any(path.iterdir()):
        raise StartError(f"{path} does not look like a data directory of Tocsin: nothing was removed.")
    with DataDir(path) as data:
        forget(data.path / "postgres")
        shutil.rmtree(data.path)


def _new_secrets() -> Secrets:
    key, token = (
        ("tk_" + secrets.token_urlsafe(32) for _ in range(3)),
        ("wh_" + secrets.token_urlsafe(32) for _ in range(3)),
    )
    return Secrets(ApiKeys(*key), WebhookTokens(*token), secrets.token_urlsafe(32))


if __name__ == "__main__":
    try:
        remove(Path(sys.argv[1]))
    except StartError as failure:
        sys.exit(str(failure))
