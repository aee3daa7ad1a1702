"""What was planted in an alert, a comment, a title and an address is nowhere after it was erased, and the log verifies.

On the real stack, while it runs: every table of every schema, every topic but the one that says it keeps its records,
every file of the data directory but the mails that were delivered, every log, every question of the API.
"""

import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer
from click.testing import CliRunner

from compose.auditing import audit
from compose.erasing import erase
from schemas.topics import PUBLIC
from tests.services import Services
from tests.stack import CALM, KEYS, Installation, RealWorld
from tests.topics import all_records
from tests.world import CONFIG, alert, webhook

PLANTED = 'Jo "Doe" of Çatalca'
FORMS = ("atalca", "ATALCA")
"""What is in every spelling of it: as it is, in JSON, in an address, in a URL."""
ADDRESS = "jo.catalca@example.test"
PEOPLE = CONFIG.replace("users:\n", f"users:\n  jo: {{name: {json.dumps(PLANTED)}, email: {ADDRESS}}}\n", 1).replace(
    "  search: {members:", "  desk: {members: [{user: jo, role: primary}]}\n  search: {members:", 1
)
WITH_JO = PEOPLE.replace(
    "escalation_policies:\n",
    "  desk: {team: desk, policy: ask-jo}\nescalation_policies:\n"
    "  ask-jo: {steps: [{targets: [{user: jo}], escalate_after: 5m}]}\n",
    1,
)


class Site:
    """An installation on which something was planted."""

    def __init__(self, installation: Installation, services: Services, prefix: str) -> None:
        self.installation, self.services, self.prefix = installation, services, prefix
        self.world = RealWorld(installation, WITH_JO)
        self.receipts: list[str] = []
        running = installation.running
        headers = {"Authorization": f"Bearer {running.api_keys.admin}"}
        self.http = httpx.Client(base_url=running.gateway_url, headers=headers, timeout=10.0)

    def plant(self) -> None:
        """In an alert of an incident that pages the user, in a comment, in the title of another incident."""
        member = alert("DeskDown", {"service": "desk", "detail": PLANTED}, self.world.now())
        member["annotations"] = {"summary": f"{PLANTED} called", "description": f"from {PLANTED}"}
        member["generatorURL"] = "https://prometheus.example.test/graph?q=Catalca"
        token = self.installation.running.webhook_tokens.alertmanager
        posted = self.http.post(
            "/api/v1/webhooks/alertmanager",
            json={**webhook([member]), "commonAnnotations": {"description": PLANTED}},
            headers={"Authorization": f"Bearer {token}"},
        )
        self.receipts.append(posted.json()["receipt"])
        self.world._posted += 1
        self.world.settle()
        self.world.expect_page("jo.catalca", "INC-1")
        self.tell("/INC-1/comment", text=f"I called {PLANTED}.")
        self.tell("", title=f"{PLANTED} is locked out", service="payments")
        self.world.settle()
        self.world.expect_page("ada", "INC-2")

    def tell(self, path: str, **body: Any) -> None:
        key = {"Authorization": f"Bearer {KEYS['ada']}"}
        assert self.http.post(f"/api/v1/incidents{path}", json=body, headers=key).is_success

    def forget(self) -> None:
        """Nobody is paged any more, the user is not configured any more, and the texts are erased."""
        for incident in ("INC-1", "INC-2"):
            self.world.resolve(incident)
        for name in ("services/desk", "escalation_policies/ask-jo", "teams/desk", "users/jo"):
            assert self.http.delete(f"/api/v1/config/{name}").is_success
        self.world.settle()
        for what in (("--user", "jo"), ("--text", PLANTED), ("--text", "atalca")):
            done = self.run(erase, *what, "--reason", "request 12", "--yes")
            assert done.exit_code == 0, done.output
            assert "still on their way" not in done.output
            assert "hold the text" not in done.output
        self.world.settle()

    def run(self, command: Any, *arguments: str) -> Any:
        given = {
            "TOCSIN_POSTGRES_DSN": self.installation.dsn,
            "TOCSIN_KAFKA_BOOTSTRAP": self.services.kafka,
            "TOCSIN_TOPIC_PREFIX": self.prefix,
            "TOCSIN_DATA_DIR": str(self.installation.folder / "data"),
            "TOCSIN_CLOCK_FILE": str(self.installation.folder / "clock"),
        }
        return CliRunner().invoke(command, arguments, env=given)

    # -- where it might be -----------------------------------------------------------------------------------------

    def tables(self) -> Iterator[tuple[str, str]]:
        """Every table of every schema, and what is in it."""
        query = """select schemaname, tablename from pg_tables
            where schemaname not in ('pg_catalog', 'information_schema') order by 1, 2"""
        with psycopg.connect(self.installation.dsn) as connection:
            for schema, table in connection.execute(query).fetchall():
                with connection.cursor() as cursor, cursor.copy(f'copy "{schema}"."{table}" to stdout binary') as copy:
                    yield f"table {schema}.{table}", text(b"".join(bytes(part) for part in copy))

    def files(self) -> Iterator[tuple[str, str]]:
        """Every file that Tocsin has written, but the mails, which are with those they were for."""
        folder = self.installation.folder
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder)
            if "mailbox" not in name.parts:
                yield f"file {name}", text(file.read_bytes())

    def answers(self) -> Iterator[tuple[str, str]]:
        """Every question of the API that can be asked about what there is."""
        known = {
            "ref": ("INC-1", "INC-2"),
            "receipt": tuple(self.receipts),
            "alert": tuple(one["id"] for one in self.http.get("/api/v1/alerts").json()["alerts"]),
            "kind": (
                *("users", "teams", "services", "escalation_policies", "integrations", "api_keys", "route"),
                *("inhibition_rules", "correlation_rules", "time_intervals", "maintenance_windows", "heartbeats"),
            ),
            "heartbeat": ("nightly",),
            "silence_id": ("5b2f0c9e-0000-5000-8000-000000000008",),
            "name": ("ada", "platform", "payments", "two-steps", "alertmanager", "default"),
        }
        document = self.http.get("/openapi.json").json()
        for path in (path for path, methods in document["paths"].items() if "get" in methods):
            names = [name for name in known if f"{{{name}}}" in path]
            for values in product(*(known[name] for name in names)):
                asked = path.format(**dict(zip(names, values, strict=True)))
                yield f"GET {asked}", text(self.http.get(asked).content)
        for title in ("atalca", "is locked out"):
            found = self.http.get("/api/v1/incidents", params={"title": title}).json()["incidents"]
            yield f"GET /api/v1/incidents?title={title}", json.dumps(found)

    async def topics(self) -> dict[str, str]:
        """Every record of every topic but `alerts`."""
        async with AIOKafkaConsumer(bootstrap_servers=self.services.kafka) as reading:
            names = {name for name in await reading.topics() if name.startswith(self.prefix)}
        assert {f"{self.prefix}{name}" for name in (*PUBLIC.values(), "alerts")} <= names
        names -= {f"{self.prefix}alerts"}
        found = dict.fromkeys((f"topic {name}" for name in names), "")
        for one in await all_records(names, "read_uncommitted", bootstrap_servers=self.services.kafka):
            pieces = (one.key, one.value, *(value for _, value in one.headers))
            found[f"topic {one.topic}"] += "".join(text(piece or b"") for piece in pieces)
        return found

    async def holding(self) -> dict[str, str]:
        """Where a form of what was planted is, with what stands around it."""
        places = [*self.tables(), *self.files(), *self.answers(), *(await self.topics()).items()]
        return {name: around(said) for name, said in places if any(form in said for form in FORMS)}


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def around(said: str) -> str:
    at = min(found for form in FORMS if (found := said.find(form)) >= 0)
    return said[max(0, at - 80) : at + 80]


@pytest.fixture
def site(real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path) -> Iterator[Site]:
    installation = Installation(real_services, new_database(), topic_prefix, tmp_path, **CALM)
    try:
        made = Site(installation, real_services, topic_prefix)
        yield made
        made.http.close()
        made.world.close()
    finally:
        installation.close()


async def test_what_was_planted_is_nowhere_after_it_was_erased_and_the_log_verifies(site: Site) -> None:
    site.plant()
    before = await site.holding()
    for name in (
        "table tocsin.payloads",
        "GET /api/v1/incidents/INC-1/timeline",
        "GET /api/v1/alerts",
        "GET /api/v1/config",
    ):
        assert name in before, sorted(before)
    assert not [name for name in before if name.startswith(("topic ", "file data/logs", "file up.log"))], before
    site.forget()
    assert await site.holding() == {}
    assert {"worker", "pager", "gateway", "projector"} <= {
        Path(name).stem for name, _ in site.files() if "logs" in name
    }
    logs = site.installation.logs()
    assert "incident opened" in logs and "command" in logs
    verdict = json.loads(site.run(audit, "verify", "--json").stdout)
    assert verdict["findings"] == []
    assert verdict["intact"]
    assert sum(verdict["erased"].values()) >= 4
