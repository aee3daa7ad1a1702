"""The table of the matrix and the soak, as Markdown, and its place in the docs."""

import json
from collections import Counter
from pathlib import Path

from tests.faults.matrix import ACTIONS, Results
from tests.stack import ROOT

PAGE = ROOT / "docs" / "explanation" / "faults.md"
BEGIN, END = "<!-- table: make test-faults -->", "<!-- end of table -->"


def written(results: Results, soak: Path) -> str:
    """The table: a row for each role and point, a column for each action; then what the soak found."""
    rows: dict[str, dict[str, str]] = {}
    for case, result in results.of.items():
        role, point, action = case.split()
        rows.setdefault(f"{role} | `{point}`", {})[action] = result
    counted = Counter(result.partition(":")[0] for result in results.of.values())
    said = ", ".join(f"{count} {word}" for word, count in sorted(counted.items()))
    lines = [
        f"{len(results.of)} cases were run: {said}.",
        "",
        f"| role | point | {' | '.join(ACTIONS)} |",
        f"|---|---|{'---|' * len(ACTIONS)}",
        *(f"| {name} | {' | '.join(row.get(a, '-') for a in ACTIONS)} |" for name, row in sorted(rows.items())),
    ]
    if soak.exists():
        lines += ["", *(f"- {line}" for line in json.loads(soak.read_text()))]
    return "\n".join(lines)


def into_docs(text: str) -> None:
    """Put the table between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
