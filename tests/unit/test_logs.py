"""Log lines, ours and those of libraries: one shape, and no secret in them."""

import json
import subprocess
import sys
from typing import Any

import pytest

SAYS = """
import dataclasses, logging, structlog
from compose.logs import configure_logs
from schemas.settings import Settings

configure_logs(Settings(log_format={form!r}), "gateway")
log = structlog.get_logger()

@dataclasses.dataclass
class Held:
    secret: str
    def __repr__(self): return "Held()"

with structlog.contextvars.bound_contextvars(receipt="r-1"):
    log.info("ours", webhook_token="hunter2", alerts=2)
    log.debug("not said")
    try:
        raise ZeroDivisionError("nobody foresaw this")
    except ZeroDivisionError:
        log.exception("failed")
log.info("odd", held=Held("hunter2"), large=2**70)
log.info("half", text=chr(0xD800))
logging.getLogger("a.library").warning("theirs")
logging.getLogger("uvicorn").info("not said")
"""


def said(form: str) -> list[str]:
    """The lines of a process that logs in this format; the setting reaches the whole process."""
    code = SAYS.format(form=form)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_lines_for_machines_are_json_with_the_same_members() -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in said("json")]
    assert [line["event"] for line in lines] == ["ours", "failed", "odd", "half", "theirs"]
    assert [line["level"] for line in lines] == ["info", "error", "info", "info", "warning"]
    assert all(line["role"] == "gateway" and line["timestamp"].endswith("Z") for line in lines)
    assert lines[0] | {"webhook_token": "[redacted]", "alerts": 2, "receipt": "r-1"} == lines[0]
    assert (lines[2]["held"], lines[2]["large"], lines[3]["text"]) == ("Held()", 2**70, "\ud800")
    assert "ZeroDivisionError: nobody foresaw this" in lines[1]["exception"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_line_holds_a_secret(form: str) -> None:
    text = "\n".join(said(form))
    assert "hunter2" not in text
    assert "[redacted]" in text
    assert "not said" not in text
