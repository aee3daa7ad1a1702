"""What a run found, as values, and the arithmetic on them. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    Parameters:
        measure: the file in `measures/` that found it.
        what: what it is, in words; unique within its measure.
        value: None when there was nothing to measure.
        unit: `/s`, `ms`, `s`, `MB`, ...
        beside: the name of the limit that it stands beside, from the same run; empty without one.
        ratio: value / that limit.
        slope: per cent by which it got worse (positive) between the empty store and the full one.
    """

    measure: str
    what: str
    value: float | None
    unit: str
    beside: str = ""
    ratio: float | None = None
    slope: float | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What one process, or all of one kind, used during one measure: CPU seconds and bytes of memory at its end."""

    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class Result:
    """What one measure found: its figures, and what each process used for `work` alerts (0: not counted in alerts)."""

    measure: str
    figures: tuple[Figure, ...]
    work: int = 0
    uses: Mapping[str, Use] = field(default_factory=dict)


RISING, FALLING = frozenset({"/s"}), frozenset({"ms", "s"})
"""Units of which more is better, and of which less is. Of others nothing is better or worse."""


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile (0 < share <= 1) of values in any order; None of none."""
    if not 0 < share <= 1:
        raise ValueError(f"{share} is not a share above 0 and at most 1")
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * share) - 1] if ordered else None


SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def spread(
    measure: str, what: str, seconds: Sequence[float], shares: Iterable[str] = SHARES, beside: str = ""
) -> list[Figure]:
    """Figures in milliseconds: the named percentiles of latencies in seconds, beside a limit."""
    found = {name: percentile(seconds, SHARES[name]) for name in shares}
    return [
        Figure(measure, f"{what}, {name}", None if value is None else value * 1000, "ms", beside)
        for name, value in found.items()
    ]


def ratio(value: float | None, limit: float | None) -> float | None:
    """value / limit; None when either is unknown or the limit is 0."""
    return value / limit if value is not None and limit else None


def slope(before: float | None, after: float | None, unit: str) -> float | None:
    """Per cent by which `after` is worse than `before`; negative when it is better, None when it cannot be said."""
    if before is None or after is None or not before or unit not in RISING | FALLING:
        return None
    change = (after - before) / before * 100
    return -change if unit in RISING else change


def beside(figure: Figure, limits: Mapping[str, Figure]) -> Figure:
    """The figure with its ratio to the limit that it names, if that was measured."""
    limit = limits.get(figure.beside)
    return replace(figure, ratio=ratio(figure.value, limit.value)) if limit else figure


def sloped(after: Iterable[Figure], before: Iterable[Figure]) -> tuple[Figure, ...]:
    """The figures of a later round, each with its slope from the same figure of the earlier one.

    The most of a load is one answer, and says nothing of the others: it has no slope.
    """
    first = {(figure.measure, figure.what): figure for figure in before}
    return tuple(
        replace(figure, slope=slope(first[key].value, figure.value, figure.unit))
        if key in first and not figure.what.endswith(", max")
        else figure
        for figure in after
        for key in ((figure.measure, figure.what),)
    )


def per_thousand(use: Use, work: int) -> float | None:
    """CPU seconds for each 1,000 alerts; None when there were none."""
    return use.cpu / work * 1000 if work else None
