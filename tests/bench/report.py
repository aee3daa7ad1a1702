"""A run's results as tables, for the terminal and for the documentation. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.figures import Figure, Result, per_thousand

ORDER = ("gateway", "kafka", "worker", "postgres", "pager", "mailbox", "projector", "generator")
"""Processes in the order in which an alert meets them."""
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


@dataclass(frozen=True, slots=True)
class Table:
    """Something to show."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def without_empty(self) -> "Table":
        """Without the columns that have nothing in any row."""
        kept = [index for index in range(len(self.headings)) if any(row[index] for row in self.rows)]
        rows = tuple(tuple(row[index] for index in kept) for row in self.rows)
        return Table(self.title, tuple(self.headings[index] for index in kept), rows)


def number(value: float | None, unit: str = "") -> str:
    """A value for eyes: three digits that count, thousands apart, its unit behind."""
    if value is None:
        return "-"
    digits = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    return text + (unit if unit.startswith("/") else f" {unit}" if unit else "")


def tables(run: Run) -> list[Table]:
    """Everything of a run, without the tables that have no rows."""
    limits = tuple((figure.what, number(figure.value, figure.unit)) for figure in run.limits)
    found = [Table("Limits of this machine", ("limit", "value"), limits), figures_table(run)]
    found += [cpu_table(one) for one in run.rounds]
    found += [memory_table(run.rounds)]
    return [table.without_empty() for table in found if table.rows]


def figures_table(run: Run) -> Table:
    """A row for each figure, a column for each round; the ratio to a limit where one was named, and the slope."""
    limits = {figure.what: figure for figure in run.limits}
    by_round = [{(f.measure, f.what): f for result in one.results for f in result.figures} for one in run.rounds]
    keys = dict.fromkeys(key for figures in by_round for key in figures)
    rows = tuple(tuple(_row(key, [figures.get(key) for figures in by_round], limits)) for key in keys)
    return Table("Measured", ("measure", "what", *(one.name for one in run.rounds), "beside", "ratio", "slope"), rows)


def _row(key: tuple[str, str], found: Sequence[Figure | None], limits: Mapping[str, Figure]) -> Iterator[str]:
    yield from key
    for figure in found:
        yield number(figure.value, figure.unit) if figure else ""
    known = [figure for figure in found if figure]
    ratio = next((figure for figure in known if figure.ratio is not None), None)
    limit = limits.get(ratio.beside) if ratio else None
    yield f"{limit.what} {number(limit.value, limit.unit)}" if limit else ""
    yield number(ratio.ratio) if ratio else ""
    slope = next((figure.slope for figure in known if figure.slope is not None), None)
    yield "" if slope is None else f"{slope:+.0f} %"


def processes(results: Iterable[Result]) -> tuple[str, ...]:
    """The processes that were looked at, in the order in which an alert meets them."""
    names = {name for result in results for name in result.uses}
    return tuple(name for name in (*ORDER, *sorted(names - set(ORDER))) if name in names)


def cpu_table(one: Round) -> Table:
    """CPU seconds for each 1,000 alerts, by measure and process, and their sum."""
    names, rows = processes(one.results), []
    for result in one.results:
        if result.work:
            per = {name: per_thousand(use, result.work) or 0.0 for name, use in result.uses.items()}
            rows.append((result.measure, *(number(per.get(name)) for name in names), number(sum(per.values()))))
    return Table(f"CPU seconds for each 1,000 alerts ({one.name})", ("measure", *names, "all"), tuple(rows))


def memory_table(rounds: Iterable[Round]) -> Table:
    """The most MB that each process held at the end of a measure, by round."""
    known = tuple(rounds)
    names, rows = processes(result for one in known for result in one.results), []
    for one in known:
        most = {name: max((r.uses[name].memory for r in one.results if name in r.uses), default=0) for name in names}
        rows.append((one.name, *(number(round(held / MEMORY)) if held else "" for held in most.values())))
    return Table("Memory in MB, the most at the end of a measure", ("", *names), tuple(rows) if names else ())


def stores(run: Run) -> str:
    """What the stores of the rounds held, in a sentence; empty when nobody looked."""
    held = [
        f"{one.open_alerts:,} open alerts and {one.events:,} events before the {one.name}"
        for one in run.rounds
        if one.events
    ]
    return f"There were {'; '.join(held)}." if held else ""


# -- Markdown ----------------------------------------------------------------------------------------------------------


def markdown(run: Run) -> str:
    """The run as a fragment: what it depends on, and its tables."""
    took = f"{run.seconds / 60:.0f} minutes" if run.seconds >= 120 else f"{run.seconds:.0f} seconds"
    parts = [f"Measured {run.at} at revision {run.revision}, in {took}, on {run.machine}. {stores(run)}".rstrip()]
    for table in tables(run):
        lines = [table.headings, tuple("---" for _ in table.headings), *table.rows]
        parts += [f"{table.title}:", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    if run.given_up:
        parts += ["Not measured:", "\n".join(f"- {sentence}" for sentence in run.given_up)]
    return "\n\n".join(parts) + "\n"


def filled(page: str, name: str, fragment: str) -> str:
    """A page with what stands between the two marks of this name replaced. Raises ValueError when it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    _, also, after = rest.partition(end)
    if not found or not also:
        raise ValueError(f"the page has no {begin} or no {end}")
    return f"{before}{begin}\n\n{fragment}\n{end}{after}"
