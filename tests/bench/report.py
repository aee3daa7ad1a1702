"""A run's results as a table for the terminal, as JSON for programs, and as Markdown for the documentation. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.figures import Figure, Result, per_thousand

CPU, HELD = "CPU seconds for each 1,000 alerts", "Memory in MB, the most at the end of a measure"
HEADINGS = ("measure", "what", "value", "beside", "ratio")
ORDER = ("gateway", "kafka", "worker", "postgres", "pager", "mailbox", "projector", "generator")
MEMORY = 1_000_000
"""Bytes in a MB."""


@dataclass(frozen=True, slots=True)
class Round:
    """Every measure once, in a store that held so many open alerts and events before."""

    name: str
    open_alerts: int
    events: int
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run.

    Parameters:
        at: when it began, an ISO time.
        machine: what it ran on, in words. `revision`: which code.
        limits: what was measured with nothing of Tocsin in the way.
        given_up: sentences on what could not be measured.
    """

    at: str
    machine: str
    revision: str
    seconds: float
    limits: tuple[Figure, ...]
    rounds: tuple[Round, ...]
    given_up: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def number(value: float | None, unit: str = "") -> str:
    """A value for eyes: three digits that count, thousands apart, its unit behind."""
    if value is None:
        return "-"
    digits = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    return text + (unit if unit.startswith("/") else f" {unit}" if unit else "")


def heading(one: Round) -> str:
    """What a round's table is called."""
    return f"{one.name}: {one.open_alerts:,} open alerts and {one.events:,} events before"


def figures_of(one: Round) -> list[Figure]:
    """All figures of a round."""
    return [figure for result in one.results for figure in result.figures]


def rows(figures: Iterable[Figure], limits: Mapping[str, Figure]) -> list[tuple[str, ...]]:
    """Figures in the columns of `HEADINGS`, and the slope."""
    found: list[tuple[str, ...]] = []
    for figure in figures:
        limit = limits.get(figure.beside)
        beside = f"{figure.beside} {number(limit.value, limit.unit)}" if limit else ""
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        slope = "" if figure.slope is None else f"{figure.slope:+.0f} %"
        found.append((figure.measure, figure.what, number(figure.value, figure.unit), beside, ratio, slope))
    return found


def processes(results: Iterable[Result]) -> tuple[str, ...]:
    """The processes that were looked at, in the order in which an alert meets them."""
    names = {name for result in results for name in result.uses}
    return tuple(name for name in (*ORDER, *sorted(names - set(ORDER))) if name in names)


def cpu_table(results: Sequence[Result]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows: CPU seconds for each 1,000 alerts, by measure and process, and their sum."""
    names, found = processes(results), []
    for result in results:
        if result.work:
            per = {name: per_thousand(use, result.work) or 0.0 for name, use in result.uses.items()}
            found.append((result.measure, *(number(per.get(name)) for name in names), number(sum(per.values()))))
    return ("measure", *names, "all"), found


def memory_table(results: Sequence[Result]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and one row: the most MB that each process held at the end of a measure."""
    most = dict.fromkeys(processes(results), 0)
    for result in results:
        for name, use in result.uses.items():
            most[name] = max(most[name], use.memory)
    return tuple(most), [tuple(number(round(held / MEMORY)) for held in most.values())] if most else []


# -- Markdown ----------------------------------------------------------------------------------------------------------


def markdown(run: Run) -> str:
    """The run as a fragment: tables, and what they depend on."""
    limits = {figure.what: figure for figure in run.limits}
    parts = [
        f"Measured {run.at} at revision {run.revision}, in {run.seconds / 60:.0f} minutes, on {run.machine}.",
        _table(("limit of this machine", "value"), [(f.what, number(f.value, f.unit)) for f in run.limits]),
    ]
    for one in run.rounds:
        figures = figures_of(one)
        has_slope = any(figure.slope is not None for figure in figures)
        headings = (*HEADINGS, "slope") if has_slope else HEADINGS
        parts += [f"### {heading(one)}", _table(headings, [row[: len(headings)] for row in rows(figures, limits)])]
        for title, (names, body) in ((CPU, cpu_table(one.results)), (HELD, memory_table(one.results))):
            if body:
                parts += [f"{title}:", _table(names, body)]
    if run.given_up:
        parts += ["Not measured:", "\n".join(f"- {sentence}" for sentence in run.given_up)]
    return "\n\n".join(parts) + "\n"


def _table(headings: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(page: str, name: str, fragment: str) -> str:
    """A page with what stands between the two marks of this name replaced. Raises ValueError when it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    _, also, after = rest.partition(end)
    if not found or not also:
        raise ValueError(f"the page has no {begin} or no {end}")
    return f"{before}{begin}\n\n{fragment}\n{end}{after}"
