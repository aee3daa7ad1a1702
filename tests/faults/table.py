"""The table of the matrix and the soak, as Markdown, and its place in the docs; and which points stories come to."""

import json
from collections import Counter, defaultdict
from pathlib import Path

from tests.faults.matrix import ACTIONS, LATER, SAME, Reached, Results
from tests.stack import ROOT

PAGE = ROOT / "docs" / "explanation" / "faults.md"
BEGIN, END = "<!-- table: make test-faults -->", "<!-- end of table -->"
REACHED = Path(__file__).with_name("reached.json")
"""Story -> the `role point` at which faults happen in it, as of the latest whole run."""


def written(results: Results, reached: Reached, soak: Path) -> str:
    """The table: a row for each role and point, a column for each action; then what the soak found."""
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    passages: dict[tuple[str, str], list[str]] = defaultdict(list)
    for case, result in results.of.items():
        role, point, action, *nth = case.split()
        if nth:
            passages[f"{role} {point}", action].append(result if result != SAME else f"{SAME} ({nth[0]})")
        else:
            rows[f"{role} {point}"][action] = result
    for (place, action), found in passages.items():
        rows[place][_later(action)] = "; ".join(found)
    stories = {place: story for story, places in reached.items() for place in places}
    counted = Counter(result.partition(":")[0] for result in results.of.values())
    columns = [*ACTIONS, *(map(_later, LATER) if passages else ())]
    lines = [
        f"{len(results.of)} cases were run: {', '.join(f'{count} {word}' for word, count in sorted(counted.items()))}.",
        "",
        f"| role | point | story | {' | '.join(columns)} |",
        f"|---|---|---|{'---|' * len(columns)}",
        *(
            _row(place, stories.get(place, ""), [row.get(a, "-") for a in columns])
            for place, row in sorted(rows.items())
        ),
    ]
    if soak.exists():
        lines += ["", *(f"- {line}" for line in json.loads(soak.read_text()))]
    return "\n".join(lines)


def _row(place: str, story: str, results: list[str]) -> str:
    role, point = place.split()
    return f"| {role} | `{point}` | {story} | {' | '.join(results)} |"


def _later(action: str) -> str:
    return f"{action}, later"


def keep_reached(reached: Reached) -> None:
    """Write down which points are struck in which story, for the test that misses some."""
    places = {story: sorted(found) for story, found in reached.items()}
    REACHED.write_text(json.dumps(places, indent=1) + "\n", encoding="utf-8")


def into_docs(text: str) -> None:
    """Put the table between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
