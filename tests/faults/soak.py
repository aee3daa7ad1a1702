"""The soak: under load, whatever there is gets killed, at random, again and again; then everything must be right.

The load posts alerts of their own, again until they are taken. Killed with -9 are the broker, the database, and every
role; servers are started again here, roles by their supervisor. `python -m tests.faults.soak KILLS [SEED]`.
"""

import json
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx
import psutil
import psycopg

from tests.faults.site import NUDGES, SETTINGS, Site
from tests.faults.stores import Stores
from tests.stack import Installation, until
from tests.world import alert, webhook

VICTIMS = ("gateway",) * 5 + ("worker",) * 5 + ("pager",) * 6 + ("projector",) * 2 + ("database", "broker")
BETWEEN = (0.3, 2.0)
"""Seconds between kills."""
PACE = 0.1
"""Seconds between webhooks."""
RECOVERS = 180.0
"""Seconds for everything to be worked off in the end."""

CHECKS = {
    "alerts that were taken and are not known": """
        select count(*) from unnest(%(taken)s::text[]) as t(name) where not exists
        (select from read_models.incidents where title like t.name || ' %%')""",
    "alerts with more than one incident": """
        select count(*) from (select title from read_models.incidents group by title having count(*) > 1) as d""",
    "steps that were decided twice": """
        select count(*) from (select 1 from tocsin.stored_events where topic like 'escalation.step_%%'
        group by originator_id, convert_from(state, 'UTF8')::jsonb #> '{data,loop}',
        convert_from(state, 'UTF8')::jsonb #> '{data,step}' having count(*) > 1) as d""",
    "pages that were not sent": "select count(*) from tocsin.pages where status <> 'sent'",
    "holes in the log": "select max(notification_id) - count(*) from tocsin.stored_events",
}
"""What is counted in the end, and must be nothing."""


class Load(threading.Thread):
    """Posts alerts until told to stop; `taken` are those that were answered with 202."""

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self._site, self._over = site, threading.Event()
        self.taken: list[str] = []
        self.refused = 0

    def run(self) -> None:
        running = self._site.installation.running
        headers = {"Authorization": f"Bearer {running.webhook_tokens.alertmanager}"}
        with httpx.Client(base_url=running.gateway_url, headers=headers, timeout=10) as client:
            while not self._over.wait(PACE):
                name = f"Soak{len(self.taken)}"
                body = webhook([alert(name, {"service": "payments"}, self._site.now())])
                while not self._post(client, body):
                    self.refused += 1
                    time.sleep(PACE)
                self.taken.append(name)

    def _post(self, client: httpx.Client, body: object) -> bool:
        with suppress(httpx.TransportError):
            return client.post("/api/v1/webhooks/alertmanager", json=body).status_code == 202
        return False

    def finish(self) -> None:
        """Post what is in hand, and no more."""
        self._over.set()
        self.join(RECOVERS)
        assert not self.is_alive(), "the last alert was never taken"


def kill(stores: Stores, site: Site, victim: str) -> None:
    """Kill it with -9; a server is started again."""
    if victim == "database":
        stores.database.kill()
        stores.start_database()
    elif victim == "broker":
        stores.broker.kill()
        stores.start_broker()
    elif pid := site.pid(victim):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()


def worked_off(site: Site) -> None:
    """Wait until nothing is left to be done; leases of the dead are ended by hand."""

    def look() -> bool | None:
        with suppress(psycopg.OperationalError), psycopg.connect(site.installation.dsn) as connection:
            for statement in NUDGES:
                connection.execute(statement.encode())
        time.sleep(2)
        return site._settled()

    until("everything to be worked off", look, RECOVERS)


def soak(kills: int, seed: int, folder: Path) -> list[str]:
    """So many kills under load; what was found, a line each."""
    random, killed, began = Random(seed), Counter[str](), time.monotonic()
    stores = Stores(folder)
    settings = {"PAGES_PER_MINUTE": "10000", **SETTINGS}
    installation = Installation(stores.services(), stores.database.dsn, "soak-", folder, **settings)
    try:
        site = Site(installation, folder / "plan")
        load = Load(site)
        load.start()
        for number in range(kills):
            time.sleep(random.uniform(*BETWEEN))
            victim = random.choice(VICTIMS)
            kill(stores, site, victim)
            killed[victim] += 1
            print(f"kill {number + 1}: {victim}, {len(load.taken)} alerts taken", flush=True)
        load.finish()
        worked_off(site)
        found = counted(site, load.taken)
        site.close()
    finally:
        installation.close()
        stores.close()
    named = ", ".join(f"{count} of the {victim}" for victim, count in sorted(killed.items()))
    said = f"{kills} kills in {(time.monotonic() - began) / 60:.0f} minutes, seed {seed}: {named}"
    return [said, f"{len(load.taken)} alerts taken, {load.refused} attempts unanswered or refused", *found]


def counted(site: Site, taken: list[str]) -> list[str]:
    """Each check and its count."""
    with psycopg.connect(site.installation.dsn) as connection:
        rows = {name: connection.execute(query.encode(), {"taken": taken}).fetchone() for name, query in CHECKS.items()}
    mails: Counter[tuple[str, bool]] = Counter()
    for mail in site._mailbox.messages():
        mails[str(mail.headers["Message-ID"]), mail.headers["X-Possible-Repeat"] == "yes"] += 1
    unmarked = sum(count - 1 for (_, marked), count in mails.items() if not marked)
    repeats = sum(count for (_, marked), count in mails.items() if marked)
    lines = [f"{name}: {row[0] if row else '?'}" for name, row in rows.items()]
    return [*lines, f"messages said twice without a word of it: {unmarked}", f"messages marked as repeats: {repeats}"]


def main(kept: Path, kills: int, seed: int = 1) -> bool:
    """Run it and keep what was found; whether everything was right."""
    with tempfile.TemporaryDirectory(prefix="tocsin-soak-") as folder:
        found = soak(kills, seed, Path(folder))
    kept.write_text(json.dumps(found, indent=1))
    print("\n".join(found), flush=True)
    return all(line.endswith(": 0") for line in found[2:-1])


if __name__ == "__main__":
    arguments = [int(one) for one in sys.argv[1:]]
    sys.exit(0 if main(Path(tempfile.gettempdir()) / "tocsin-soak.json", *(arguments or [200])) else 1)
