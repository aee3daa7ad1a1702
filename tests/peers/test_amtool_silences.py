"""Real peer: Debian's amtool adds, finds, changes, expires, exports and imports silences in Tocsin, unchanged."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from compose.client import Access, Client
from tests.services import Services
from tests.stack import Installation, until
from tests.world import alert, webhook

pytestmark = [pytest.mark.peer("amtool", "prometheus-alertmanager"), pytest.mark.timeout(180)]

AMTOOL = os.environ.get("TOCSIN_TEST_AMTOOL") or shutil.which("amtool") or "amtool"
"""The one to try; another than Debian's can be named."""


class Amtool:
    """amtool, which speaks to an installation with one of its keys."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self._http = folder / f"{sha256(key.encode()).hexdigest()[:8]}.yml"
        self._http.write_text(json.dumps({"authorization": {"credentials": key}}))
        self._url = url

    def run(self, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
        """Run it, whatever comes of it."""
        access = [f"--alertmanager.url={self._url}", f"--http.config.file={self._http}", "--no-version-check"]
        return subprocess.run([AMTOOL, *access, *arguments], input=text, capture_output=True, text=True, timeout=40)

    def __call__(self, *arguments: str, text: str = "") -> str:
        """Run it and return what it printed; it must succeed."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def silences(self, *arguments: str) -> list[dict[str, Any]]:
        """What `silence query` finds."""
        found: list[dict[str, Any]] = json.loads(self("silence", "query", "-o", "json", *arguments))
        return found

    def ids(self, *arguments: str) -> list[str]:
        """The same, by their ids alone."""
        return sorted(silence["id"] for silence in self.silences(*arguments))


@pytest.fixture(scope="module")
def installation(
    real_services: Services, new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    made = Installation(real_services, new_database(), "amtool-", tmp_path_factory.mktemp("amtool"))
    yield made
    made.close()


@pytest.fixture
def amtool(installation: Installation, tmp_path: Path) -> Iterator[Amtool]:
    """A responder's; it leaves no active silence behind."""
    made = Amtool(tmp_path, installation.running.gateway_url, installation.running.api_keys.responder)
    yield made
    if left := made.ids():
        made("silence", "expire", *left)


def add(amtool: Amtool, *matchers: str, duration: str = "2h", comment: str = "New disks") -> str:
    """A silence by Ada; its id."""
    return amtool("silence", "add", "--author=ada", f"--comment={comment}", f"--duration={duration}", *matchers)


def test_a_silence_is_added_found_and_expired(amtool: Amtool) -> None:
    name = add(amtool, "alertname=Disk.Full", 'service=~"pay.*"', "pod!=a", "env!~dev|test")
    (silence,) = amtool.silences()
    assert (silence["id"], silence["status"], silence["createdBy"]) == (name, {"state": "active"}, "ada")
    assert [(m["name"], m["value"], m["isRegex"], m["isEqual"]) for m in silence["matchers"]] == [
        ("alertname", "Disk.Full", False, True),
        ("service", "pay.*", True, True),
        ("pod", "a", False, False),
        ("env", "dev|test", True, False),
    ]
    assert "New disks" in amtool("silence", "query") and name in amtool("silence", "query", "-o", "extended")
    assert amtool("silence", "query", "-q") == name
    assert amtool("silence", "expire", name) == ""
    assert amtool.ids() == []
    assert name in amtool.ids("--expired")
    assert name in amtool.ids("--expired", "--within=1h")


def test_queries_take_matchers_authors_and_times(amtool: Amtool) -> None:
    short, long = add(amtool, "service=payments", duration="30m"), add(amtool, "service=catalogue", "pod=~a|b")
    assert amtool.ids() == sorted([short, long])
    assert amtool.ids("service=payments") == [short]
    assert amtool.ids("service=~pay.*|cat.*") == sorted([short, long])
    assert amtool.ids("service!=payments") == amtool.ids('pod!=""') == [long]
    assert amtool.ids("alertname=Other") == []
    assert amtool.ids("--within=1h") == [short]
    assert amtool.ids("--created-by=ada") == sorted([short, long])
    assert amtool.ids("--created-by=grace") == []


def test_what_can_be_changed_keeps_its_id(amtool: Amtool) -> None:
    name = add(amtool, "service=payments")
    until_now = amtool.silences()[0]["endsAt"]
    assert name in amtool("silence", "update", "--duration=5h", "--comment=Longer", name)
    (silence,) = amtool.silences()
    assert (silence["id"], silence["comment"]) == (name, "Longer")
    assert silence["endsAt"] > until_now


def test_what_is_exported_can_be_imported(amtool: Amtool, tmp_path: Path) -> None:
    kept, gone = add(amtool, "service=payments"), add(amtool, "service=catalogue")
    exported = amtool("silence", "query", "-o", "json")
    amtool("silence", "expire", kept, gone)
    file = tmp_path / "silences.json"
    file.write_text(exported)
    amtool("silence", "import", str(file))
    services = [silence["matchers"][0]["value"] for silence in amtool.silences()]
    assert sorted(services) == ["catalogue", "payments"]
    foreign = exported.replace(kept, "00000000-0000-4000-8000-000000000000")
    amtool("silence", "import", text=foreign)
    amtool("silence", "import", "--force", text=exported)
    assert len(amtool.silences()) >= 4


def test_refusals_reach_the_person(amtool: Amtool, installation: Installation, tmp_path: Path) -> None:
    wrong = amtool.run(
        "silence", "add", "--author=ada", "--comment=c", "--end=2020-01-01T00:00:00Z", "service=payments"
    )
    assert wrong.returncode == 1
    wrong = amtool.run("silence", "add", "--author=ada", "--comment=c", "service=~.*")
    assert wrong.returncode == 1
    assert "Every matcher matches the empty string" in wrong.stderr
    missing = amtool.run("silence", "expire", "00000000-0000-4000-8000-000000000000")
    assert missing.returncode == 1 and "404" in missing.stderr
    assert amtool.run("silence", "update", "--comment=c", "00000000-0000-4000-8000-000000000000").returncode == 1
    viewer = Amtool(tmp_path, installation.running.gateway_url, installation.running.api_keys.viewer)
    assert viewer.ids() == []
    refused = viewer.run("silence", "add", "--author=ada", "--comment=c", "service=payments")
    assert refused.returncode == 1 and "403" in refused.stderr
    nobody = Amtool(tmp_path, installation.running.gateway_url, "tk_wrong")
    refused = nobody.run("silence", "query")
    assert refused.returncode == 1 and "401" in refused.stderr


def test_the_status_is_understood(amtool: Amtool) -> None:
    assert "tocsin export" in amtool("config", "show")
    assert "disabled" in amtool("cluster", "show")


def test_nobody_is_paged_of_what_amtool_silenced(amtool: Amtool, installation: Installation) -> None:
    running = installation.running
    name = add(amtool, "alertname=Quiet")
    with Client(Access(running.gateway_url, running.api_keys.viewer)) as client:
        for told in ("Quiet", "Loud"):
            body = webhook([alert(told, {"service": "payments"}, installation.clock())])
            client.fire("alertmanager", running.webhook_tokens.alertmanager, body)
        until("the loud one", lambda: client.incidents().incidents or None)
        assert [incident.title for incident in client.incidents().incidents] == ["Loud (payments)"]
        amtool("silence", "expire", name)
        until("the quiet one", lambda: len(client.incidents().incidents) == 2 or None)
