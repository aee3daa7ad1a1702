"""An installation whose roles fail when a test says so, the story that is told on it, and what became of it.

The story is always the same and always new: an alert of the case's own fires, repeats and is joined by a second one,
the first person is paged, nobody answers, the second is paged and acknowledges, both alerts resolve. Senders and people
do what real ones do when they get no answer: they ask again.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
from aiokafka.errors import KafkaError
from psycopg.sql import SQL, Identifier

from compose.datadir import read_running
from compose.processes import MARK
from schemas.settings import PREFIX
from streams.channels.mailbox import Mail
from streams.failpoints import GO, STRUCK
from tests.faults.ends import Ends
from tests.faults.operating import OPERATOR
from tests.faults.outcomes import Outcome, outcome_of
from tests.stack import KEYS, Installation, RealWorld, until
from tests.world import alert, webhook

PARTITIONS = 6
"""Of the alerts topic: two for each of three workers, which is how Faust shares them out."""
SETTINGS = {"STATEMENT_TIMEOUT": "5", "ALERTS_PARTITIONS": str(PARTITIONS), "WATCHDOG_AFTER": "600"}
"""What an installation for a site is set to; with FAILPOINTS, its plan. Of a role that stands still only those stories
tell that say so (`Story.settings`)."""
ROLES = ("gateway", "worker", "pager", "projector")
WATCHERS = ("gateway", "pager")
SEES = re.compile('"event":"(role starts|a role stands still|a role works again)"')
"""What the log of a role that watches others says of that."""
UP = {"gateway": "gateway listens", "worker": "partitions assigned", "pager": "role starts", "projector": "role starts"}
"""What the log says once a role works."""
PATIENCE = 60.0
"""Seconds for a step of the story to be over: a worker that was killed is missed by Kafka after 6."""
ALONE_TIMEOUT, AMONG_OTHERS_TIMEOUT = 15.0, 2.0
"""Seconds that an answer is waited for: of the only gateway, and of one of several."""
NUDGE = 1.5
"""Seconds without an end after which leases of the dead are ended by hand, rather than after a minute."""
NUDGES = (
    "update tocsin.pages set lease_until = clock_timestamp() where status = 'claimed'",
    "update tocsin.due set lease_until = clock_timestamp() where lease_until is not null",
    "update tocsin.inbox set lease_until = clock_timestamp() where lease_until is not null",
    "update tocsin.inbox set forward_until = clock_timestamp() where forward_until is not null",
)


WAITING = """select (select count(*) from tocsin.inbox where folded_at is null or forwarded_at is null)
    + (select count(*) from tocsin.pages where status in ('queued', 'claimed') and at <= %s)"""
"""What is left to be done."""
SOON, LATER = timedelta(days=1), timedelta()
"""What is to be done within that is waited for: a page that is to be tried again in a second, or not even that."""
BACKUP = "_backup"


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
        self._heard = 0
        self._began: dict[tuple[str, str], datetime] = {}
        self._ends = Ends(installation.running.kafka_bootstrap, f"{installation.prefix}alerts", PARTITIONS)
        self._gateways = [httpx.Client(base_url=installation.running.gateway_url, timeout=ALONE_TIMEOUT)]
        self._operator: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """The messages are looked at case by case."""
        for gateway in self._gateways:
            gateway.close()
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

    def head(self) -> int:
        """The position of the last event."""
        return self._store.head()

    def struck(self) -> bool:
        """Whether the fault has happened."""
        return self._plan.with_suffix(STRUCK).exists()

    def pid(self, role: str) -> int | None:
        """The process of a role, or of the operator's command, as of now; None while it is down."""
        if role == OPERATOR:
            return self._operator.pid if self._operator else None
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
            with self._also_asked(file) if role == "gateway" else nullcontext():
                yield
        finally:
            process.terminate()
            assert process.wait(30) == 0

    @contextmanager
    def _also_asked(self, log: Path) -> Iterator[None]:
        """Senders and people turn to a second gateway, too, which says in its log where it listens."""
        [line] = [line for line in log.read_text().splitlines() if UP["gateway"] in line]
        port = json.loads(line)["port"]
        second = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=AMONG_OTHERS_TIMEOUT)
        self._gateways[0].timeout = AMONG_OTHERS_TIMEOUT
        self._gateways.append(second)
        try:
            yield
        finally:
            self._gateways.remove(second)
            self._gateways[0].timeout = ALONE_TIMEOUT
            second.close()

    def restart(self, role: str) -> None:
        """A role is asked to end, and has ended; its supervisor starts another."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.up(role))
            process.terminate()
            process.wait(PATIENCE)

    def up(self, role: str) -> int:
        """The process of a role, once there is one."""
        found: int = until(f"a {role}", lambda: self.pid(role), PATIENCE)
        return found

    def operate(self, *arguments: str, **environment: str) -> None:
        """An operator runs a command, and once more if it fails: by the fault, for nothing else may be the matter."""
        command = [sys.executable, "-m", "tests.faults.operating", str(self._plan), *arguments]
        data = ["--data-dir", str(self.installation.folder / "data")]
        said = self.installation.folder / "operator.log"
        for _ in range(2):
            with said.open("wb") as log:
                self._operator = subprocess.Popen(
                    [*command, *data], cwd=self.installation.root, env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )  # fmt: skip
                if self._operator.wait(PATIENCE) == 0:
                    return
        raise AssertionError(f"{arguments} fails: {said.read_text()[-2000:]}")

    # -- the story ------------------------------------------------------------------------------------------------

    def tell(self) -> str:
        """Tell the story once more; returns the case's name."""
        name = self.begin()
        self.climb(name)
        self.finish(name)
        return name

    def named(self) -> str:
        """A name that no alert had before."""
        self._cases, self._began, self._heard = self._cases + 1, {}, len(self._mailbox.messages())
        return f"Case{self._cases}"

    def begin(self) -> str:
        """Alerts fire and the first person is paged."""
        name = self.named()
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
        self.ends()
        self.rest(name)

    def fires(self, name: str, *instances: str) -> None:
        """Monitoring says that these instances of an alert fire."""
        now = self.now()
        began = [self._began.setdefault((name, one), now) for one in instances]
        self.posts(webhook([alert(name, labels(one), since) for one, since in zip(instances, began, strict=True)]))

    def ends(self) -> None:
        """Monitoring says that whatever fired in this case has ended."""
        now = self.now()
        self.posts(webhook([alert(name, labels(one), began, now) for (name, one), began in self._began.items()]))

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
        gateways = itertools.cycle(self._gateways)

        def once() -> httpx.Response | None:
            with suppress(httpx.TransportError):
                answer = next(gateways).request(method, path, headers=headers, **body)
                if answer.status_code < 500 and answer.status_code != 404:
                    assert answer.is_success, answer.text
                    return answer
            time.sleep(0.1)
            return None

        found: httpx.Response = until(f"an answer to {method} {path}", once, PATIENCE)
        return found

    def rest(self, name: str, within: timedelta = SOON) -> None:
        """Wait until all that is due `within` a time is done, by whomever."""
        self._patiently(f"{name} to settle", partial(self._settled, within))

    def at_ease(self) -> None:
        """Wait until nobody who watches has an outage in mind: who was stopped finds one that is long over, and would
        take the next for it.
        """
        for watcher in WATCHERS:
            until(f"the {watcher} to see that all works", partial(self._sees_all_work, watcher), PATIENCE)

    def _sees_all_work(self, watcher: str) -> bool | None:
        """Whether the last that was seen of the others is not that one stands still."""
        return SEES.findall(self.installation.logs(watcher))[-1] != "a role stands still" or None

    def opened(self, name: str) -> None:
        """Wait until a case has an incident in the read models."""
        query = "select count(*) from read_models.incidents where title like %(title)s"
        self._patiently(f"{name} to be opened", lambda: self.ask(query, title=f"{name} %") or None)

    def paged(self, name: str) -> None:
        """Wait until somebody hears of a case."""
        self._patiently(
            f"{name} to be heard of", lambda: any(name in m.subject for m in self._mailbox.messages()) or None
        )

    def _settled(self, within: timedelta = SOON) -> bool | None:
        with suppress(psycopg.OperationalError, KafkaError, TimeoutError):
            self._posted = self._ends.records()
            with psycopg.connect(self.installation.dsn) as connection:
                [(waiting,)] = connection.execute(WAITING, (self.now() + within,)).fetchall()
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
            self.change(*NUDGES)

    def change(self, *statements: str) -> None:
        """Help by hand, if the database answers."""
        with suppress(psycopg.OperationalError), psycopg.connect(self.installation.dsn) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def ask(self, query: str, **parameters: str) -> Any:
        """The first column of the first row."""
        with psycopg.connect(self.installation.dsn) as connection:
            row = connection.execute(query.encode(), parameters).fetchone()
        return row[0] if row else None

    def backup(self, fresh: bool = True) -> str:
        """The address of a database beside ours; a `fresh` one is empty."""
        server, _, name = self.installation.dsn.rpartition("/")
        if fresh:
            with psycopg.connect(self.installation.dsn, autocommit=True) as connection:
                connection.execute(SQL("drop database if exists {} with (force)").format(Identifier(name + BACKUP)))
                connection.execute(SQL("create database {}").format(Identifier(name + BACKUP)))
        return f"{server}/{name}{BACKUP}"

    # -- what became of it ------------------------------------------------------------------------------------------

    def mails(self, to: str) -> list[Mail]:
        """Every mail to an address, in order."""
        return [mail for mail in self._mailbox.messages() if mail.to == to]

    def notices(self) -> list[Mail]:
        """What people heard of roles since the case began."""
        return [mail for mail in self._mailbox.messages()[self._heard :] if mail.subject.startswith("[Tocsin]")]

    def outcome(self, name: str, also: tuple[Any, ...] = ()) -> Outcome:
        """What became of a case, and what `also` is to be compared."""
        return outcome_of(self.installation.dsn, self._mailbox.messages(), name, also)


def labels(instance: str) -> dict[str, str]:
    """What an alert of the story is labelled with."""
    return {"service": "payments", "instance": instance}
