"""An installation whose roles fail when a test says so, the story that is told on it, and what became of it.

The story is always the same and always new: an alert of the case's own fires, repeats and is joined by a second one,
the first person is paged, nobody answers, the second is paged and acknowledges, both alerts resolve. Senders and people
do what real ones do when they get no answer: they ask again.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
from aiokafka.errors import KafkaError

from compose.datadir import read_running
from compose.processes import MARK
from schemas.settings import PREFIX
from streams.channels.mailbox import Mail
from streams.failpoints import GO, STRUCK
from tests.faults.ends import Ends
from tests.faults.outcomes import Outcome, outcome_of
from tests.stack import KEYS, Installation, RealWorld, until
from tests.world import alert, webhook

PARTITIONS = 6
"""Of the alerts topic: two for each of three workers, which is how Faust shares them out."""
SETTINGS = {"STATEMENT_TIMEOUT": "5", "ALERTS_PARTITIONS": str(PARTITIONS)}
"""What an installation for a site is set to; with FAILPOINTS, its plan."""
ROLES = ("gateway", "worker", "pager", "projector")
UP = {"gateway": "gateway listens", "worker": "partitions assigned", "pager": "role starts", "projector": "role starts"}
"""What the log says once a role works."""
PATIENCE = 60.0
"""Seconds for a step of the story to be over: a worker that was killed is missed by Kafka after 10."""
NUDGE = 1.5
"""Seconds without an end after which leases of the dead are ended by hand, rather than after a minute."""
NUDGES = (
    "update tocsin.pages set lease_until = clock_timestamp() where status = 'claimed'",
    "update tocsin.due set lease_until = clock_timestamp() where lease_until is not null",
    "update tocsin.inbox set lease_until = clock_timestamp() where lease_until is not null",
    "update tocsin.inbox set forward_until = clock_timestamp() where forward_until is not null",
)


WAITING = """select (select count(*) from tocsin.inbox where folded_at is null or forwarded_at is null)
    + (select count(*) from tocsin.pages where status in ('queued', 'claimed'))"""
"""What is left to be done, whenever it is due: a page that is to be tried again in a second, too."""


@dataclass(frozen=True)
class Fault:
    """The nth time that a role reaches a point, this happens to it."""

    role: str
    point: str
    action: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.role} {self.point} {self.action}" + (f" {self.nth}" if self.nth > 1 else "")


class Site(RealWorld):
    """A world of faults. `plan` is the file that arms them (`streams.failpoints`)."""

    def __init__(self, installation: Installation, plan: Path) -> None:
        super().__init__(installation)
        self._plan = plan
        self._cases = 0
        self._began: dict[str, datetime] = {}
        self._ends = Ends(installation.running.kafka_bootstrap, f"{installation.prefix}alerts", PARTITIONS)
        self._http = httpx.Client(base_url=installation.running.gateway_url, timeout=15)

    def close(self) -> None:
        """The messages are looked at case by case."""
        self._http.close()
        self._ends.close()
        for client in self._clients.values():
            client.__exit__(None, None, None)
        self._store.close()

    # -- faults --------------------------------------------------------------------------------------------------

    def arm(self, fault: Fault) -> None:
        """From now on `fault` may happen."""
        for left in (STRUCK, GO):
            self._plan.with_suffix(left).unlink(missing_ok=True)
        fresh = self._plan.with_suffix(".new")
        fresh.write_text(f"{fault.role} {fault.point} {fault.action} {fault.nth}\n")
        fresh.replace(self._plan)

    def disarm(self) -> bool:
        """No fault happens any more; whether the last one has."""
        self._plan.unlink(missing_ok=True)
        return self.struck()

    def go(self) -> None:
        """Whoever pauses at a point goes on."""
        self._plan.with_suffix(GO).touch()

    def published(self, sealed: bool) -> None:
        """Wait until the relay has copied what is in the log, and, if asked, the sealer has sealed it."""
        head = self.head()
        sealing = "(select coalesce(max(last), 0) from tocsin.seals)" if sealed else f"{head}"
        query = f"select position >= {head} and {sealing} >= {head} from tocsin.progress where role = 'relay'"

        def look() -> bool | None:
            with psycopg.connect(self.installation.dsn) as connection:
                row = connection.execute(query.encode()).fetchone()
            return (row and row[0]) or None

        until("the relay, and the sealer", look, PATIENCE)

    def linger(self, seconds: float = 12.0) -> None:
        """Wait for what is done only now and then: seals every ten seconds, copies of them a second later."""
        time.sleep(seconds)

    def head(self) -> int:
        """The position of the last event."""
        return self._store.head()

    def struck(self) -> bool:
        """Whether the fault has happened."""
        return self._plan.with_suffix(STRUCK).exists()

    def pid(self, role: str) -> int | None:
        """The process of a role, as of now; None while it is down."""
        running = read_running(self.installation.folder / "data")
        return getattr(running.pids, role) if running else None

    @contextmanager
    def spare(self, role: str) -> Iterator[None]:
        """A second process of `role`, which no fault happens to."""
        own = self.pid(role)
        assert own
        environment = {
            name: value
            for name, value in psutil.Process(own).environ().items()
            if name not in (MARK, f"{PREFIX}FAILPOINTS", f"{PREFIX}METRICS_PORT", f"{PREFIX}GATEWAY_PORT")
        }
        file = self.installation.folder / f"spare-{role}-{uuid4()}.log"
        with file.open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "compose.cli", role], cwd=self.installation.root, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            until(f"a second {role}", lambda: UP[role] in file.read_text() or None)
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0

    def thaw(self, role: str, after: Callable[[], object]) -> None:
        """Once a role stands still, wait for `after` to say something, then let it go on."""
        pid = self.pid(role)
        assert pid
        until(f"the {role} to stand still", lambda: self.struck() or None, PATIENCE)
        try:
            until("somebody else to have done it", after, PATIENCE)
        finally:
            os.kill(pid, signal.SIGCONT)

    # -- the story ------------------------------------------------------------------------------------------------

    def tell(self) -> str:
        """Tell the story once more; returns the case's name."""
        name = self.begin()
        self.climb(name)
        self.finish(name)
        return name

    def begin(self) -> str:
        """Alerts fire and the first person is paged."""
        self._cases, self._began = self._cases + 1, {}
        name = f"Case{self._cases}"
        self.fires(name, "a")
        self.rest(name)
        self.fires(name, "a", "b")
        self.rest(name)
        return name

    def climb(self, name: str) -> None:
        """Nobody answers, and the next person is paged."""
        self.installation.clock.move(timedelta(minutes=6))
        self.rest(name)

    def finish(self, name: str) -> None:
        """The second person acknowledges, and the alerts end."""
        self.does("ack", name)
        self.rest(name)
        ended = self.now()
        self.posts(webhook([alert(name, labels(one), self._began[one], ended) for one in ("a", "b")]))
        self.rest(name)

    def fires(self, name: str, *instances: str) -> None:
        """Monitoring says that these instances of an alert fire."""
        now = self.now()
        for one in instances:
            self._began.setdefault(one, now)
        self.posts(webhook([alert(name, labels(one), self._began[one]) for one in instances]))

    def posts(self, body: dict[str, Any]) -> None:
        """A sender posts the same body until it is taken, as Alertmanager does."""
        token = self.installation.running.webhook_tokens.alertmanager
        headers = {"Authorization": f"Bearer {token}"}
        self._ask("POST", "/api/v1/webhooks/alertmanager", headers, json=body)

    def does(self, verb: str, name: str) -> None:
        """A person acts on the case's incident, again under the same idempotency key until it is answered."""
        with psycopg.connect(self.installation.dsn) as connection:
            found = connection.execute("select id from read_models.incidents where title like %s", (f"{name} %",))
            [(stream,)] = found.fetchall()
        headers = {"Authorization": f"Bearer {KEYS['grace']}", "Idempotency-Key": str(uuid4())}
        incident = str(stream).removeprefix("incident-")
        self._ask("POST", f"/api/v1/incidents/{incident}/{verb}", headers)

    def _ask(self, method: str, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        def once() -> httpx.Response | None:
            with suppress(httpx.TransportError):
                answer = self._http.request(method, path, headers=headers, **body)
                if answer.status_code < 500 and answer.status_code != 404:
                    assert answer.is_success, answer.text
                    return answer
            time.sleep(0.1)
            return None

        found: httpx.Response = until(f"an answer to {method} {path}", once, PATIENCE)
        return found

    def rest(self, name: str) -> None:
        """Wait until all that is due is done, by whomever."""
        self._patiently(f"{name} to settle", self._settled)

    def _settled(self) -> bool | None:
        with suppress(psycopg.OperationalError, KafkaError, TimeoutError):
            self._posted = self._ends.records()
            with psycopg.connect(self.installation.dsn) as connection:
                [(waiting,)] = connection.execute(WAITING).fetchall()
            return super()._settled() if not waiting else None
        return None

    def _patiently(self, what: str, look: Callable[[], Any]) -> None:
        """Wait; who died with a lease in hand is not waited for."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(AssertionError):
                until(what, look, NUDGE)
                return
            self.nudge()
        raise AssertionError(f"waited {PATIENCE:.0f} s for {what}\n{self.installation.logs()[-6000:]}")

    def nudge(self) -> None:
        """End every lease."""
        if self.struck():
            with suppress(psycopg.OperationalError), psycopg.connect(self.installation.dsn) as connection:
                for statement in NUDGES:
                    connection.execute(statement.encode())

    # -- what became of it ------------------------------------------------------------------------------------------

    def mails(self, to: str) -> list[Mail]:
        """Every mail to an address, in order."""
        return [mail for mail in self._mailbox.messages() if mail.to == to]

    def outcome(self, name: str) -> Outcome:
        """What became of a case."""
        return outcome_of(self.installation.dsn, self._mailbox.messages(), name)


def labels(instance: str) -> dict[str, str]:
    """What an alert of the story is labelled with."""
    return {"service": "payments", "instance": instance}
