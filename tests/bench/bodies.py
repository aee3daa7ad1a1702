"""Requests, ready to be written to a socket. Cheap: only the few changing words are filled in.

Every alert has a fingerprint of 16 hexadecimal digits: 4 that name the load, 12 that are the alert's number in it. So
whatever is read back from the store or a mailbox can be told apart and matched.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from tests.world import alert, webhook

MARK = {"status": "firing"}
SERVICES = 20
"""Services of the bench's company, each with a person of its own on call; an alert's group says which it is."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Which alerts a load consists of.

    Parameters:
        load: a number of its own for each load, 0 to 65535.
        started: startsAt of all of them, an ISO time.
        each: alerts in one webhook.
        opening: the share of alerts that open an incident, because each is alone in a group; the others are spread
            over `groups` groups.
        distinct: so many alerts are reported again and again; 0 makes each another one.
        pages: whether an incident's first page leaves at once, or waits for a day.
        services: over how many services the groups are spread.
    """

    load: int
    started: str
    each: int = 1
    opening: float = 0.0
    groups: int = 100
    distinct: int = 0
    pages: bool = False
    services: int = SERVICES

    def opens(self, number: int) -> bool:
        """Whether this alert is alone in a group. They are spread evenly."""
        return int((number + 1) * self.opening) > int(number * self.opening)

    def group(self, number: int) -> int:
        """The group of an alert."""
        return self.groups + number if self.opens(number) else number % self.groups

    def fingerprints(self) -> tuple[str, str]:
        """From which to below which all of its fingerprints are."""
        return fingerprint(self.load, 0), fingerprint(self.load + 1, 0)

    def numbers(self, index: int) -> range | list[int]:
        """The alerts of the `index`-th webhook, from 0."""
        found = range(index * self.each, (index + 1) * self.each)
        return [number % self.distinct for number in found] if self.distinct else found


def fingerprint(load: int, number: int) -> str:
    """See the module's docstring."""
    return f"{load:04x}{number:012x}"


def parse_fingerprint(text: str) -> tuple[int, int]:
    """(load, number)"""
    return int(text[:4], 16), int(text[4:], 16)


class Webhooks:
    """Alertmanager webhooks of a mix. All bodies are of one length."""

    def __init__(self, mix: Mix) -> None:
        self._mix = mix
        labels = {"service": "%(service)s", "instance": "%(instance)s", "bench": "page" if mix.pages else "quiet"}
        member = alert("%(group)s", labels, datetime.fromisoformat(mix.started))
        self._member = json.dumps({**member, "fingerprint": "%(fingerprint)s"})
        self._head, self._tail = json.dumps(webhook([MARK])).split(json.dumps(MARK))

    def body(self, index: int) -> bytes:
        """The `index`-th webhook, from 0."""
        members = ", ".join(self._member % self._changing(number) for number in self._mix.numbers(index))
        return (self._head + members + self._tail).encode()

    def opened(self, index: int) -> list[int]:
        """Those alerts of the `index`-th webhook that are alone in a group."""
        return [number for number in self._mix.numbers(index) if self._mix.opens(number)]

    def _changing(self, number: int) -> dict[str, str]:
        load, group = self._mix.load, self._mix.group(number)
        return {
            "group": f"Load{load:05}Group{group:08}",
            "service": f"svc-{group % self._mix.services:02}",
            "instance": f"instance-{number:010}",
            "fingerprint": fingerprint(load, number),
        }
