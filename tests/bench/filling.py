"""A store that is full: real alerts over TCP, each of which opens an incident, until there are so many of both."""

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
    """Open incidents until there are `wanted` of them and as many alerts fire. Raises GivenUp when it takes too long;
    what there is stays.
    """
    if _there(site) >= wanted:
        return
    with site.progress.step(f"Filling the store: {wanted:,} incidents"):
        end = site.clock() + LONGEST
        while (there := _there(site)) < wanted:
            if site.clock() > end:
                raise GivenUp(f"filling the store took longer than {LONGEST:.0f} s: {there:,} of {wanted:,} incidents")
            site.progress.say(f"  {there:,} of {wanted:,} incidents")
            webhooks = -(-min(PORTION, wanted - there) // EACH)
            site.load(
                site.plan(site.mix(opening=1.0, each=EACH), limit=webhooks, connections=CONNECTIONS, seconds=60.0)
            )


def _there(site: Site) -> int:
    return min(site.open_alerts(), site.incidents())
