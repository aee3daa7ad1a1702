"""The command line: what a command needs is imported when it runs."""

import subprocess
import sys
from importlib import import_module

import pytest
from click.testing import CliRunner

from compose.cli import ELSEWHERE, main

NOT_FOR_PEOPLE = {"faust", "fastapi", "aiokafka", "psycopg", "cryptography"}
LOADED = "import sys; from compose.cli import main; main.get_command(None, 'ack'); print(*sys.modules)"


@pytest.mark.parametrize("module", ELSEWHERE)
def test_a_command_is_where_it_is_looked_for(module: str) -> None:
    assert ELSEWHERE[module] == tuple(command.name for command in import_module(f"compose.{module}").COMMANDS)


def test_who_acknowledges_waits_for_nothing_that_others_need() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "compose.acting" in loaded
    assert not loaded & NOT_FOR_PEOPLE


def test_all_commands_are_listed_and_an_unknown_one_is_refused() -> None:
    listed = CliRunner().invoke(main, ["-h"])
    assert listed.exit_code == 0
    for name in ("gateway", "up", *(name for names in ELSEWHERE.values() for name in names)):
        assert f"\n  {name} " in listed.output
    unknown = CliRunner().invoke(main, ["akc", "INC-1"])
    assert unknown.exit_code == 2
    assert "No such command" in unknown.output
