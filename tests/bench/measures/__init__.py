"""What is measured, one file each. A measure is its name, the limits that it stands beside, and a function."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.figures import Result
from tests.bench.site import Site


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure.

    Parameters:
        name: how it is asked for; also its file's name.
        about: what it does, for the progress line.
        run: does it; raises GivenUp.
        limits: names in `tests.bench.limits` that have to be known.
        again: whether it says something else when the store is full.
    """

    name: str
    about: str
    run: Callable[[Site], Result]
    limits: frozenset[str] = frozenset()
    again: bool = True
