"""Every measure, in the order in which they are made: those that read the log at the end, when there is one."""

from tests.bench.measures import (
    Measure,
    acknowledgements,
    openings,
    pages,
    reads,
    rebuild,
    repeats,
    single,
    storm,
    verify,
    webhooks,
)

_ALL = (pages, single, openings, webhooks, repeats, storm, acknowledgements, reads, rebuild, verify)
MEASURES: dict[str, Measure] = {module.MEASURE.name: module.MEASURE for module in _ALL}
