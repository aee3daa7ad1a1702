"""The real amtool says of generated matchers and label sets what we say.

One alertmanager.yml has a route for each matcher; `amtool config routes test` answers with the receivers of those that
match. What we refuse, `amtool check-config` refuses. From 0.27 on amtool knows both syntaxes, before only the classic
one; what a newer one makes of the other is recorded for tests/unit/test_matchers.py.
"""

import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from domain.matching import Matcher, MatchOperator
from schemas.matchers import BadMatcher, format_matcher, parse_matchers
from schemas.matchers_classic import read_classic

pytestmark = pytest.mark.peer("amtool", "prometheus-alertmanager")

ROUTES = 150
ALERTS = 40
REFUSED = 25
NAMES = ("env", "team", "a:b", "_x")
NEW_NAMES = (*NAMES, "ünder", "0a", '"on call"', '"a,b=c"', "a.b-c")
PIECES = (
    *(
        "prod",
        "dev",
        "a",
        "b",
        "é",
        "1",
        " ",
        ".",
        ".*",
        ".+",
        "|",
        "|",
        "(",
        ")",
        "(?:",
        "(?i)",
        "(?s)",
        "[a-d]",
        "[^a]",
    ),
    *(
        "?",
        "*",
        "{2}",
        "\\n",
        "\\\\d",
        "\\\\w+",
        "\\\\.",
        "\\\\pL",
        "\\t",
        "\\x41",
        '\\"',
        "\\",
        "[[:digit:]]",
        "^",
        "$",
    ),
)
VALUES = ("", "prod", "dev", "production", "a", "ab", "a\nb", "é", "1", "12", 'say "a"', "\\", "b a", "A", "PROD", "\t")


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *arguments], capture_output=True, text=True, timeout=30, check=False)


def knows_both_syntaxes() -> bool:
    """Of one built without a version (from source), yes."""
    version = re.search(r"version (\d+)\.(\d+)", amtool("--version").stdout)
    return version is None or (int(version[1]), int(version[2])) >= (0, 27)


def config_of(folder: Path, texts: list[str]) -> str:
    """The file with a route and a receiver for each text."""
    routes = [{"matchers": [text], "receiver": f"r{number}", "continue": True} for number, text in enumerate(texts)]
    receivers = [{"name": name} for name in ("none", *(str(route["receiver"]) for route in routes))]
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump({"route": {"receiver": "none", "routes": routes}, "receivers": receivers}))
    return f"{file}"


class Generator:
    """Texts that are mostly matchers, and label sets."""

    def __init__(self, seed: int, both: bool) -> None:
        self._random = random.Random(seed)
        self._names = NEW_NAMES if both else NAMES
        self._read: Callable[[str], tuple[Matcher, ...]] = parse_matchers if both else read_classic

    def text(self) -> str:
        pick = self._random
        value = "".join(pick.choices(PIECES, k=pick.randint(0, 4)))
        value = f'"{value}"' if pick.random() < 0.7 else value
        return f"{pick.choice(self._names)}{pick.choice(('', ' '))}{pick.choice(list(MatchOperator))}{value}"

    def matchers(self, text: str) -> tuple[Matcher, ...] | None:
        """Ours; None: refused."""
        try:
            read = self._read(text)
            for matcher in read:
                matcher.matches({})
        except BadMatcher:
            return None
        return read

    def labels(self) -> dict[str, str]:
        names = (name.strip('"') for name in self._names)
        return {name: self._random.choice(VALUES) for name in names if self._random.random() < 0.8}


@pytest.mark.parametrize("seed", [1, 2])
def test_amtool_routes_as_we_match(seed: int, tmp_path: Path) -> None:
    generator = Generator(seed, knows_both_syntaxes())
    read = {text: made for text in (generator.text() for _ in range(4 * ROUTES)) if (made := generator.matchers(text))}
    texts = list(read)[:ROUTES]
    assert len(texts) == ROUTES
    file = config_of(tmp_path, texts)
    for _ in range(ALERTS):
        labels = generator.labels()
        written = [format_matcher(Matcher(name, MatchOperator.EQUAL, value)) for name, value in labels.items()]
        answer = amtool("config", "routes", "test", f"--config.file={file}", *written)
        assert answer.returncode == 0, answer.stderr
        receivers = answer.stdout.splitlines()[-1].split(",")
        theirs = {text for number, text in enumerate(texts) if f"r{number}" in receivers}
        ours = {text for text in texts if all(matcher.matches(labels) for matcher in read[text])}
        assert ours == theirs, labels


def test_amtool_refuses_what_we_refuse(tmp_path: Path) -> None:
    generator = Generator(3, knows_both_syntaxes())
    refused = [text for text in (generator.text() for _ in range(1000)) if generator.matchers(text) is None][:REFUSED]
    assert len(refused) == REFUSED
    taken = [text for text in refused if amtool("check-config", config_of(tmp_path, [text])).returncode == 0]
    assert taken == []
