"""Real peers: Debian's Prometheus Alertmanager fires, repeats and resolves; kcat reads what we publish.

Nothing here is ours but Tocsin: webhooks come from Alertmanager's own code, mails are received by aiosmtpd, the
public topic is read by librdkafka.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.client import Access, Client
from streams.channels.mailbox import Mailbox
from tests.services import Services
from tests.stack import Installation, free_port, until

pytestmark = [
    pytest.mark.peer("prometheus-alertmanager", "prometheus-alertmanager"),
    pytest.mark.peer("kcat", "kcat"),
    pytest.mark.timeout(180),
]

CONFIG = """
route:
  receiver: tocsin
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 4s
receivers:
- name: tocsin
  webhook_configs:
  - url: {url}/api/v1/webhooks/alertmanager
    send_resolved: true
    http_config: {{authorization: {{credentials_file: {token}}}}}
"""


class Alertmanager:
    """A running Alertmanager that posts to an installation."""

    def __init__(self, folder: Path, installation: Installation) -> None:
        token = folder / "token"
        token.write_text(installation.running.webhook_tokens.alertmanager)
        config = folder / "alertmanager.yml"
        config.write_text(CONFIG.format(url=installation.running.gateway_url, token=token))
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = (folder / "alertmanager.log").open("w")
        self._process = subprocess.Popen(
            [
                shutil.which("prometheus-alertmanager") or "",
                f"--config.file={config}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--cluster.listen-address=",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        until("Alertmanager", self._ready)

    def _ready(self) -> bool | None:
        assert self._process.poll() is None, "Alertmanager did not start"
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).is_success or None
        except httpx.TransportError:
            return None

    def alert(self, ends_at: datetime | None = None, **labels: str) -> None:
        """As Prometheus would post it."""
        body: dict[str, Any] = {"labels": labels, "annotations": {"summary": "a real alert"}}
        if ends_at:
            body["endsAt"] = ends_at.isoformat()
        httpx.post(f"{self.url}/api/v2/alerts", json=[body], trust_env=False).raise_for_status()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()


@pytest.fixture
def installation(
    real_services: Services, new_database: Callable[[], str], topic_prefix: str, tmp_path: Path
) -> Iterator[Installation]:
    made = Installation(real_services, new_database(), topic_prefix, tmp_path)
    yield made
    made.close()


@pytest.fixture
def alertmanager(installation: Installation, tmp_path: Path) -> Iterator[Alertmanager]:
    made = Alertmanager(tmp_path, installation)
    yield made
    made.close()


def test_a_real_alertmanager_fires_repeats_and_resolves(
    installation: Installation, alertmanager: Alertmanager, real_services: Services, topic_prefix: str
) -> None:
    running = installation.running
    mailbox = Mailbox(installation.folder / "data" / "mailbox")
    labels: dict[str, Any] = {"alertname": "RealTrouble", "severity": "page", "service": "payments"}
    with Client(Access(running.gateway_url, running.api_keys.responder)) as client:
        alertmanager.alert(**labels)
        until("the incident", lambda: client.incidents().incidents or None)
        incident = client.incident("INC-1")
        assert (incident.title, incident.severity, incident.status) == (
            "RealTrouble (payments)",
            "critical",
            "triggered",
        )
        mails = until("the pages", lambda: found if len(found := mailbox.messages()) > 1 else None)
        assert sorted(mail.to for mail in mails[:2]) == ["ada@example.test", "platform@example.test"]
        assert all("a real alert" in mail.text for mail in mails)

        seen = client.incident("INC-1").last_alert_at
        until("a repeat", lambda: client.incident("INC-1").last_alert_at != seen or None)
        assert len(client.incidents().incidents) == 1

        client.act("INC-1", "ack")
        alertmanager.alert(datetime.now(UTC), **labels)
        until("the end", lambda: client.incident("INC-1").status == "resolved" or None)
        timeline = client.timeline("INC-1")
        published = until("the public topic", lambda: _published(real_services.kafka, topic_prefix, incident.id))

    ours = [entry.type for entry in timeline.entries if not entry.type.startswith("group.")]
    assert [f"tocsin.{name}" for name in ours] == [record["ce_type"] for record in published]
    sequences = [int(record["ce_sequence"]) for record in published]
    assert sequences == sorted(set(sequences))
    assert {record["ce_specversion"] for record in published} == {"1.0"}
    assert {entry.correlation_id for entry in timeline.entries if entry.origin == "webhook"}
    receipt = next(entry for entry in timeline.entries if entry.type == "incident.opened.v1").correlation_id
    logs = installation.logs()
    assert logs.count(receipt) >= 2, "the receipt is followed by gateway and worker"


def test_a_webhook_with_a_wrong_token_is_refused_and_changes_nothing(installation: Installation) -> None:
    answer = httpx.post(
        f"{installation.running.gateway_url}/api/v1/webhooks/alertmanager",
        json={"version": "4", "alerts": []},
        headers={"Authorization": "Bearer wrong"},
        trust_env=False,
    )
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "wrong" not in installation.logs()


def _published(bootstrap: str, prefix: str, incident: str) -> list[dict[str, str]] | None:
    """The records about an incident, as kcat reads them; None until the resolve is among them."""
    time.sleep(0.3)
    printed = subprocess.run(
        [
            "kcat",
            "-b",
            bootstrap,
            "-C",
            "-t",
            f"{prefix}incidents",
            "-e",
            "-q",
            "-J",
            "-X",
            "isolation.level=read_committed",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    records = [json.loads(line) for line in printed.splitlines()]
    found = [_headers(record) for record in records if record["key"] == incident]
    ended = any(record["ce_type"] == "tocsin.incident.resolved.v1" for record in found)
    return sorted(found, key=lambda record: int(record["ce_sequence"])) if ended else None


def _headers(record: dict[str, list[str]]) -> dict[str, str]:
    flat = record["headers"]
    return dict(zip(flat[::2], flat[1::2], strict=True))
