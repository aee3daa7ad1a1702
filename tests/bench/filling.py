"""A store that is full: real alerts over TCP, each of which opens an incident, until so many are open."""

from tests.bench.generating import GivenUp
from tests.bench.site import Site

OPEN = 100_000
SOME = 1_000
"""Open alerts that a measure of reading needs to say anything."""
EACH, CONNECTIONS = 50, 8
PORTION = 5_000
"""Alerts that are sent before the fold is waited for."""
LONGEST = 300.0
"""Seconds."""


def fill(site: Site, wanted: int) -> None:
    """Open incidents until `wanted` alerts fire. Raises GivenUp when it takes too long; what there is stays."""
    if site.open_alerts() >= wanted:
        return
    with site.progress.step(f"Filling the store: {wanted:,} open alerts"):
        end = site.clock() + LONGEST
        while (there := site.open_alerts()) < wanted:
            if site.clock() > end:
                raise GivenUp(
                    f"filling the store took longer than {LONGEST:.0f} s: {there:,} of {wanted:,} alerts are open"
                )
            site.progress.say(f"  {there:,} of {wanted:,} alerts are open")
            webhooks = -(-min(PORTION, wanted - there) // EACH)
            site.load(
                site.plan(site.mix(opening=1.0, each=EACH), limit=webhooks, connections=CONNECTIONS, seconds=60.0)
            )
