"""The world on the real thing: four processes started by `tocsin up`, spoken to over HTTP, read over SMTP.

Time is moved by the clock file. "Nothing more will happen" is known, not guessed: every record is folded, no
deadline has come, no page is on its way.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from compose.client import Access, Client, Refusal
from compose.datadir import Running, read_running
from domain import ids
from domain.config import hashed
from domain.ids import stream_kind
from schemas.settings import PREFIX
from streams.channels.mailbox import Mail, Mailbox
from streams.clock import FileClock
from streams.store.postgres import PostgresStore
from tests.services import Services
from tests.world import CONFIG, Said, Seen, World, alert, webhook

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60.0
"""Seconds for anything to happen; a story that is right waits for a fraction of one."""
CALM = {"PRODUCE_TIMEOUT": "10", "WATCHDOG_AFTER": "600"}
"""For an installation whose records are counted, or whose inbox is to stay empty: what Kafka takes late is in the inbox
and twice on the topic, which is right and happens on a busy machine. So does a role that stands still for half a
minute, of which people then get mails that no story expects."""
STEP = timedelta(minutes=5)
KEYS = {user: f"tk_{user}-key-of-the-stories" for user in ("ada", "grace", "edsger")}


class Installation:
    """A `tocsin up` of its own, on given services, with a database and topics of its own."""

    root = ROOT
    """The tree that it runs; a test of a mistake has another."""

    def __init__(self, services: Services, dsn: str, prefix: str, folder: Path, **settings: str) -> None:
        self.prefix = prefix
        self.folder, self.dsn, self.clock = folder, dsn, FileClock(folder / "clock")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        given = {
            "DATA_DIR": str(folder / "data"),
            "KAFKA_BOOTSTRAP": services.kafka,
            "POSTGRES_DSN": dsn,
            "TOPIC_PREFIX": prefix,
            "ALERTS_PARTITIONS": "4",
            "CLOCK_FILE": str(folder / "clock"),
            "LOG_FORMAT": "json",
            **settings,
        }
        self.log = (folder / "up.log").open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "compose.cli", "up"],
            cwd=self.root,
            env={**inherited, **{PREFIX + name: value for name, value in given.items()}},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.running: Running = until("tocsin up", self._ready, 90.0)

    def _ready(self) -> Running | None:
        if self.process.poll() is not None:
            raise AssertionError(f"tocsin up ended: {(self.folder / 'up.log').read_text()}")
        return read_running(self.folder / "data")

    def logs(self, role: str = "*") -> str:
        """What a role has written, or every one."""
        return "\n".join(file.read_text() for file in sorted((self.folder / "data" / "logs").glob(f"{role}.log")))

    def close(self) -> None:
        """Stop it as Ctrl-C would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self.log.close()
        assert code == 0, f"tocsin up ended with {code}: {(self.folder / 'up.log').read_text()}"


EXAMPLE = """
version: 1
escalation_policies:
  critical: {steps: [{targets: [{team: platform, role: primary}], escalate_after: 5m}]}
"""
"""What an installation has of the example and the world cannot leave so: the world's teams have no channels."""


class RealWorld(World):
    """Stories on an installation."""

    def __init__(self, installation: Installation, config: str = CONFIG) -> None:
        super().__init__()
        self.installation = installation
        running = installation.running
        self._clients = {
            name: Client(Access(running.gateway_url, key))
            for name, key in {**KEYS, "viewer": running.api_keys.viewer, "admin": running.api_keys.admin}.items()
        }
        self._mailbox = Mailbox(installation.folder / "data" / "mailbox")
        self._store = PostgresStore(installation.dsn)
        self._posted = 0
        self._taken: set[str] = set()
        documents = {"world.yaml": with_keys(config, running), "example.yaml": EXAMPLE}
        self._clients["admin"].apply(documents, dry_run=False)
        until("the gateway to know whose the keys are", self._known)

    def _known(self) -> bool | None:
        """Whether people are let in: a gateway that is slow to read a new configuration goes on with the last one."""
        try:
            self._clients["ada"].incidents(limit=1)
        except Refusal:
            return None
        return True

    def close(self) -> None:
        try:
            super().close()
        finally:
            for client in self._clients.values():
                client.__exit__(None, None, None)
            self._store.close()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.installation.clock.offset()

    def post(self, body: dict[str, Any]) -> None:
        self._post(body)
        self.settle()

    def send(self, name: str, **labels: str) -> None:
        """Monitoring says that alert `name` fires, and nobody waits for what becomes of it."""
        self._post(webhook([alert(name, labels, self.now())]))

    def _post(self, body: dict[str, Any]) -> None:
        token = self.installation.running.webhook_tokens.alertmanager
        self._clients["viewer"].fire("alertmanager", token, body)
        self._posted += 1

    def settle(self) -> None:
        """Wait until everything that is due has been done."""
        until(lambda: f"everything to settle: {self._unsettled()}", self._settled)

    def _settled(self) -> bool | None:
        return None if self._unsettled() else True

    def _unsettled(self) -> dict[str, int]:
        """What is still to be done, by kind."""
        query = """select (select coalesce(sum("offset" + 1), 0) from tocsin.tracking),
            (select count(*) from tocsin.due where at <= %(now)s or held is not null),
            (select count(*) from tocsin.pages where status in ('queued', 'claimed') and at <= %(now)s),
            (select max(notification_id) from tocsin.stored_events), (select position from read_models.cursor)"""
        with psycopg.connect(self.installation.dsn) as connection:
            row = connection.execute(query, {"now": self.now()}).fetchone()
        assert row is not None
        folded, due, pages, head, position = row
        left = {
            "alerts": max(self._posted - folded, 0),
            "due": due,
            "pages": pages,
            "projecting": (head or 0) - (position or 0),
        }
        return {kind: count for kind, count in left.items() if count}

    def advance(self, **delta: float) -> None:
        """In steps: what is due earlier is done earlier, whichever process does it."""
        left = timedelta(**delta)
        while left > timedelta():
            step = min(left, STEP, self._until_next())
            self.installation.clock.move(step)
            left -= step
            time.sleep(0.05)
            self.settle()

    def _until_next(self) -> timedelta:
        """How long until something is due; never less than a second."""
        now = self.now()
        with psycopg.connect(self.installation.dsn) as connection:
            row = connection.execute("select min(at) from tocsin.due where at > %s", [now]).fetchone()
        at = row[0] if row else None
        return max(at - now, timedelta(seconds=1)) if at else STEP

    def command(self, verb: str, incident: str, by: str = "ada") -> str:
        answer = self._clients[by].act(incident, verb)
        self.settle()
        return answer.status

    def merge(self, loser: str, winner: str, by: str = "ada") -> None:
        answer = self._clients[by].act(loser, "merge", {"into": winner})
        assert (answer.status, answer.other) == ("merged", winner)
        self.settle()

    def command_alert(self, verb: str, name: str, by: str = "ada", **labels: str) -> bool:
        alert_id = ids.alert_id("default", "alertmanager", alert(name, labels, self.now())["fingerprint"])
        answer = self._clients[by].act_on_alert(alert_id, verb)
        self.settle()
        return answer.changed

    def silence(self, minutes: float, after: float = 0, **labels: str) -> str:
        begins = self.now() + timedelta(minutes=after)
        wanted = {
            "matchers": [{"name": name, "value": labels[name], "isRegex": False} for name in sorted(labels)],
            "startsAt": begins.isoformat(),
            "endsAt": (begins + timedelta(minutes=minutes)).isoformat(),
            "createdBy": "ada",
            "comment": "being repaired",
        }
        made = self._clients["ada"].set_silence(wanted)
        self.settle()
        return made.silence_id

    def end_silence(self, name: str) -> None:
        self._clients["ada"].end_silence(name)
        self.settle()

    def next_message(self, user: str) -> Said | None:
        for key, said in self._said():
            if key not in self._taken and said.user == user:
                self._taken.add(key)
                return said
        return None

    def leftover(self) -> list[Said]:
        return [said for key, said in self._said() if key not in self._taken]

    def _said(self) -> list[tuple[str, Said]]:
        mails = self._mailbox.messages()
        about = {incident for mail in mails for incident in _about(mail)}
        names: dict[str, str] = until("the API to list what the mails are about", lambda: self._named(about))
        return [(mail.headers["Message-ID"], _said(mail, names)) for mail in mails]

    def _named(self, about: set[str]) -> dict[str, str] | None:
        """Names by id, once all of `about` are listed: a mail may be there before the read models have caught up."""
        names = {view.id: view.name for view in self._clients["viewer"].incidents(limit=200).incidents}
        return names if about <= names.keys() else None

    def incidents(self) -> list[Seen]:
        found = self._clients["viewer"].incidents(limit=200).incidents
        seen = [Seen(i.name, i.title, i.status, i.severity, i.service, i.team) for i in found]
        return sorted(seen, key=lambda one: int(one.name.removeprefix("INC-")))

    def event_types(self, incident: str) -> list[str]:
        entries = self._clients["viewer"].timeline(incident).entries
        return [entry.type for entry in entries if stream_kind(entry.type.replace(".", "-")) != "group"]


def _said(mail: Mail, names: dict[str, str]) -> Said:
    incidents = tuple(names[incident] for incident in _about(mail))
    return Said(mail.to.partition("@")[0], "email", incidents, mail.subject, mail.text)


def _about(mail: Mail) -> list[str]:
    """The ids of the incidents that a mail is about."""
    return [incident.strip() for incident in mail.headers["X-Incident-Id"].split(",")]


def with_keys(config: str, running: Running) -> str:
    """The world's configuration, with this installation's webhook token and a key for each person."""
    token = f"sha256:{hashed(running.webhook_tokens.alertmanager)}"
    keys = "\n".join(
        f"  {user}: {{role: responder, hash: 'sha256:{hashed(key)}', user: {user}}}" for user, key in KEYS.items()
    )
    plain = "alertmanager: {source: alertmanager,"
    assert plain in config
    return config.replace(plain, f"{plain} token_hashes: ['{token}'],") + (f"api_keys:\n{keys}\n")


def until(what: str | Callable[[], str], look: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """The first answer of `look` that is not None. Fails after `patience` seconds, with what it was waiting for."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.03)
    raise AssertionError(f"waited {patience:.0f} s for {what if isinstance(what, str) else what()}")


def free_port() -> int:
    """A loopback port that nobody has now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
