"""A command of an operator as a process that may fail at a point, as roles do: the role `operator` of a plan.

`python -m tests.faults.operating PLAN ...`, where the rest are the command's own arguments.
"""

import asyncio
import sys
from pathlib import Path

from compose.cli import main
from streams import failpoints

OPERATOR = "operator"


async def _armed(plan: Path, arguments: list[str]) -> None:
    failpoints.arm(plan, OPERATOR)
    main(arguments)  # it does not wait for anything that needs this loop


if __name__ == "__main__":
    asyncio.run(_armed(Path(sys.argv[1]), sys.argv[2:]))
