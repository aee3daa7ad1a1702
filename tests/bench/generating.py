"""Runs the load generator (`tests.bench.load`) as a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.bench.plan import Plan, Report
from tests.stack import ROOT


class GivenUp(Exception):
    """Something did not happen in time; the other measures go on."""


@contextmanager
def generating(plan: Plan) -> Iterator[Callable[[], Report]]:
    """A generator that was given its plan and is at work; calling the value waits for the report (or raises GivenUp).

    It is ended with the block at the latest.
    """
    command = [sys.executable, "-m", "tests.bench.load"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def report() -> Report:
        try:
            printed, _ = process.communicate(timeout=plan.seconds + 60)
        except subprocess.TimeoutExpired:
            raise GivenUp("the load generator did not end") from None
        if process.returncode:
            raise GivenUp(f"the load generator ended with {process.returncode}")
        return Report.parse(printed)

    try:
        assert process.stdin is not None
        process.stdin.write(plan.dump())
        process.stdin.close()
        process.stdin = None  # communicate() would write to it
        yield report
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
