"""The tutorial is true: its commands are run in order, and each prints what the page shows.

A block of language `sh` is run, by one shell; a block of language `text` right after it is what it printed. Times, ids,
tokens and ports differ from run to run: `MASKS` says which, and `AT_ONCE` which lines change places. A line `…` on
the page stands for any number of lines.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from streams.channels.maildir import Mailbox
from tests.services import Services
from tests.stack import CALM, Installation, until

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
PATIENCE = 60.0
"""Seconds; a seal takes ten."""
ASKS = ("tocsin list", "tocsin show", "tocsin audit")
"""What only asks is asked again until it answers as on the page: a reader is slower than a test."""
MASKS = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
    (r"\b[0-9a-f]{16}…", "<key>"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+Z?)?|\d\d:\d\d:\d\d|\d\d:\d\d UTC, \w{3} \d\d? \w{3} \d{4}", "<time>"),
    (r"\d+ (s|min) ago", "<ago>"),
    (r"\(\d+\.\d s\)", "<seconds>"),
    (r"127\.0\.0\.1:\d+", "<address>"),
    (r"/\S*/(\.tocsin|data)\b", "<data>"),
    (r" --data-dir \S+", ""),
    (r"\S*alerts/\d+@", "<partition>@"),
    (r"\d+ seals", "<seals>"),
    (r"(?m)(step 1 of policy .*\)) +\d+ *$", r"\1 <event>"),
    (r" +", " "),
)
AT_ONCE = re.compile(r"sent \(step 1, round 1\)|step 1 of policy")
"""Of what is said to several at once, and which of these comes first is chance."""


def blocks(page: str) -> list[tuple[str, str]]:
    """Each command of the page with what it prints; "" where the page does not say."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert {language for language, _ in found} == {"sh", "text"}
    following = [*found, ("sh", "")]
    return [(text, then if kind == "text" else "") for (is_, text), (kind, then) in pairwise(following) if is_ == "sh"]


def masked(text: str) -> list[str]:
    """The lines of `text` without what differs from run to run."""
    for pattern, instead in MASKS:
        text = re.sub(pattern, instead, text)
    lines = [line.strip() for line in text.strip().splitlines()]
    runs = groupby(lines, lambda line: bool(AT_ONCE.search(line)))
    return [line for at_once, run in runs for line in (sorted(run) if at_once else run)]


def agrees(page: str, printed: str) -> bool:
    """Whether this was printed, by the page."""
    pattern = "\n".join(".*" if line == "…" else re.escape(line) for line in masked(page))
    return re.fullmatch(pattern, "\n".join(masked(printed)), re.DOTALL) is not None


class Shell:
    """The reader's second terminal."""

    END = "<<end>>"

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> str:
        """What it prints."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{command}\necho; echo '{self.END}'\n")
        self._process.stdin.flush()
        return "".join(iter(self._process.stdout.readline, f"{self.END}\n")).rstrip("\n")

    def run_until(self, command: str, is_right: Callable[[str], bool]) -> str:
        """What it prints, asked again until that is right or time is up; what does more than ask is run once."""
        end = time.monotonic() + PATIENCE
        while True:
            printed = self.run(command)
            if is_right(printed) or time.monotonic() > end or not command.splitlines()[-1].startswith(ASKS):
                return printed
            time.sleep(0.2)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)


@pytest.fixture
def installation(
    real_services: Services, postgres_dsn: str, topic_prefix: str, tmp_path: Path
) -> Iterator[Installation]:
    made = Installation(real_services, postgres_dsn, topic_prefix, tmp_path, **CALM)
    yield made
    made.close()


@pytest.fixture
def shell(installation: Installation) -> Iterator[Shell]:
    """A shell where the checkout would be."""
    (installation.folder / ".venv").symlink_to(sys.prefix)
    (installation.folder / ".tocsin").symlink_to("data")
    made = Shell(installation.folder)
    yield made
    made.close()


@pytest.mark.timeout(400)
def test_the_tutorial_says_what_happens(installation: Installation, shell: Shell) -> None:
    (start, started), *rest = blocks(PAGE.read_text())
    assert start.splitlines()[-1] == "make up"
    log = installation.folder / "up.log"
    until("tocsin up to say so", lambda: set(masked(started)) <= set(masked(log.read_text())) or None)
    mailbox = Mailbox(installation.folder / "data" / "mailbox")
    for command, page in rest:
        if command.startswith("tocsin mail"):  # a reader waits for it
            if "grace" in command:
                installation.clock.move(timedelta(minutes=1))
            whose = command.split()[-1]
            until("a mail", lambda: any(whose in mail.to for mail in mailbox.messages()) or None)  # noqa: B023
        printed = shell.run_until(command, lambda printed, page=page: agrees(page, printed))  # type: ignore[misc]
        assert agrees(page, printed), f"$ {command}\nprinted:\n{printed}\n\nthe page says:\n{page}"
