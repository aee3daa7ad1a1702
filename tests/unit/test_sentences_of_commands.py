"""What a command says when what it needs is not there: one sentence with a remedy, never a traceback."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from compose import demo, firing
from compose.cli import main
from compose.progress import Progress
from streams.channels.maildir import Mailbox, MailStore

EXAMPLE = Path(__file__).parents[2] / "compose" / "example"
AT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
NOWHERE = {
    "TOCSIN_POSTGRES_DSN": "postgresql://tocsin:secret@127.0.0.1:9/tocsin",
    "TOCSIN_KAFKA_BOOTSTRAP": "127.0.0.1:9",
}
NO_DATABASE = r"Postgres does not answer .*: is it running, and is its address right \(TOCSIN_POSTGRES_DSN\)\?$"


@pytest.mark.parametrize("command", ["rebuild", "restored", "audit verify", "erase --text x --reason 1 --yes"])
def test_a_database_that_does_not_answer(command: str) -> None:
    said = CliRunner().invoke(main, command.split(), env=NOWHERE)
    assert said.exit_code == 1
    assert said.stderr.splitlines()[-1].startswith("Error: ")
    assert re.search(NO_DATABASE, said.stderr.strip())
    assert "secret" not in said.stderr


def test_what_is_not_set() -> None:
    said = CliRunner().invoke(main, ["migrate"])
    assert "TOCSIN_KAFKA_BOOTSTRAP is not set: set it, or use `tocsin up`" in said.stderr


def test_a_mailbox_without_mail() -> None:
    with CliRunner().isolated_filesystem():
        said = CliRunner().invoke(main, ["mail"])
    assert "There is no mail in .tocsin/mailbox" in said.stderr


def mailed(folder: Path, *people: str) -> Mailbox:
    """A local mailbox with mails to these people, in this order."""
    store = MailStore(folder / "mailbox")
    for person in people:
        store.add(f"To: {person}@example.test\r\nSubject: [INC-1]\r\n\r\nto {person}\r\n".encode())
    return Mailbox(folder / "mailbox")


def test_of_the_mail_of_several_that_to_one_is_shown(tmp_path: Path) -> None:
    mailed(tmp_path, "ada", "platform", "ada", "grace")
    where = ["--data-dir", str(tmp_path)]
    said = CliRunner().invoke(main, ["mail", "--to", "ada", "--last", "5", *where])
    assert [line for line in said.output.splitlines() if "To:" in line] == ["│ To:       ada@example.test"] * 2
    assert "to grace" in CliRunner().invoke(main, ["mail", *where]).output
    said = CliRunner().invoke(main, ["mail", "--to", "linus", *where])
    assert f"There is no mail to linus in {tmp_path / 'mailbox'}: they were not mailed" in said.stderr


class Gateway:
    """One incident of an earlier demo, which ends with its alert."""

    def __init__(self) -> None:
        self.left = SimpleNamespace(name="INC-1", title="ServiceDown (payments)", opened_at=AT, status="")
        self.fired: list[str] = []

    def incidents(self, **filters: Any) -> Any:
        return SimpleNamespace(incidents=[self.left] if filters["service"] == "payments" else [])

    def fire(self, source: str, token: str, body: dict[str, Any]) -> None:
        self.fired.append(body["status"])
        self.left.status = "resolved"

    def incident(self, name: str) -> Any:
        return self.left


def test_a_demo_first_ends_what_an_interrupted_one_left() -> None:
    """Its alert would join that incident, and the demo wait for one of its own in vain."""
    gateway, running = Gateway(), SimpleNamespace(webhook_tokens=SimpleNamespace(alertmanager="wh_x"))
    asyncio.run(demo._tidy(gateway, running, Progress()))  # type: ignore[arg-type]
    assert gateway.fired == ["resolved"]


def test_a_demo_tells_of_all_whom_the_first_step_pages_and_of_the_escalation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever mail comes first."""
    mailbox = mailed(tmp_path, "before", "platform", "ada")
    pages = [SimpleNamespace(method="email", status=status) for status in ("sent", "queued")]
    gateway: Any = SimpleNamespace(pages=lambda _: pages)
    assert demo._told(gateway, "INC-1", mailbox, 1) is None
    pages[1].status = "sent"
    assert demo._told(gateway, "INC-1", mailbox, 2) is None
    mailed(tmp_path, "grace")
    asyncio.run(demo._escalate(gateway, "INC-1", mailbox, 1, Progress()))
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if " was paged" in line] == [
        "paged         ada@example.test was paged:",
        "paged         platform@example.test was paged, too: [INC-1]",
        "escalated     grace@example.test was paged: [INC-1]",
    ]


CHANNEL = SimpleNamespace(user="team:development", method="email", status="sent", id="page-1", queued_at=AT)
STEP = SimpleNamespace(at=AT, escalation=SimpleNamespace(pages=[CHANNEL]))


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([CHANNEL], "paged: the channel of development by email."),
        ([], "the next page, to the channel of development, is due at 03:00:00 UTC."),
    ],
)
def test_fire_says_that_the_channel_of_a_team_is_paged(
    monkeypatch: pytest.MonkeyPatch, pages: list[Any], said: str
) -> None:
    incident = SimpleNamespace(status="triggered", title="BuildAgentDown", severity="medium", team="development")
    gateway: Any = SimpleNamespace(
        incident=lambda _: incident, pages=lambda _: pages, due=lambda _: SimpleNamespace(due=[STEP])
    )
    monkeypatch.setattr(firing, "FIRST_PAGE", 0.0)
    opened = firing._opened(gateway, "INC-1")
    assert opened == f"INC-1 is triggered: BuildAgentDown, medium, team development; {said}"


def test_explain_says_that_the_channel_of_a_team_would_be_paged() -> None:
    words = ["explain", "--config", str(EXAMPLE), "alertname=BuildAgentDown", "environment=development"]
    told = CliRunner().invoke(main, words, terminal_width=200, env={"COLUMNS": "200"})
    assert "the channel of development by email" in told.stdout
    pages = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)["pages"]
    assert [(page["who"], page["target"]) for page in pages] == [("team:development", "team:development")]
