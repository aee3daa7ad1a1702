"""Time zones, read from the pinned `tzdata` package alone.

The zone files of the machine are never looked at: what was decided on one machine has to come out the same on
another, and a decision names the version of the zones it was made with (`Decision.tz_version`).
"""

from datetime import UTC, datetime, tzinfo
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo


class UnknownZone(ValueError):
    """A name that the time zone database does not have."""


@cache
def zone_names() -> frozenset[str]:
    """Every name that `zone` knows, e.g. `Europe/Berlin`."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("ascii").split())


@cache
def zone(name: str | None) -> tzinfo:
    """The zone of an IANA name; UTC for None. Raises UnknownZone."""
    if name is None:
        return UTC
    if name not in zone_names():
        raise UnknownZone(f"there is no time zone {name!r}")
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, name)


def instants(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The instants (UTC) at which clocks in `zone` may show the naive time `wall`.

    They differ when the hour is repeated, then the first comes first; and when it is left out, then the change of the
    clocks is after the second and not after the first.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def wall_time(at: datetime, zone: tzinfo) -> datetime:
    """What clocks in `zone` show at `at`, naive."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def change_between(zone: tzinfo, before: datetime, after: datetime) -> datetime | None:
    """The instant (UTC, to the second) at which the clocks change after `before` and not after `after`; None: never.

    The two instants may be some days apart, so that there is one change at most.
    """
    low, high = int(before.timestamp()), int(after.timestamp())
    old = before.astimezone(zone).utcoffset()
    if after.astimezone(zone).utcoffset() == old:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
