"""Python's garbage collector in a process that serves: it looks again and again at what never becomes garbage."""

import gc

ALLOCATIONS = 10_000
"""Objects that are made before the youngest are looked at; 700 by default, which is less than a busy request makes."""


def settle() -> None:
    """From now on look less often, and never at what is there already: modules, routes, models, settings.

    Call it once, when a role is up. Without it a busy gateway spends an eighth of its time on this.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS)
