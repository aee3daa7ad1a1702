"""The watchdog's messages: their words, whom they go to, and how they are sent."""

import asyncio
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from prometheus_client import Counter

from domain.config import Config
from domain.recipients import channel_of
from schemas.status import RoleStatus
from streams.channels.base import Channel, Notice, Rejected, Sent
from streams.failpoints import effect

log = structlog.get_logger()

ATTEMPTS = 3
PAUSE = 5.0
"""Seconds between attempts, with jitter."""

NOTICES = Counter("tocsin_watchdog_notices_total", "Messages of the watchdog, by what became of them.", ["result"])


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person, or the channel of a team as `team:platform`, and one way to reach them."""

    user: str
    address: str
    channel: Channel


def recipients(config: Config, team: str, channels: Mapping[str, Channel]) -> tuple[Recipient, ...]:
    """Every member of `team`, whatever their role, and the team's own channel, by every contact method that works here.

    `channels` are those methods by name.
    """
    known = config.teams.get(team)
    everybody = dict.fromkeys([*(member.user for member in known.members), channel_of(team)] if known else ())
    return tuple(
        Recipient(one, contact.address, channels[contact.channel])
        for one in everybody
        for contact in config.contacts(one)
        if contact.channel in channels
    )


@dataclass(frozen=True, slots=True)
class Herald:
    """Says something to the team that looks after Tocsin itself.

    Parameters:
        setting: the team that is set; without one it is the root route's.
        channels: by name.
        config: the latest configuration that is known; None before the first.
    """

    setting: str | None
    channels: Mapping[str, Channel]
    config: Callable[[], Config | None]

    async def tell(self, write: Callable[[str], Notice]) -> bool:
        """Say what `write` makes for a team to everybody in it and to its channel; whether anybody could be reached."""
        config = self.config()
        team = self.setting or (config.root.team or "" if config and config.root else "")
        people = recipients(config, team, self.channels) if config else ()
        if not people:
            log.error("there is nobody to tell: set TOCSIN_WATCHDOG_TEAM to a team that can be reached", team=team)
            return False
        notice = write(team)
        reached = await asyncio.gather(*(send(person, notice) for person in people))
        for done in reached:
            NOTICES.labels("sent" if done else "failed").inc()
        return any(reached)


def began(roles: Sequence[RoleStatus], team: str) -> Notice:
    """These roles stand still; to whom it goes is filled in by `send`."""
    lines = [line for role in roles for line in _told(role)]
    since = min((role.since for role in roles if role.since), default=None)
    return _notice(
        f"[Tocsin] {named(role.role for role in roles)} {_verb(roles, 'stands', 'stand')} still",
        [*lines, "`tocsin status` says how everything is now. One more message comes when it works again.", _why(team)],
        f"began-{'-'.join(role.role for role in roles)}-{_stamp(since)}",
    )


def ended(over: Mapping[str, datetime], at: datetime, team: str) -> Notice:
    """These roles work again; `over` says since when they had not."""
    lines = [
        f"{_first_upper(named([role]))} stood still from {_moment(since)} and works again, {_moment(at)}."
        for role, since in over.items()
    ]
    return _notice(
        f"[Tocsin] {named(over)} {_verb(over, 'works', 'work')} again",
        [*lines, "What waited meanwhile has been, or is being, worked off.", _why(team)],
        f"ended-{'-'.join(over)}-{_stamp(min(over.values()))}",
    )


async def send(person: Recipient, notice: Notice) -> bool:
    """Send to one person, in a few attempts; whether it was taken."""
    addressed = replace(notice, to=person.address, person_id=person.user)
    for attempt in range(1, ATTEMPTS + 1):
        with effect("send_notice"):
            outcome = await person.channel.send(addressed)
        log.info("notice handed over", user=person.user, result=type(outcome).__name__.lower(), attempt=attempt)
        if isinstance(outcome, Sent):
            return True
        if isinstance(outcome, Rejected):
            return False
        if attempt < ATTEMPTS:
            await asyncio.sleep(random.uniform(PAUSE / 2, PAUSE))  # noqa: S311
    return False


def named(roles: Iterable[str]) -> str:
    """Roles as a sentence names them: `the worker, the relay and Postgres`."""
    found = [role.capitalize() if role == "postgres" else f"the {role}" for role in roles]
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"


def _told(role: RoleStatus) -> Iterable[str]:
    since = f" since {_moment(role.since)}" if role.since else ""
    yield f"{_first_upper(named([role.role]))} stands still{since}: {role.detail}."
    if role.remedy:
        yield f"What to do: {role.remedy}"


def _notice(title: str, lines: Sequence[str], key: str) -> Notice:
    return Notice(key=f"watchdog-{key}", to="", person_id="", title=title, text="\n\n".join(lines))


def _why(team: str) -> str:
    return f"This goes to everybody in team {team}, which looks after Tocsin itself (TOCSIN_WATCHDOG_TEAM)."


def _verb(roles: Collection[object], one: str, several: str) -> str:
    return one if len(roles) == 1 else several


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _moment(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC, {at:%a} {at.day} {at:%b %Y}"


def _stamp(at: datetime | None) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}" if at else "now"
