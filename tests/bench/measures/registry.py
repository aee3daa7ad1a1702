"""Every measure, in the order in which they are made: those that read the log when there is one, and at the
end what takes long."""

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
    storms,
    verify,
    webhooks,
)

_ALL = (pages, single, openings, webhooks, repeats, storm, acknowledgements, reads, rebuild, verify, storms)
MEASURES: dict[str, Measure] = {module.MEASURE.name: module.MEASURE for module in _ALL}
